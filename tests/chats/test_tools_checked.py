"""What assistants' tools and typed replies must be for their chat, and what is left of them after an interruption."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.tools import AgentTool
from pydantic import BaseModel

from moot.agents.assistant import Assistant, assistant
from moot.agents.tool_policy import EVERY, ToolPolicy
from moot.agents.typed_reply import TypedReply
from moot.chats.chat import Chat
from moot.chats.errors import UserError
from moot.chats.event_types import TurnFinished
from moot.chats.run import open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from tests.fakes import Counting, DyingStore, Killed, OpenAIChatCompletionClient, contexts, data_of


def publish(title: str) -> str:
    """Publish."""
    return title


def _verdict() -> type[BaseModel]:
    class Verdict(BaseModel):
        decision: str

    return Verdict


def _chat(*who: Assistant, usd: float | None = None, **policy: set[str]) -> Chat:
    return Chat(who, limits=Limits(turns=3, usd=usd), model=OpenAIChatCompletionClient(), tools=ToolPolicy(**policy))  # type: ignore[arg-type]


def test_a_policy_may_name_the_tools_of_assistants() -> None:
    ann = assistant("ann", "x", tools=[publish])
    assert _chat(ann, approve={"publish"}).tools.approve == {"publish"}
    with pytest.raises(UserError, match=r"no participant has a tool 'pubish' \(did you mean 'publish'\?\)"):
        _chat(ann, approve={"pubish"})
    with pytest.raises(UserError, match="no participant has a tool 'publish'"):
        _chat(assistant("ann", "x"), side_effects={"publish"})


class Louder(AssistantAgent):
    """Replaces how AutoGen's speaks."""

    async def on_messages_stream(self, messages: Any, cancellation_token: Any) -> AsyncGenerator[Any, None]:
        async for item in super().on_messages_stream(messages, cancellation_token):
            yield item


@pytest.mark.parametrize("approve", [{"publish"}, {EVERY}])
def test_an_approval_that_nobody_could_be_asked_for_is_no_promise(approve: set[str]) -> None:
    ann = assistant("ann", "x", tools=[publish])
    unseen, silent = Louder("bob", Counting(), tools=[publish]), Louder("bob", Counting())
    limits, tools = Limits(turns=2), ToolPolicy(approve=approve)
    Chat([ann, silent], limits=limits, model=Counting(), tools=tools)
    Chat([ann, unseen], limits=limits, model=Counting(), tools=ToolPolicy(side_effects={"publish"}))
    with pytest.raises(UserError, match=r"'bob' is an agent of your own, Louder: .* asked before it calls 'publish'"):
        Chat([ann, unseen], limits=limits, model=Counting(), tools=tools)


def test_two_classes_of_one_name_would_be_mistaken_for_one_another() -> None:
    one, other = _verdict(), _verdict()
    _chat(assistant("ann", "x", reply=one), assistant("bob", "x", reply=one))
    with pytest.raises(UserError, match="the reply of 'bob' is of a second class called 'Verdict'"):
        _chat(assistant("ann", "x", reply=one), assistant("bob", "x", reply=other))
    eve, mia = (
        AssistantAgent(name, Counting(), output_content_type=form) for name, form in (("eve", one), ("mia", other))
    )
    with pytest.raises(UserError, match="the reply of 'mia' is of a second class called 'Verdict'"):
        Chat([eve, mia], limits=Limits(turns=2))


async def test_structured_messages_of_autogens_agents_are_verified_without_their_classes(tmp_path: Path) -> None:
    judge = AssistantAgent(
        "judge", Counting(lambda messages, turn: '{"decision":"go"}'), output_content_type=_verdict()
    )
    store = SqliteStore(tmp_path / "moot.db", "OFF")
    run = await Chat([judge], limits=Limits(turns=2)).run("go", store=store)
    assert [turn.text for turn in run.transcript.history] == ['{"decision":"go"}'] * 2
    assert await verify_run(store, run.id) == []
    await store.close()


def test_a_limit_in_dollars_does_not_hold_for_a_tool_that_asks_an_unpriced_model() -> None:
    expert = AgentTool(AssistantAgent("expert", Counting(), description="knows"))
    who = assistant("ann", "x", tools=[expert])
    _chat(who)
    with pytest.raises(
        UserError, match="a usd limit cannot hold for 'ann': the model of its tool 'expert' has no known"
    ):
        _chat(who, usd=1.0)


async def test_a_typed_reply_is_an_instance_of_its_class_after_an_interruption(tmp_path: Path) -> None:
    kind = _verdict()

    def chat() -> Chat:
        judge = Counting(lambda messages, _: '{"decision": "adopt"}')
        return Chat(
            [
                assistant("judge", "x", reply=kind, says="VERDICT: {decision}", model=judge),
                assistant("clerk", "x", model=Counting(lambda messages, _: f"noted: {messages[-1].content}")),
            ],
            limits=Limits(turns=4),
        )

    store = SqliteStore(tmp_path / "moot.db", "OFF")
    dying = DyingStore(store, at=5, after=True)
    with pytest.raises(Killed):
        await chat().run("Judge.", store=dying)
    assert dying.fired
    name = (await store.names())[0]
    run = await (await open_run(name, chat=chat(), store=store)).finish()
    messages = [turn.message for turn in run.transcript.history]
    assert [message.to_text() for message in messages] == ["VERDICT: adopt", "noted: VERDICT: adopt"] * 2
    first = messages[0]
    assert isinstance(first, TypedReply)
    assert type(first.content) is kind
    assert [m["content"] for m in (await contexts(run))["clerk"]][1] == "VERDICT: adopt"
    assert await verify_run(store, name) == []
    gained = [event.contexts[""] for event in await data_of(store, run, TurnFinished)]
    assert gained[1] == [0, 1, "model/0"]  # what it was told is referred to, not written down again
    await store.close()
