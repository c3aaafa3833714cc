"""What every export for readers says, in plain words: whoever shows them makes them safe in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from moot.agents.ran import RanBlock
from moot.chats import words
from moot.chats.event_types import RunCreated, SpeakerSelected
from moot.chats.followed import START, followed, speakers, steps
from moot.chats.notes import Asked, question
from moot.chats.speakers import SELECT
from moot.chats.story import Story
from moot.chats.words import how_chosen
from moot.termination.ledger import Usage
from moot.termination.limits import Limits

SELECTING = "picking the speakers"
"""What `select` is, where its costs stand among those of participants."""


def facts(story: Story, created: RunCreated) -> dict[str, str]:
    """What a run is made of."""
    return {
        "Chat": created.chat,
        "Started": time_words(story.started),
        "Participants": ", ".join(created.participants),
        "Models": ", ".join(f"{who}: {model}" for who, model in created.models.items()) or "none",
        "Limits": Limits(**created.limits).words(),  # type: ignore[arg-type]
        "Moot": created.moot,
    }


def policy(why: SpeakerSelected) -> str:
    """Which policy chose, and how it went: `selector, 2 tries, fallback least recent`."""
    return how_chosen(why)


def others(why: SpeakerSelected) -> list[str]:
    """Who could have been chosen besides, where there was a choice."""
    if why.policy == "round_robin":
        return []
    return [name for name in why.candidates if name not in why.chosen]


def ran_words(ran: RanBlock, own: bool) -> tuple[str, str]:
    """How a program ended: `Exit code 1`, `after 0.20 s, timed out`. `own`: whether more than its output is known."""
    if ran.skipped is not None:
        kind, _, detail = ran.skipped.partition(": ")
        return f"SKIPPED ({kind})", detail
    if not own:
        return f"Exit code {ran.exit_code}", ""
    flags = {
        "timed out": ran.timed_out,
        "out of memory": ran.oom,
        "output truncated": ran.truncated,
        "variables lost": ran.state_lost,
    }
    said = "".join(f", {word}" for word, holds in flags.items() if holds)
    return f"Exit code {ran.exit_code}", f"after {ran.seconds:.2f} s{said}"


def left(story: Story) -> tuple[str, list[str]]:
    """Why a run that is not finished does not go on, and the questions that are open."""
    if waiting := story.waiting:
        return "It waits for a person to decide:", [f"{request.id}: {question(request)}" for request in waiting]
    if story.waits_for:
        return "What it waited for is decided; nobody has driven it on yet.", []
    return (f"Paused: {story.paused}" if story.paused else "It was left without a word."), []


def damage(story: Story) -> str:
    """What is to be said of a journal that is not one."""
    return "Its journal is damaged: it does not begin with run.created." if story.events else "Its journal is empty."


@dataclass(frozen=True, slots=True)
class Spender:
    """What one participant took: for certain, at most besides, and in seconds of work."""

    name: str
    usage: Usage
    doubtful: Usage
    seconds: float
    turns: int
    """That it finished, copied ones among them."""
    seated: bool
    """False of `select`, which is nobody at the table."""


def spenders(story: Story) -> Iterator[Spender]:
    """Everybody at the table, and `select` where a model picked the speakers. What a fork copied was spent before."""
    own = story.forked.turn if story.forked is not None else 0
    spending = story.spending
    begun = (who for who, _ in (*spending.given_up, *spending.open.values()))
    for name in dict.fromkeys([*speakers(story), *spending.by_participant, *begun]):
        usage, doubtful = spending.by_participant.get(name, Usage()), spending.doubtful(name)
        turns = [turn for turn in story.turns.values() if turn.participant == name]
        took = sum(turn.seconds for turn in turns if turn.number > own) if name != SELECT else _choosing(story, own)
        yield Spender(name, usage, doubtful, took, sum(turn.finished for turn in turns), name != SELECT)


def _choosing(story: Story, own: int) -> float:
    """How long picking the speakers took, after that turn."""
    return sum(step[0].why.seconds for step in steps(story) if step[0].number > own and step[0].why is not None)


def doubt(story: Story) -> str:
    """What calls without a result may have taken, empty where there are none."""
    most = story.spending.doubtful()
    tokens = most.tokens or most.known_usd or not most.priced
    parts = [f"{most.tokens:,} tokens, {words.money(most)}"] if tokens else []
    parts += [words.count(most.code_runs, "code run")] if most.code_runs else []
    return f"Calls of which no result is known may have taken up to {', '.join(parts)} more." if parts else ""


def pairs(story: Story) -> list[tuple[str, str, int]]:
    """Who spoke after whom, and how often; the first of a pair is empty where the run began."""
    names = [START, *speakers(story)]
    found = followed(story)
    return [(first, then, found[first, then]) for first in names for then in names if (first, then) in found]


def edit_of(asked: Asked) -> tuple[str, str]:
    """What a person put in place of what was shown, and the difference; both empty where nothing was edited."""
    decided = asked.decided
    if decided is None or decided.decision != "edit":
        return "", ""
    return decided.edited, decided.diff


def time_words(ts: float) -> str:
    """`2026-11-20 22:29:23 UTC`."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
