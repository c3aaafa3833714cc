"""A run by the beginning of its id."""

import pytest

from moot.chats.errors import UserError
from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.find import find_run
from moot.chats.memory_store import MemoryStore
from moot.chats.owner import new_owner


async def with_runs(*names: str) -> MemoryStore:
    store = MemoryStore()
    for name in names:
        await store.create(name, "chat")
        await store.append(await store.claim(name, new_owner()), 0, [Event("warning", 0, 0, "", Warned(text="x"))])
    return store


async def test_the_beginning_of_an_id_is_enough_in_either_case() -> None:
    store = await with_runs("01kag2aaaa", "01kah3bbbb", "01kah3")
    assert await find_run(store, "01kag") == "01kag2aaaa"
    assert await find_run(store, " 01KAG2 ") == "01kag2aaaa"
    assert await find_run(store, "01kah3") == "01kah3"


async def test_several_runs_are_named() -> None:
    store = await with_runs("01kag2", "01kag3")
    with pytest.raises(UserError, match=r"'01kag' is the beginning of 2 runs \(01kag2, 01kag3"):
        await find_run(store, "01kag")


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("01kag2ax", "did you mean 01kag2aa77?"),
        ("O1kah3", "did you mean 01kah3bb88?"),
        ("01kah3bb88zzz", "did you mean 01kah3bb88?"),
        ("xyz", "no run begins with 'xyz'; the newest are 01kah3bb88, 01kag2aa77"),
    ],
)
async def test_a_run_that_is_nearly_right_is_suggested(prefix: str, said: str) -> None:
    store = await with_runs("01kag2aa77", "01kah3bb88")
    with pytest.raises(UserError) as refused:
        await find_run(store, prefix)
    assert said in str(refused.value)


async def test_without_runs_there_is_nothing_to_suggest() -> None:
    with pytest.raises(UserError, match="no run begins with 'x'; there are no runs yet"):
        await find_run(MemoryStore(), "x")


@pytest.mark.parametrize("empty", ["", " ", "\t"])
async def test_an_empty_id_names_no_run_not_the_only_one(empty: str) -> None:
    store = await with_runs("01kag2aa77")
    with pytest.raises(UserError, match="an empty id names no run"):
        await find_run(store, empty)
