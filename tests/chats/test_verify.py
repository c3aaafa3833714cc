"""A journal that is as it was written has no problems; one that was changed anywhere has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pytest
from autogen_core.models import ChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient

from moot.agents.assistant import assistant
from moot.agents.executor import executor
from moot.agents.ran import RanBlock, StoredFile
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.events import Event
from moot.chats.memory_store import MemoryStore
from moot.chats.store import Chain
from moot.chats.verify import verify_run
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits

CODE = "```python\nprint(1)\n```"


class Altered(MemoryStore):
    """A store whose events somebody has changed, who wrote a new digest for them: the fold alone can tell."""

    def __init__(self, events: Sequence[Event], whole: MemoryStore) -> None:
        super().__init__()
        self.blobs, self._events = whole.blobs, list(events)

    async def load(self, run: str, after: int = 0, *, types: Collection[str] = ()) -> list[Event]:
        assert not types
        return self._events[after:]

    async def chain(self, run: str) -> Chain:
        return Chain("as it is", "as it is")


class Edited(MemoryStore):
    """A store whose rows have another digest than was recorded."""

    async def chain(self, run: str) -> Chain:
        return Chain("aa", "bb")


@dataclass
class Journal:
    run: str
    events: list[Event]
    store: MemoryStore

    async def problems(self, change: Callable[[list[Event]], Sequence[Event]]) -> list[str]:
        return await verify_run(Altered(change(list(self.events)), self.store), self.run)

    def at(self, kind: str, nth: int = 0) -> int:
        return [n for n, event in enumerate(self.events) if event.type == kind][nth]


def model(*replies: str) -> ChatCompletionClient:
    return ReplayChatCompletionClient(list(replies))


@pytest.fixture
async def journal() -> Journal:
    """Two who talk and one who runs code that leaves a file."""
    plot = b"\x89PNG"
    file = Artifact(name="plot.png", size=len(plot), sha256=hashlib.sha256(plot).hexdigest(), data=plot)
    made = Execution(exit_code=0, stdout="1\n", artifacts=(file,))
    chat = Chat(
        [assistant("coder", "Code.", model=model(CODE, CODE)), executor("runner", Fake(lambda code, language: made))],
        limits=Limits(turns=4),
    )
    store = MemoryStore()
    run = await chat.run("Plot.", store=store)
    assert run.turns == 4
    return Journal(run.id, await store.load(run.id), store)


async def test_what_was_written_is_right(journal: Journal) -> None:
    assert await journal.problems(lambda events: events) == []


async def test_a_run_that_was_left_is_right_too(journal: Journal) -> None:
    for end in range(1, len(journal.events)):
        assert await journal.problems(lambda events, end=end: events[:end]) == []  # type: ignore[misc]


async def test_every_event_that_is_taken_away_is_missed(journal: Journal) -> None:
    for gone in range(len(journal.events) - 1):
        found = await journal.problems(lambda events, gone=gone: events[:gone] + events[gone + 1 :])  # type: ignore[misc]
        assert found, journal.events[gone].type


def numbered(events: Sequence[Event]) -> list[Event]:
    return [event._replace(seq=n) for n, event in enumerate(events, 1)]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("turn.finished", "finished twice"),
        ("effect.completed", "has two results"),
        ("turn.started", "attempt 2 comes next, not 1"),
        ("speaker.selected", "is not finished"),
        ("run.created", "a run is created once"),
        ("run.finished", "the run is over"),
    ],
)
async def test_an_event_that_stands_twice_is_told(journal: Journal, kind: str, said: str) -> None:
    at = journal.at(kind)
    found = await journal.problems(lambda events: numbered([*events[: at + 1], *events[at:]]))
    assert any(said in problem for problem in found), found


async def test_two_turns_that_changed_places_are_told(journal: Journal) -> None:
    one, two = journal.at("turn.finished", 0), journal.at("turn.finished", 2)

    def swapped(events: list[Event]) -> list[Event]:
        events[one], events[two] = events[two], events[one]
        return numbered(events)

    assert await journal.problems(swapped)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"turns": 5}, "claims 5 turns, the journal has 4"),
        ({"digest": "0" * 32}, "claims a transcript of digest"),
        ({"usage": ev.Spent(input_tokens=1, output_tokens=10**6, code_runs=2)}, "output_tokens"),
        ({"usage": ev.Spent(code_runs=9)}, "code_runs"),
        ({"artifacts": ()}, "names other files"),
    ],
)
async def test_a_claim_that_the_fold_does_not_bear_out_is_told(
    journal: Journal, change: dict[str, object], said: str
) -> None:
    def claimed(events: list[Event]) -> list[Event]:
        events[-1] = events[-1]._replace(data=events[-1].data.model_copy(update=change))
        return events

    assert any(said in problem for problem in await journal.problems(claimed))


async def test_a_word_that_was_changed_is_told(journal: Journal) -> None:
    at = journal.at("turn.finished")
    data = journal.events[at].data
    assert isinstance(data, ev.TurnFinished)
    reply = {"type": "TextMessage", "source": "coder", "content": "I never said that"}

    def changed(events: list[Event]) -> list[Event]:
        events[at] = events[at]._replace(data=data.model_copy(update={"reply": reply}))
        return events

    assert any("digest" in problem for problem in await journal.problems(changed))


async def test_rows_of_another_digest_are_told_where_the_fold_finds_nothing(journal: Journal) -> None:
    edited = Edited()
    edited.__dict__.update(journal.store.__dict__)
    (problem,) = await verify_run(edited, journal.run)
    assert "changed after it was written" in problem
    assert "digest bb, recorded was aa" in problem


async def test_output_of_code_that_the_turn_did_not_report_is_told(journal: Journal) -> None:
    at = [n for n, e in enumerate(journal.events) if isinstance(e.data, ev.EffectCompleted) and e.data.key == "code/0"]
    assert len(at) == 2

    def changed(events: list[Event], **update: object) -> list[Event]:
        for n in at:
            data = events[n].data
            assert isinstance(data, ev.EffectCompleted)
            ran = RanBlock.read(data.result).model_copy(update=update)
            events[n] = events[n]._replace(data=data.model_copy(update={"result": ran}))
        return events

    printed = await journal.problems(lambda events: changed(events, stdout="2\n"))
    assert ["does not report" in problem for problem in printed] == [True, True]
    ended = await journal.problems(lambda events: changed(events, exit_code=1))
    assert ["not what code.finished says" in problem for problem in ended] == [True, True]


async def test_a_file_that_is_missing_or_of_another_size_is_told(journal: Journal) -> None:
    at = journal.at("code.finished")
    data = journal.events[at].data
    assert isinstance(data, ev.CodeFinished)
    for file, said in (
        (StoredFile(name="gone.png", size=4, sha256="0" * 64), "gone.png"),
        (data.files[0].model_copy(update={"size": 5}), "is said to have 5 bytes, it has 4"),
    ):

        def changed(events: list[Event], file: StoredFile = file) -> list[Event]:
            events[at] = events[at]._replace(data=data.model_copy(update={"files": (file,)}))
            return events

        assert any(said in problem for problem in await journal.problems(changed))


async def test_an_empty_journal_and_a_lost_beginning_are_told(journal: Journal) -> None:
    assert await journal.problems(lambda events: []) == ["the journal is empty"]
    (problem,) = await journal.problems(lambda events: events[1:])
    assert "not run.created" in problem


async def test_an_event_of_a_later_version_is_no_problem(journal: Journal) -> None:
    at = journal.at("turn.finished")
    unknown = Event("moon.phase", 0, 0, "", ev.Unknown(facts={"full": True}))
    assert await journal.problems(lambda events: numbered([*events[:at], unknown, *events[at:]])) == []
