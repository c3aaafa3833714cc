"""Assistants: participants that a model speaks for."""

import pytest
from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient

from moot.agents.assistant import Assistant, assistant
from moot.agents.errors import ModelError
from moot.agents.playbook import Playbook
from moot.agents.seat import Inner
from tests.fakes import Counting, FakeConversation, in_turn

HI = [TextMessage(content="hi", source="user")]
PLAYBOOK = Playbook.parse("version: 1\nname: p\nparts:\n  a:\n    - say: I am a\n  b:\n    - say: I am b\n")


def playbooks(name: str) -> Playbook:
    if name != "p":
        raise ModelError(f"no playbook {name!r}")
    return PLAYBOOK


async def said(who: Assistant, model: str | ChatCompletionClient | None = None) -> str:
    seat = who.seat(model, playbooks)
    in_turn(FakeConversation())
    heard: list[Inner] = []
    return (await seat.speak(HI, CancellationToken(), heard.append)).to_text()


def test_an_assistant_needs_instructions_or_a_goal() -> None:
    with pytest.raises(ValueError, match="assistant 'a' needs instructions or a goal"):
        assistant("a")


async def test_its_model_is_told_who_it_is() -> None:
    model = Counting()
    await said(assistant("a", "Be brief.", goal="win", backstory="You come from the sea."), model)
    assert model.requests[0][0].content == (
        "You are a, a participant of a group chat. Speak only for yourself.\n"
        "You come from the sea.\nYour goal: win\nBe brief."
    )


async def test_its_own_model_wins_over_the_chats() -> None:
    own, chats = Counting(lambda m, n: "own"), Counting(lambda m, n: "the chat's")
    assert await said(assistant("a", "x", model=own), chats) == "own"
    assert await said(assistant("a", "x"), chats) == "the chat's"
    assert (len(own.requests), len(chats.requests)) == (1, 1)


def test_without_any_model_it_is_refused() -> None:
    with pytest.raises(ValueError, match="assistant 'a' has no model and the chat has none either"):
        assistant("a", "x").seat(None, playbooks)


async def test_it_plays_the_part_of_its_name_or_another_one() -> None:
    assert await said(assistant("a", "x"), "playbook:p") == "I am a"
    assert await said(assistant("a", "x", model="playbook:p#b")) == "I am b"
    assert await said(Assistant(name="a", goal="x", part="b"), "playbook:p") == "I am b"


async def test_it_streams_what_it_says() -> None:
    seat = assistant("a", "x", model=Counting()).seat(None, playbooks)
    in_turn(FakeConversation())
    heard: list[Inner] = []
    await seat.speak(HI, CancellationToken(), heard.append)
    assert [type(item).__name__ for item in heard[:2]] == ["ModelClientStreamingChunkEvent"] * 2


def test_a_playbook_says_that_it_is_scripted() -> None:
    seat = assistant("a", "x").seat("playbook:p", playbooks)
    assert (seat.model_kind, seat.model_name) == ("scripted", "playbook:p")
