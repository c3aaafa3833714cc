"""The kit kills a chat at every commit, and tells a chat that converges from one that does not."""

import itertools
import textwrap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, UserProxyAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import CancellationToken

import moot.testing
from moot.agents.executor import executor
from moot.agents.tool_policy import ToolPolicy
from moot.chats.chat import Chat
from moot.chats.errors import UserError
from moot.chats.requests import Request
from moot.sandbox.execution import Execution
from moot.termination.limits import Limits
from moot.testing import Decision, FakeModel, FakeSandbox, Report, crash_everywhere, performed, tool_call

CODE = "```python\nprint(4)\n```"


class Counts(BaseChatAgent):
    """An agent of a user's own, with a state; `tell` says what it says by how often it spoke."""

    def __init__(self, name: str, tell: Callable[[int], str] = str) -> None:
        super().__init__(name, "counts its turns")
        self._tell, self.spoken = tell, 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        performed(self.name)
        self.spoken += 1
        return Response(chat_message=TextMessage(content=self._tell(self.spoken), source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.spoken = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"spoken": self.spoken}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.spoken = state["spoken"]


class Forgets(Counts):
    """Its state is more than it saves."""

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        pass


def talk() -> Chat:
    """Every kind of effect."""

    async def pay(amount: int) -> str:
        """Pay."""
        performed("pay")
        return f"paid {amount}"

    coder = FakeModel([[tool_call("pay", {"amount": 1}, "a"), tool_call("pay", {"amount": 2}, "b")], CODE, "done"])
    return Chat(
        [
            AssistantAgent("coder", coder, tools=[pay], reflect_on_tool_use=True),
            executor("runner", FakeSandbox(lambda code, language: Execution(exit_code=0, stdout="4\n"))),
            Counts("counter"),
        ],
        limits=Limits(turns=6),
        tools=ToolPolicy(side_effects=frozenset({"pay"})),
    )


async def test_a_chat_that_is_sound_converges_from_every_point() -> None:
    report = (await crash_everywhere(talk, "go")).check()
    assert len(report.points) > 15
    assert report.fired > len(report.points) - 6
    assert {point.when for point in report.points} == {"before", "after"}
    assert {"effect.intended", "effect.completed", "run.finished"} <= {
        e for point in report.points for e in point.events
    }
    assert report.differences == ()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_points_can_be_chosen(when: Any) -> None:
    report = await crash_everywhere(lambda: Chat([Counts("counter")], limits=Limits(turns=2)), "go", points=when)
    assert {point.when for point in report.points} == {when}
    assert report.check() is report


async def test_a_chat_that_is_not_deterministic_is_named_and_not_killed() -> None:
    number = itertools.count()
    report = await crash_everywhere(
        lambda: Chat([Counts("dice", lambda _: f"thrown: {next(number)}")], limits=Limits(turns=2)), "go"
    )
    assert report.points == ()
    with pytest.raises(AssertionError, match=r"not deterministic(.|\n)*turn 1: dice said 'thrown: 2' instead of dice"):
        report.check()


async def test_state_that_an_agent_does_not_save_is_a_difference() -> None:
    report = await crash_everywhere(
        lambda: Chat([Forgets("sieve", lambda n: f"{n}!"), Counts("counter")], limits=Limits(turns=4)), "go"
    )
    with pytest.raises(AssertionError) as found:
        report.check()
    told = str(found.value)
    assert "killed after commit" in told
    assert "turn 3: sieve said '1!' instead of sieve said '2!'" in told


async def test_what_somebody_asks_otherwise_after_a_crash_is_a_difference() -> None:
    lives = itertools.count()

    def make() -> Chat:
        model = FakeModel(lambda messages, number: "said")
        life = next(lives) - 4  # after two undisturbed runs, each driven and read back
        rules = "at first" if life < 0 or life % 3 == 0 else "and later"
        return Chat([AssistantAgent("poet", model, system_message=rules)], limits=Limits(turns=1))

    report = await crash_everywhere(make, "go", points="before")
    assert any("poet asked for something else than before" in difference for difference in report.differences)


async def test_a_person_is_asked_and_answers_by_the_function_that_is_given() -> None:
    asked: list[str] = []

    def answer(request: Request) -> Decision:
        asked.append(request.kind)
        return Decision("respond", "blue")

    def make() -> Chat:
        return Chat([UserProxyAgent("person"), AssistantAgent("painter", FakeModel())], limits=Limits(turns=2))

    report = (await crash_everywhere(make, "paint", answer=answer)).check()
    assert {"request.asked", "request.decided", "run.paused"} <= {e for point in report.points for e in point.events}
    assert set(asked) == {"input"}
    with pytest.raises(UserError, match=r"asks a person \(input\): give crash_everywhere an `answer`"):
        await crash_everywhere(make, "paint")


async def test_a_chat_that_cannot_be_driven_on_says_why() -> None:
    lives = itertools.count()

    def make() -> Chat:
        name = "early" if next(lives) < 5 else "late"
        return Chat([Counts(name)], limits=Limits(turns=1))

    (point, *_) = (await crash_everywhere(make, "go", points="after")).points
    assert point.differences
    assert "it cannot be driven on: UserError" in point.differences[0]


def test_a_report_without_a_death_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing was killed"):
        Report(()).check()


async def test_the_sample_of_the_package_does_what_it_says() -> None:
    lines = (moot.testing.__doc__ or "").splitlines()
    sample = textwrap.dedent("\n".join(line for line in lines if line.startswith("    ") or not line))
    names: dict[str, Callable[[], Awaitable[None]]] = {}
    exec(sample, names)
    assert 10 < len([line for line in sample.splitlines() if line]) <= 18
    await names["test_the_chat_survives_a_crash_anywhere"]()
