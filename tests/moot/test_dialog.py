"""One question to a person: which keys decide what, and what they are shown before they decide."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from moot.agents.human import human
from moot.chats.chat import Chat
from moot.chats.commands import Decide
from moot.chats.event_types import RequestDecided
from moot.chats.memory_store import MemoryStore
from moot.chats.notes import Asked as Told
from moot.chats.outside import post, requests
from moot.chats.requests import Request
from moot.chats.run import open_run
from moot.chats.speakers import Choice
from moot.chats.story import Story
from moot.chats.telling import Telling
from moot.cli.conduct import Interrupts
from moot.cli.dialog import Answer, Asked, Dialog
from moot.cli.inline import Inline, deny
from moot.cli.lines import Left, Typed
from moot.termination.limits import Limits
from moot.termination.transcript import Transcript

ALL = ("approve", "edit", "reject", "respond")


@dataclass
class Keys:
    """What a person types, line by line; then they leave."""

    lines: list[str | Typed]
    before: str = ""
    """What they typed before they were asked."""
    keeps: bool = True
    hint: str = "Enter sends it"
    given: list[tuple[str, str]] = field(default_factory=list)
    """Each label, and the text that a line began with."""
    opened: int = 0

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.opened -= 1

    def ahead(self) -> str:
        before, self.before = self.before, ""
        return before

    async def line(self, label: str, text: str = "") -> Typed:
        self.given.append((label, text))
        if not self.lines:
            raise Left
        typed = self.lines.pop(0)
        return typed if isinstance(typed, Typed) else Typed(typed)


def request(kind: str, name: str = "q2", allow: tuple[str, ...] = ALL, **payload: object) -> Request:
    return Request(
        id=name, kind=kind, participant="ann", turn=2, payload=payload, digest=name, allow=allow, asked=0.0, key=name
    )


async def decide(
    about: Request, keys: Keys, story: Story | None = None, *, late: bool = False
) -> tuple[Answer | None, str]:
    """What comes of it, None where it was left; and the screen."""
    out = io.StringIO()
    on = Console(file=out, width=100, height=24, markup=False, emoji=False, highlight=False, force_terminal=False)
    dialog = Dialog(Asked(about, story or Story("01run"), "01ru", late=late), keys, on, Interrupts())
    try:
        return await dialog.decide(), out.getvalue()
    except Left:
        return None, out.getvalue()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (["a"], Answer("approve")),
        ([" Approve "], Answer("approve")),
        (["", "x", "yes", "ok", "?", "a"], Answer("approve")),
        (["r", "  too plain "], Answer("reject", "too plain")),
        (["r", " ", "r", "why"], Answer("reject", "why")),
        (["w", "one\ntwo"], Answer("respond", "one\ntwo")),
        (["l"], None),
        (["r"], None),
        (["d", "v", "later"], None),
        ([], None),
    ],
)
async def test_a_key_decides_and_nothing_else_does(typed: list[str | Typed], answer: Answer | None) -> None:
    decided, screen = await decide(request("code", code="print(1)", language="python"), Keys(typed))
    assert decided == answer
    assert "print(1)" in screen
    assert "[a]pprove  [e]dit  [r]eject  [w]rite an answer  [v]iew all  [l]ater  ?" in screen


async def test_a_reason_on_the_line_of_its_key_begins_what_is_written_and_decides_nothing() -> None:
    keys = Keys(["r  too plain", "too plain, Ann", "reject never reached"])
    decided, _ = await decide(request("code", code="1"), keys)
    assert decided == Answer("reject", "too plain, Ann")
    assert keys.given == [("> ", ""), ("reason> ", "too plain")]
    decided, screen = await decide(request("code", allow=("approve",), code="1"), Keys(["w so it is", "approve it"]))
    assert decided is None
    assert "'w so it is' is none of these; nothing is decided yet" in screen
    assert "'approve it' is none of these; nothing is decided yet" in screen


async def test_only_what_is_allowed_is_offered_and_taken() -> None:
    decided, screen = await decide(request("code", allow=("approve", "reject"), code="1"), Keys(["e", "w", "a"]))
    assert decided == Answer("approve")
    assert screen.count("[a]pprove  [r]eject  [v]iew all  [l]ater  ?") == 3
    assert "[e]dit" not in screen


async def test_a_plain_question_takes_what_is_typed_whatever_letter_it_is() -> None:
    decided, screen = await decide(request("input", allow=("respond",), prompt="Go?"), Keys(["  ", "a"]))
    assert decided == Answer("respond", "a")
    assert "an answer needs some text" in screen
    assert "[a]pprove" not in screen


async def test_whoever_did_not_see_the_run_is_shown_what_was_said_before_they_are_asked() -> None:
    story = Story("01run")
    story.turns[1] = Telling(1, "bob", finished=True, text="ASK: which of the two?")
    about = request("input", allow=("respond",), prompt="Bob asks you.")
    answer, screen = await decide(about, Keys(["this"]), story, late=True)
    assert answer == Answer("respond", "this")
    assert screen.split("\n", 4)[1:4] == [
        "bob said (turn 1):",
        "│ ASK: which of the two?",
        "? q2  ann asks for an answer  (turn 2)",
    ]
    assert "which of the two" not in (await decide(about, Keys(["this"]), story))[1]
    assert "which of the two" in (await decide(about, Keys([Typed("th", "all"), "this"]), story))[1]


async def test_what_was_typed_ahead_begins_what_is_written_and_decides_nothing() -> None:
    keys = Keys(["", "w", "done"], before="a\nhalf a thought")
    decided, screen = await decide(request("code", code="1"), keys)
    assert decided == Answer("respond", "done")
    assert keys.given == [("> ", ""), ("> ", ""), ("answer> ", "a\nhalf a thought")]
    assert "typed before this was asked, 2 lines: 'a half a thought': no decision; it begins what you write" in screen
    plain = Keys(["w", "done"], before="a", keeps=False)
    _, screen = await decide(request("code", code="1"), plain)
    assert plain.given[1] == ("answer> ", "")
    assert "no decision; it is not used" in screen


@pytest.mark.parametrize(
    ("code", "hidden"),
    [("\n".join(f"line {n}" for n in range(200)), "line 199"), ("print(1)\u202e", r"\u202e")],
)
async def test_what_was_not_shown_whole_is_approved_at_the_second_try(code: str, hidden: str) -> None:
    about = request("code", code=code)
    decided, screen = await decide(about, Keys(["a"]))
    assert decided is None
    assert "not all of it was shown: v shows it; a once more approves it unseen" in screen
    assert hidden not in screen
    assert (await decide(about, Keys(["a", "a"])))[0] == Answer("approve")


async def test_arguments_are_shown_as_json_and_messages_as_text() -> None:
    _, screen = await decide(request("tool", tool="send", arguments={"to": "bob", "n": [1]}), Keys([]))
    assert 'ann asks whether to call send' in screen  # fmt: skip
    assert '│   "to": "bob",' in screen
    _, screen = await decide(request("message", message="# one\n\ntwo"), Keys([]))
    assert "│ # one\n│\n│ two\n" in screen.replace("│ \n", "│\n")


async def test_what_is_different_from_what_was_last_approved_is_shown() -> None:
    story = Story("01run")
    for name, decision, code, edited in (("q0", "edit", "x", "one\ntwo"), ("q1", "reject", "other", "")):
        made = RequestDecided.model_validate(
            {"id": name, "decision": decision, "text": "", "by": "eve", "edited": edited, "digest": name}
        )
        story.asked[name] = Told(request("code", name, code=code), made)
    decided, screen = await decide(request("code", code="one\nthree"), Keys(["d", "a"]), story)
    assert decided == Answer("approve")
    assert "[d]iff" in screen
    assert "compared with q0, which was edited and approved:\n" in screen
    assert "│ -two\n│ +three" in screen
    story.asked.pop("q0")
    _, screen = await decide(request("code", code="one\nthree"), Keys(["d"]), story)
    assert "compared with q1, which was rejected:\n" in screen
    _, screen = await decide(request("tool", tool="send", arguments={}), Keys(["d"]), story)
    assert "nothing of this kind was decided before" in screen


class Everybody:
    """All speak at once."""

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice:
        return Choice(tuple(eligible), "all at once", "everybody")


def three() -> Chat:
    people = [human(name, prompt=f"Well, {name}?") for name in ("ann", "bob", "cid")]
    return Chat(people, speakers=Everybody(), limits=Limits(turns=3))


async def left(store: MemoryStore) -> Story:
    run = await (await three().start("Go.", store=store)).finish()
    assert run.status == "waiting"
    return Story.of(run.id, await store.load(run.id))


def screen() -> Console:
    return Console(file=io.StringIO(), width=100, height=24, markup=False, highlight=False, force_terminal=False)


async def test_several_questions_are_asked_one_after_another_and_each_answer_is_kept_at_once() -> None:
    store, on, keys = MemoryStore(), screen(), Keys(["one"])
    story = await left(store)
    assert not await Inline(store, Interrupts(), keys, on).ask(story, "01ru")
    assert keys.opened == 0
    assert [one.id for one in await requests(story.run, store)] == ["q2", "q3"]
    assert isinstance(on.file, io.StringIO)
    assert "(turn 1)  1 of 3" in on.file.getvalue()
    assert "(turn 2)  2 of 3" in on.file.getvalue()
    assert "3 of 3" not in on.file.getvalue()
    again = Story.of(story.run, await store.load(story.run))
    again.asked.pop("q1")
    assert await Inline(store, Interrupts(), Keys(["two", "three"]), on).ask(again, "01ru")
    run = await (await open_run(story.run, chat=three(), store=store)).finish()
    assert sorted(turn.text for turn in run.transcript.history) == ["one", "three", "two"]


async def test_a_decision_that_was_taken_elsewhere_ends_the_question() -> None:
    store, on = MemoryStore(), screen()
    story = await left(store)
    for request in story.waiting:
        decided = Decide(request=request.id, decision="respond", text="so", by="eve", digest=request.digest)
        await post(story.run, decided, store)
    assert await Inline(store, Interrupts(), Patient(), on).ask(story, "01ru")
    assert isinstance(on.file, io.StringIO)
    for name in ("q1", "q2", "q3"):
        assert f"{name} was answered by eve meanwhile" in on.file.getvalue()


class Patient(Keys):
    """Somebody who has not made up their mind."""

    def __init__(self) -> None:
        super().__init__([])

    async def line(self, label: str, text: str = "") -> Typed:
        await asyncio.Event().wait()
        raise AssertionError


async def test_denying_decides_nothing_where_nothing_can_be_rejected() -> None:
    store = MemoryStore()
    story = await left(store)
    assert not await deny(store, story)
    assert len(await requests(story.run, store)) == 3
