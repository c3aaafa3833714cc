"""Killed at every commit, chats whose assistants have tools and typed replies end as they would have."""

from __future__ import annotations

from collections.abc import Sequence

from autogen_core.models import LLMMessage
from pydantic import BaseModel

from moot.agents.assistant import assistant
from moot.agents.effects import idempotency_key
from moot.agents.tool_policy import ToolPolicy
from moot.chats.chat import Chat
from moot.chats.requests import Request
from moot.termination.limits import Limits
from moot.termination.rules import says
from moot.testing import Decision, FakeModel, crash_everywhere, performed, tool_call
from moot.testing.model import Words


class Verdict(BaseModel):
    decision: str
    reasons: list[str]


KEYS: dict[str, set[str]] = {}
"""What each call of `publish` was told it is called, by title."""


def publish(title: str) -> str:
    """Publish it."""
    performed(f"publish {title}")
    KEYS.setdefault(title, set()).add(idempotency_key().partition("/")[2])
    return f"no. {len(title)}"


async def look(where: str) -> str:
    """Look there."""
    performed(f"look {where}")
    if where == "nowhere":
        raise RuntimeError("there is nothing")
    return f"{where} is fine"


def _writes(messages: Sequence[LLMMessage], number: int) -> Words:
    """Looks twice at once, once in vain, publishes what it saw, and says so; by what it was told, not by the call."""
    last = messages[-1]
    if "no. " in str(last.content):
        return f"I published {last.content!s:.20}"
    if "is fine" in str(last.content):
        return [tool_call("publish", {"title": f"all {len(messages)}"}, "p")]
    return [tool_call("look", {"where": "here"}, "a"), tool_call("look", {"where": "nowhere"}, "b")]


def _judges(messages: Sequence[LLMMessage], number: int) -> Words:
    """Needs to be told, each time, what form a reply has."""
    told = "cannot be read" in str(messages[-1].content)
    rounds = sum(message.type == "AssistantMessage" for message in messages)
    return f'{{"decision": "VERDICT" , "reasons": ["{rounds}"]}}' if told else "I think so."


def _chat() -> Chat:
    return Chat(
        [
            assistant("writer", "Write.", tools=[publish, look], model=FakeModel(_writes)),
            assistant("judge", "Judge.", reply=Verdict, says="{decision}:\n{reasons}", model=FakeModel(_judges)),
        ],
        stop=says("judge", contains="- 3"),
        limits=Limits(turns=4),
        tools=ToolPolicy(approve={"publish"}, side_effects={"publish"}),
    )


def _approve(request: Request) -> Decision:
    return Decision("approve", by="eve")


async def test_tools_approvals_and_mended_replies_survive_every_death() -> None:
    KEYS.clear()
    report = await crash_everywhere(_chat, "Publish.", answer=_approve)
    report.check()
    assert report.fired > 20
    assert KEYS
    assert all(len(keys) == 1 for keys in KEYS.values())  # a call made again says that it is the same one
