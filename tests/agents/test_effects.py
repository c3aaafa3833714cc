"""Effects: what reaches outside, once a turn, under a key that is the same every time."""

import asyncio
from collections.abc import Callable

from moot.agents.effects import SCOPE, Codec, Effect, Scope, effect
from moot.termination.ledger import NOTHING
from tests.fakes import FakeConversation, in_turn


def request(kind: str = "tool", announce: Callable[[str], None] | None = None) -> Effect[str]:
    return Effect(kind, "digest", Codec(lambda text: text, str), NOTHING, lambda _: NOTHING, announce)


async def words() -> str:
    return "done"


async def test_outside_a_run_an_effect_is_a_plain_call() -> None:
    assert SCOPE.get() is None
    assert await effect(request(), words) == "done"


async def test_effects_of_a_kind_are_numbered_in_their_scope(conversation: FakeConversation) -> None:
    in_turn(conversation)
    for kind in ("model", "code", "model"):
        await effect(request(kind), words)
    assert list(conversation.effects) == ["model/0", "code/0", "model/1"]


async def test_the_key_is_announced_before_anything_is_performed(conversation: FakeConversation) -> None:
    told: list[str] = []

    async def perform() -> str:
        told.append("performed")
        return "done"

    in_turn(conversation)
    await effect(request("code", told.append), perform)
    assert told == ["code/0", "performed"]


async def test_a_scope_below_another_shares_no_number_with_it(conversation: FakeConversation) -> None:
    above, below = Scope(conversation), Scope(conversation, "tool/c1/")
    assert [above.key("model"), below.key("model"), above.key("model"), below.key("model")] == [
        "model/0", "tool/c1/model/0", "model/1", "tool/c1/model/1",
    ]  # fmt: skip


async def test_parallel_tasks_of_one_turn_share_its_scope(conversation: FakeConversation) -> None:
    in_turn(conversation)
    await asyncio.gather(*(effect(request(kind), words) for kind in ("x", "y", "y")))
    assert set(conversation.effects) == {"x/0", "y/0", "y/1"}


async def test_a_recorded_result_is_served_and_nothing_is_performed(conversation: FakeConversation) -> None:
    conversation.recorded["tool/0"] = "what it was"
    in_turn(conversation)
    assert await effect(request(), words) == "what it was"
    assert conversation.results == {}


def test_no_two_ids_of_calls_ever_share_a_key(conversation: FakeConversation) -> None:
    scope = Scope(conversation)
    idents = ["a", "a", "a#1", "a?0", "~a", "a/b", "a b", "\ud800", "\ufffd", "ä", "a" * 65, "a" * 66, "a\n", "a"]
    keys = [scope.key("tool", ident) for ident in idents]
    assert len(set(keys)) == len(keys)
    assert keys[:2] == ["tool/a", "tool/a#1"]
    for key in keys:
        assert key.isascii()
        assert key.count("/") == 1


def test_plain_ids_stand_in_keys_as_they_are(conversation: FakeConversation) -> None:
    scope = Scope(conversation)
    for ident in ("call_7", "functions.add:0", "toolu_01-X", "a" * 64):
        assert scope.key("tool", ident) == f"tool/{ident}"
