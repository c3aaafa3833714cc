"""The fakes stand in at the seams, and what is performed is counted."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, CreateResult, LLMMessage, UserMessage

from moot.chats.event_types import RunPaused
from moot.chats.journal import Journal
from moot.chats.owner import is_dead, new_owner
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Store
from moot.testing import DyingStore, FakeModel, Killed, MemoryStore, performed, tool_call
from moot.testing.performed import watched
from moot.testing.store import dead_owner


def said(*replies: str) -> Sequence[LLMMessage]:
    """A conversation in which the model gave these replies."""
    return [UserMessage(content="go", source="user"), *(AssistantMessage(content=r, source="model") for r in replies)]


async def test_a_list_of_answers_goes_on_where_the_conversation_stands() -> None:
    model = FakeModel(["one", [tool_call("look", {"at": 1})], "three"])
    assert (await model.create(said("one", "two"))).content == "three"
    assert (await model.create(said())).content == "one"
    assert (await model.create(said())).content == "one", "the same to the same request"
    assert (await model.create(said("one"))).content == [FunctionCall(id="call", name="look", arguments='{"at": 1}')]
    assert model.calls == len(model.requests) == 4
    with pytest.raises(RuntimeError, match="with 3 answers was asked for answer 4"):
        await model.create(said("one", "two", "three"))


async def test_a_model_fails_as_told_and_answers_by_a_function() -> None:
    async def late(messages: Sequence[LLMMessage], number: int) -> str:
        return f"call {number} of {len(messages)}"

    assert (await FakeModel(late).create(said())).content == "call 1 of 1"
    with pytest.raises(ConnectionError, match="gone"):
        await FakeModel([ConnectionError("gone")]).create(said())


async def test_a_model_streams_its_words_and_then_the_result() -> None:
    *words, result = [item async for item in FakeModel(["one two"]).create_stream(said())]
    assert words == ["one ", "two "]
    assert isinstance(result, CreateResult)
    assert result.content == "one two"
    assert result.usage.prompt_tokens == 10


async def test_what_is_performed_is_seen_where_somebody_watches() -> None:
    performed("unseen")
    with watched() as seen:
        await FakeModel().create(said())
        performed("pay")
    performed("unseen")
    assert [sighting.what for sighting in seen] == ["model", "pay"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_store_dies_at_an_append_and_stays_dead(kind: str, after: bool, tmp_path: Path) -> None:
    inner: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "moot.db", "OFF")
    store = DyingStore(inner, at=2, after=after)
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    journal = Journal(store, claim)
    for n in range(3):
        journal.stage(RunPaused(reason=str(n)))
        if n == 0:
            await journal.flush()
            continue
        with pytest.raises(Killed, match="after its commit" if after else "before its commit"):
            await journal.flush()
    await store.release(claim)
    assert (store.fired, store.appends, store.last) == (True, 2, ("run.paused",))
    assert len(await inner.load("r")) == (2 if after else 1)
    assert (await inner.claim("r", new_owner())).epoch == claim.epoch + 1, "the dead hold up nobody"
    await store.close()


def test_the_kit_does_without_pytest() -> None:
    program = "import moot.testing, sys; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_dead_owner_is_dead() -> None:
    assert is_dead(dead_owner())
    assert not is_dead(new_owner())
