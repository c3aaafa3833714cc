"""Tools and typed replies with the real client of every provider, against a server that others wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from moot.agents.assistant import Assistant, assistant
from moot.agents.models import ModelSpec
from moot.agents.typed_reply import TypedReply
from moot.chats.chat import Chat
from moot.chats.event_types import EffectCompleted, TurnStarted
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run
from moot.termination.limits import Limits
from tests.fakes import data_of, lines
from tests.model_servers import Say, ScriptedModels

NAMES = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "ollama/llama3.2", "azure/my-deployment", "compatible"]
STRUCTURED = ("openai", "azure", "anthropic", "ollama")
pytestmark = pytest.mark.filterwarnings("ignore:Resolved model mismatch", "ignore:Pydantic serializer warnings")


class Verdict(BaseModel):
    decision: Literal["adopt", "reject"]
    confidence: float
    reasons: list[str]


GOOD = json.dumps({"decision": "adopt", "confidence": 0.7, "reasons": ["42"]})


def multiply(a: int, b: int = 7) -> int:
    """Multiplies two numbers."""
    return a * b


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(name: str, scripted_models: ScriptedModels, environment: Callable[..., None]) -> str | ModelSpec:
    """One provider's, pointed at the server."""
    url = scripted_models.url
    environment(
        OPENAI_API_KEY="k1", OPENAI_BASE_URL=scripted_models.openai_url, ANTHROPIC_API_KEY="k2", ANTHROPIC_BASE_URL=url,
        OLLAMA_HOST=url, AZURE_OPENAI_API_KEY="k3", AZURE_OPENAI_ENDPOINT=url, OPENAI_API_VERSION="2024-10-21",
    )  # fmt: skip
    elsewhere = scripted_models.openai_url.replace("127.0.0.1", "localhost")  # else it would be OpenAI's address
    return ModelSpec(elsewhere, "m") if name == "compatible" else name


def _judge(**given: Any) -> Assistant:
    return assistant("judge", "You judge.", reply=Verdict, says="VERDICT: {decision}\n{reasons}", **given)


async def _run(model: str | ModelSpec, *who: Assistant) -> tuple[Run, MemoryStore]:
    store = MemoryStore()
    run = await Chat(who, limits=Limits(turns=len(who)), model=model).run("How much is it?", store=store)
    return run, store


def _said(run: Run) -> Verdict:
    said = run.transcript.last.message if run.transcript.last else None
    assert isinstance(said, TypedReply)
    assert isinstance(said.content, Verdict)
    return said.content


async def test_a_model_calls_a_tool_and_another_judges_what_came_of_it(
    model: str | ModelSpec, name: str, scripted_models: ScriptedModels
) -> None:
    scripted_models.script(
        Say(tools={"multiply": {"a": 6}}, to="You count", after_tool=False),
        Say("It is 42.", to="You count", after_tool=True),
        Say(GOOD, to="You judge"),
    )
    run, store = await _run(model, assistant("counter", "You count.", tools=[multiply]), _judge())
    assert lines(run) == ["counter: It is 42.", "judge: VERDICT: adopt\n- 42"]
    assert _said(run).confidence == 0.7
    results = await data_of(store, run, EffectCompleted)
    assert [event.key.partition("/")[0] for event in results] == ["model", "tool", "model", "model"]
    asked = scripted_models.asked
    assert json.dumps(asked[1]["messages"][-1]).count("42") == 1
    in_words = "must fit this JSON Schema" in json.dumps(asked[2]["messages"])
    assert in_words is not name.startswith(STRUCTURED)


async def test_a_verdict_that_cannot_be_read_is_asked_for_once_more(
    model: str | ModelSpec, name: str, scripted_models: ScriptedModels
) -> None:
    scripted_models.script(Say("I would adopt it.", to="You judge"), Say(GOOD, to="You judge"))
    run, store = await _run(model, _judge())
    assert _said(run).decision == "adopt"
    assert len(await data_of(store, run, TurnStarted)) == 1
    told = json.dumps(scripted_models.asked[1]["messages"])
    assert ("I would adopt it." in told) is not name.startswith(("openai", "azure"))  # whose library keeps it
    assert "cannot be read" in told


async def test_a_verdict_that_cannot_be_read_twice_fails_the_run(
    model: str | ModelSpec, scripted_models: ScriptedModels
) -> None:
    scripted_models.script(Say("I would adopt it.", to="You judge"))
    run, _ = await _run(model, _judge())
    assert run.outcome == "failed"
    assert run.stopped_by is not None
    assert "the reply of judge is not in its form" in run.stopped_by.reason
    assert len(scripted_models.asked) == 2


async def test_a_judge_with_tools_uses_them_and_gives_its_verdict(
    model: str | ModelSpec, scripted_models: ScriptedModels
) -> None:
    scripted_models.script(
        Say(tools={"multiply": {"a": 6, "b": 7}}, to="You judge", after_tool=False),
        Say(f"```json\n{GOOD}\n```", to="You judge", after_tool=True),
    )
    run, _ = await _run(model, _judge(tools=[multiply]))
    assert _said(run).reasons == ["42"]


async def test_a_tool_that_is_not_there_is_told_of_and_the_third_time_fails_the_turn(
    model: str | ModelSpec, scripted_models: ScriptedModels
) -> None:
    scripted_models.script(Say(tools={"divide": {"a": 6}}, to="You count"))
    run, _ = await _run(model, assistant("counter", "You count.", tools=[multiply]))
    assert run.outcome == "failed"
    assert run.stopped_by is not None
    assert "counter called a tool wrongly 3 times in a row: there is no tool 'divide'" in run.stopped_by.reason
    assert len(scripted_models.asked) == 3
