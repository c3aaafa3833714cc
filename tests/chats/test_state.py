"""State is the fold of the journal: a run that is read back knows what the run knew that was driven."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import MessageFactory, TextMessage

from moot.agents.executor import executor
from moot.chats.chat import Chat
from moot.chats.errors import StoreError
from moot.chats.event_types import MessageSaid, RunCreated, Unknown
from moot.chats.events import Event
from moot.chats.graph import graph
from moot.chats.sqlite_store import SqliteStore
from moot.chats.state import State
from moot.sandbox.errors import EngineUnavailable
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.rules import says
from tests.fakes import Counting, Scripted, steps


def plot(code: str, language: str) -> Execution:
    data = code.encode()
    return Execution(exit_code=0, stdout="4", artifacts=(Artifact("out.txt", len(data), digest(data), data),))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def shaky(messages: object, number: int) -> str:
    if number % 3 == 1:
        raise ConnectionError("down")
    return f"answer {number}"


def down(messages: object, number: int) -> str:
    raise ConnectionError("down")


CHATS: dict[str, Callable[[], Chat]] = {
    "round robin with a warning": lambda: Chat([Scripted("a"), Scripted("b")], limits=Limits(turns=5)),
    "assistants and a failing model": lambda: Chat(
        [AssistantAgent("a", Counting(shaky)), AssistantAgent("b", Counting())], limits=Limits(turns=6, tokens=5000)
    ),
    "fan-out and join": lambda: Chat(
        [Scripted(n) for n in ("plan", "left", "right", "judge")],
        speakers=graph("plan -> left, right", "left, right -> judge", "judge -> plan"),
        stop=says("judge", "judge 2"),
        limits=Limits(turns=30),
    ),
    "a note": lambda: Chat(
        [Scripted("a"), Scripted("b")],
        speakers=type(s := steps("a", "a b"))(s.plan, note="psst"),
        limits=Limits(turns=9),
    ),
    "code": lambda: Chat(
        [Scripted("coder", lambda n, _: f"```python\nprint({n})\n```"), executor("runner", Fake(plot))],
        limits=Limits(turns=6),
    ),
    "no sandbox": lambda: Chat(
        [Scripted("coder", lambda *_: "```python\n1\n```"), executor("runner", Fake(error=EngineUnavailable("down")))],
        limits=Limits(turns=6),
    ),
    "one that cannot go on": lambda: Chat(
        [Scripted("a"), AssistantAgent("b", Counting(down))], speakers=steps("a b"), limits=Limits(turns=9)
    ),
    "a call too many": lambda: Chat([AssistantAgent("a", Counting())], limits=Limits(tokens=700)),
}


def view(state: State) -> dict[str, Any]:
    """Everything a state knows."""

    def said(message: Any) -> object:
        return message.model_dump(mode="json")

    turns = [(t.number, t.step, t.participant, said(t.message), t.code_runs) for t in state.transcript.history]
    return {
        "participants": state.transcript.participants,
        "task": [said(m) for m in state.transcript.task],
        "history": turns,
        "step": [(t.number, said(t.message)) for t in state.step],
        "inbox": {name: [said(m) for m in box] for name, box in state.inbox.items()},
        "open": {n: (t.step, t.participant, t.attempts, t.failures, t.seen, t.running) for n, t in state.open.items()},
        "recorded": {n: sorted((k, r.digest, r.state) for k, r in t.recorded.items()) for n, t in state.open.items()},
        "total": state.ledger.total,
        "by participant": state.ledger.by_participant,
        "seconds": state.ledger.seconds,
        "reserved": state.ledger.reserved,
        "warned": state.ledger.warned,
        "files": state.files,
        "status": (state.status, state.finished, state.paused, state.steps, state.head, state.digest),
    }


@pytest.mark.parametrize("name", CHATS)
async def test_a_state_that_is_folded_from_the_file_is_the_one_that_was_lived(name: str, sqlite: SqliteStore) -> None:
    run = await CHATS[name]().run("go", store=sqlite)
    lived = run._table.state
    folded = State(run.id, MessageFactory())
    folded.fold(await sqlite.load(run.id))
    assert view(folded) == view(lived)
    assert folded.stop() == run.stopped_by
    assert folded.usage() == lived.usage()


@pytest.mark.parametrize("name", CHATS)
async def test_every_prefix_of_a_journal_can_be_folded(name: str, sqlite: SqliteStore) -> None:
    run = await CHATS[name]().run("go", store=sqlite)
    events = await sqlite.load(run.id)
    for length in range(1, len(events) + 1):
        prefix = State(run.id, MessageFactory())
        prefix.fold(events[:length])
        assert prefix.head == length
        assert prefix.turns == len(prefix.transcript.history)


async def test_events_of_unknown_types_change_nothing(sqlite: SqliteStore) -> None:
    run = await CHATS["fan-out and join"]().run("go", store=sqlite)
    plain, strange = State(run.id, MessageFactory()), State(run.id, MessageFactory())
    for event in await sqlite.load(run.id):
        plain.apply(event)
        strange.apply(event)
        strange.apply(Event("from.the.future", event.turn, 0, "", Unknown(facts={"x": 1})))
    assert view(strange) == view(plain)


def test_a_message_of_an_unknown_type_asks_for_the_chat_that_made_it() -> None:
    state = State("r1", MessageFactory())
    state.apply(Event("run.created", 0, 0, "", RunCreated(chat="c", participants=("a",), limits={"turns": 1})))
    with pytest.raises(StoreError, match="run r1: Unknown message type: Mine; open the run with the chat that made it"):
        state.apply(Event("message", 0, 0, "", MessageSaid(message={"type": "Mine"})))
    with pytest.raises(StoreError, match="run r1: a message must be an object, got int"):
        state.apply(Event("message", 0, 0, "", MessageSaid(message=4)))


def test_who_said_what_in_which_order_gives_the_digest() -> None:
    def digest_of(*said: tuple[str, str]) -> str:
        state = State("r1", MessageFactory())
        state.apply(Event("run.created", 0, 0, "", RunCreated(chat="c", participants=("a",), limits={"turns": 1})))
        for source, text in said:
            state.apply(Event("message", 0, 0, "", MessageSaid(message=TextMessage(content=text, source=source))))
        return state.digest

    digests = [
        digest_of(("a", "x"), ("b", "y")), digest_of(("b", "y"), ("a", "x")), digest_of(("a", "x")),
        digest_of(("a", "xb"), ("", "y")), digest_of(("ax", ""), ("b", "y")),
    ]  # fmt: skip
    assert len(set(digests)) == len(digests)
    assert digest_of(("a", "x")) == digest_of(("a", "x"))
