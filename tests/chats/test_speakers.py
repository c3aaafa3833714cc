"""Who speaks next, in order."""

from autogen_agentchat.messages import TextMessage

from moot.chats.speakers import Choice, RoundRobin, round_robin
from moot.termination.transcript import Transcript, Turn


async def chosen(turns: int, *names: str) -> Choice:
    history = [Turn(n, n, "a", TextMessage(content="x", source="a")) for n in range(1, turns + 1)]
    return await round_robin().choose(Transcript(names, (), history), names)


async def test_participants_speak_in_order_again_and_again() -> None:
    assert [(await chosen(n, "a", "b", "c")).names for n in range(5)] == [("a",), ("b",), ("c",), ("a",), ("b",)]


async def test_the_reason_says_which_round_it_is() -> None:
    assert (await chosen(0, "a", "b")).reason == "round 1, in order"
    assert (await chosen(5, "a", "b")).reason == "round 3, in order"


async def test_the_answer_names_everybody_who_could_have_spoken() -> None:
    choice = await chosen(1, "a", "b")
    assert (choice.policy, choice.candidates, choice.attempts, choice.fallback) == ("round_robin", ("a", "b"), 1, None)


def test_the_policy_is_a_value() -> None:
    assert round_robin() == RoundRobin()
