"""Two runs beside each other, turn by turn, from their journals alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from moot.agents.report import parse, render
from moot.chats.errors import StoreError
from moot.chats.event_types import RunCreated
from moot.chats.find import find_run
from moot.chats.home import open_store
from moot.chats.store import Store
from moot.chats.story import Story
from moot.chats.telling import Block, Telling
from moot.termination.ledger import Usage


@dataclass(frozen=True, slots=True)
class Ran:
    """What one block of code came to. `exit_code` is None where nobody knows, -1 where it was skipped."""

    exit_code: int | None
    skipped: str | None
    stdout: str
    stderr: str
    value: str | None
    files: tuple[tuple[str, str], ...]
    """Names and digests."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent. `usd` is None where a call had no known price."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    code_runs: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of one run."""

    participant: str
    text: str
    reason: str
    """Why this participant spoke."""
    code: tuple[Ran, ...]
    spent: Spending
    seconds: float

    @property
    def words(self) -> str:
        """What is compared: a report of code without how long it took, and without the note that variables were lost,
        which stands wherever a run was driven on.
        """
        return timeless(self.text)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: what it was made of and what came of it."""

    run: str
    chat: str
    task: str
    participants: tuple[str, ...]
    models: dict[str, str]
    limits: dict[str, float]
    inputs: dict[str, str]
    """Digests of the input files by `participant/name`."""
    parent: str
    """The run it was forked from, or empty."""
    forked_at: int | None
    turns: int
    outcome: str | None
    """None: it is not finished."""
    rule: str | None
    reason: str | None
    result: str | None
    spent: Spending


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not the same on both sides, in words; None where a side does not have it."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """The turns of one number; None where a run does not have it."""

    turn: int
    a: Said | None
    b: Said | None

    @property
    def differs(self) -> tuple[str, ...]:
        """In what they differ: `speaker`, `text`, `code`; `missing` where one side has none."""
        if self.a is None or self.b is None:
            return ("missing",)
        places = (("speaker", "participant"), ("text", "words"), ("code", "code"))
        return tuple(name for name, place in places if getattr(self.a, place) != getattr(self.b, place))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs by turn. What they cost and how long they took makes no difference, nor what they were made of."""

    a: Side
    b: Side
    settings: tuple[Difference, ...]
    """What is different about chat, task, models, limits and input files."""
    ends: tuple[Difference, ...]
    """What is different about turns, outcome, stop rule and result."""
    turns: tuple[Pair, ...]

    @property
    def first(self) -> int | None:
        """The first turn at which they differ, None where there is none."""
        return next((pair.turn for pair in self.turns if pair.differs), None)

    @property
    def same(self) -> bool:
        """Whether the same was said by the same, with the same results of code and the same end."""
        return self.first is None and not self.ends

    @property
    def relation(self) -> str:
        """How the two belong together, in words; empty where they do not."""
        a, b = self.a, self.b
        if a.run == b.run:
            return "a and b are one run"
        if b.parent == a.run:
            return f"b was forked from a after turn {b.forked_at}"
        if a.parent == b.run:
            return f"a was forked from b after turn {a.forked_at}"
        if a.parent and a.parent == b.parent:
            return f"both were forked from {a.parent}: a after turn {a.forked_at}, b after turn {b.forked_at}"
        return ""


def timeless(text: str) -> str:
    """A text as it is compared: reports of code differ from run to run in how long the code took."""
    blocks = parse(text)
    return text if blocks is None else render([replace(block, seconds=0.0, state_lost=False) for block in blocks])


async def compare(a: str, b: str, *, store: Store | Path | str | None = None) -> Comparison:
    """Two runs beside each other, as far as they have come. Both are ids, or the beginnings of ids.

    Raises UserError for an unknown run, StoreError for a journal that cannot be read.
    """
    kept, opened = open_store(store)
    try:
        one, other = [await _story(kept, run) for run in (a, b)]
    finally:
        if opened:
            await kept.close()
    left, right = _side(one), _side(other)
    return Comparison(left, right, tuple(_settings(left, right)), tuple(_ends(left, right)), tuple(_pairs(one, other)))


async def _story(store: Store, run: str) -> Story:
    name = await find_run(store, run)
    return Story.of(name, await store.load(name))


def _side(story: Story) -> Side:
    created, done = story.created, story.finished
    if not isinstance(created, RunCreated):
        raise StoreError(f"run {story.run} does not begin with run.created: its journal is damaged")
    files = [(f"{who}/{file.name}", file.sha256) for who, kept in created.inputs.items() for file in kept]
    return Side(
        run=story.run,
        chat=created.chat,
        task="\n".join(story.task),
        participants=created.participants,
        models=dict(created.models),
        limits=dict(created.limits),
        inputs=dict(files),
        parent=story.forked.parent if story.forked is not None else "",
        forked_at=story.forked.turn if story.forked is not None else None,
        turns=story.count,
        outcome=str(done.outcome) if done is not None else None,
        rule=done.rule if done is not None else None,
        reason=done.reason if done is not None else None,
        result=done.result if done is not None else None,
        spent=_spending(story.usage),
    )


def _spending(usage: Usage) -> Spending:
    return Spending(usage.input_tokens, usage.output_tokens, usage.usd, usage.code_runs)


def _settings(a: Side, b: Side) -> Iterator[Difference]:
    yield from _different("chat", a.chat, b.chat)
    yield from _different("task", a.task, b.task)
    yield from _different("participants", ", ".join(a.participants), ", ".join(b.participants))
    for place, of_a, of_b in (("models", a.models, b.models), ("inputs", a.inputs, b.inputs)):
        for key in dict.fromkeys((*of_a, *of_b)):
            yield from _different(f"{place}.{key}", of_a.get(key), of_b.get(key))
    for key in dict.fromkeys((*a.limits, *b.limits)):
        yield from _different(f"limits.{key}", _number(a.limits.get(key)), _number(b.limits.get(key)))


def _ends(a: Side, b: Side) -> Iterator[Difference]:
    yield from _different("turns", str(a.turns), str(b.turns))
    yield from _different("outcome", a.outcome, b.outcome)
    yield from _different("rule", a.rule, b.rule)
    of_a, of_b = (None if side.result is None else timeless(side.result) for side in (a, b))
    yield from _different("result", of_a, of_b)


def _different(name: str, a: str | None, b: str | None) -> Iterator[Difference]:
    if a != b:
        yield Difference(name, a, b)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.12g}"


def _pairs(a: Story, b: Story) -> Iterator[Pair]:
    of_a, of_b = ({n: _said(t) for n, t in story.turns.items() if t.finished} for story in (a, b))
    for number in sorted({*of_a, *of_b}):
        yield Pair(number, of_a.get(number), of_b.get(number))


def _said(telling: Telling) -> Said:
    return Said(
        participant=telling.participant,
        text=telling.text,
        reason=telling.why.reason if telling.why is not None else "",
        code=tuple(_ran(block) for block in telling.blocks.values()),
        spent=_spending(telling.usage),
        seconds=telling.seconds,
    )


def _ran(block: Block) -> Ran:
    ran = block.ran
    if ran is None:
        return Ran(None, None, block.unread, "", None, ())
    files = tuple((file.name, file.sha256) for file in ran.files)
    return Ran(ran.exit_code, ran.skipped, ran.stdout, ran.stderr, ran.value, files)
