"""Every provider's own client library against a server that others wrote: text, usage, tools and typed replies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from autogen_ext.models.ollama import OllamaChatCompletionClient
from pydantic import BaseModel

from moot.agents.errors import ModelError, ModelFault
from moot.agents.journalled_client import JournalledClient
from moot.agents.models import ModelSpec, resolve
from moot.agents.ollama_client import PATIENCE_SECONDS, ollama_client
from moot.agents.playbook import Playbook
from tests.answering import Answer, answering
from tests.fakes import FakeConversation, in_turn
from tests.model_servers import Say, ScriptedModels

NAMES = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "ollama/llama3.2", "azure/my-deployment", "compatible"]
CHAT: list[LLMMessage] = [
    SystemMessage(content="You are a tester."),
    UserMessage(content="I say yes.", source="ann"),
    UserMessage(content="I say no.", source="bob"),
]
pytestmark = pytest.mark.filterwarnings("ignore:Resolved model mismatch", "ignore:Pydantic serializer warnings")


class City(BaseModel):
    name: str


class Verdict(BaseModel):
    """With a form inside: not every client passes on what a reference refers to."""

    winner: str
    city: City


class Tree(BaseModel):
    branches: list[Tree]


def add(a: int, b: int) -> int:
    """Never run here."""
    raise AssertionError(f"{a} + {b}")


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(model: str, scripted_models: ScriptedModels, environment: Callable[..., None]) -> JournalledClient:
    """The client of one provider, pointed at the server."""
    url = scripted_models.url
    environment(
        OPENAI_API_KEY="k1", OPENAI_BASE_URL=scripted_models.openai_url, ANTHROPIC_API_KEY="k2", ANTHROPIC_BASE_URL=url,
        OLLAMA_HOST=url, AZURE_OPENAI_API_KEY="k3", AZURE_OPENAI_ENDPOINT=url, OPENAI_API_VERSION="2024-10-21",
    )  # fmt: skip
    elsewhere = scripted_models.openai_url.replace("127.0.0.1", "localhost")  # else it would be OpenAI's address
    named = ModelSpec(elsewhere, "m") if model == "compatible" else model
    found = resolve(named, part="tester", playbooks=lambda name: Playbook.parse("", name))
    return JournalledClient(found.client, found.price)


async def both(client: JournalledClient, messages: Sequence[LLMMessage], **options: object) -> list[CreateResult]:
    """What it says streamed, and as a whole."""
    *words, last = [item async for item in client.create_stream(messages, **options)]
    assert isinstance(last, CreateResult)
    if isinstance(last.content, str):
        assert "".join(str(word) for word in words) == last.content
    whole = await client.create(messages, **options)
    await client.close()
    return [last, whole]


async def test_text_comes_in_pieces_and_as_a_whole(client: JournalledClient, scripted_models: ScriptedModels) -> None:
    words = "A reply of a good many words, so that it comes in more than one piece."
    scripted_models.script(Say(words, to="You are a tester"))
    results = await both(client, CHAT)
    assert [(result.content, result.finish_reason) for result in results] == [(words, "stop")] * 2
    assert [body.get("stream", False) for body in scripted_models.asked] == [True, False]


async def test_who_said_what_reaches_the_model(
    client: JournalledClient, model: str, scripted_models: ScriptedModels
) -> None:
    scripted_models.script(Say("ok"))
    await both(client, CHAT)
    said = [message for message in scripted_models.asked[0]["messages"] if message["role"] == "user"]
    if model.startswith(("openai", "azure")):
        assert [message["name"] for message in said] == ["ann", "bob"]
    else:
        assert [message["content"] for message in said] == ["ann said:\nI say yes.", "bob said:\nI say no."]


async def test_what_a_reply_took_is_told_by_those_that_say_it(
    client: JournalledClient, model: str, scripted_models: ScriptedModels
) -> None:
    used = {"input_tokens": 21, "output_tokens": 8} if model.startswith("anthropic") else {}
    scripted_models.script(Say("A short reply.", more={"usage": used} if used else {}))
    conversation = FakeConversation()
    in_turn(conversation)
    results = await both(client, CHAT)
    took = [(result.usage.prompt_tokens, result.usage.completion_tokens) for result in results]
    if model.startswith("ollama"):  # that server counts nothing in this protocol
        assert took == [(0, 0)] * 2
        assert "does not say how many tokens" in str(conversation.notes)
    elif used:
        assert took == [(21, 8)] * 2
    else:
        assert took[0] == took[1]
        assert min(took[0]) > 0


async def test_tools_are_called(client: JournalledClient, scripted_models: ScriptedModels) -> None:
    scripted_models.script(Say(tools={"add": {"a": 2, "b": 3}}))
    results = await both(client, CHAT, tools=[FunctionTool(add, description="Adds.")])
    for result in results:
        assert isinstance(result.content, list)
        (call,) = result.content
        assert (call.name, call.arguments.replace(" ", "")) == ("add", '{"a":2,"b":3}')
        assert call.id
        assert result.finish_reason == "function_calls"
    assert results[0].content != results[1].content  # calls can be told apart by their ids
    assert all(body["tools"][0]["function"]["name"] == "add" for body in scripted_models.asked)


async def test_what_a_tool_answered_goes_back_also_in_another_process(
    client: JournalledClient, model: str, scripted_models: ScriptedModels
) -> None:
    scripted_models.script(Say("It is 5.", after_tool=True), Say("Nobody told me."))
    call = FunctionCall("call_1", '{"a": 2, "b": 3}', "add")
    done = FunctionExecutionResult(content="5", call_id="call_1", is_error=False, name="add")
    after: list[LLMMessage] = [
        AssistantMessage(content=[call], source="tester"),
        FunctionExecutionResultMessage(content=[done]),
    ]
    assert [result.content for result in await both(client, [*CHAT, *after])] == ["It is 5."] * 2
    if model.startswith("anthropic"):  # it wants the tools with their results, and this process has offered none
        assert [tool["function"]["name"] for tool in scripted_models.asked[0]["tools"]] == ["add"]


@pytest.mark.parametrize("tools", [False, True])
async def test_a_reply_of_a_form_is_that_form(
    client: JournalledClient, model: str, scripted_models: ScriptedModels, tools: bool
) -> None:
    given = {"winner": "ann", "city": {"name": "Paris"}}
    text = Verdict.model_validate(given).model_dump_json()
    by_tool = model.startswith("anthropic")
    scripted_models.script(Say(tools={"reply": given}) if by_tool else Say(text))
    if model == "compatible":
        with pytest.raises(ValueError, match="structured output"):
            await both(client, CHAT, json_output=Verdict)
        return
    offered = [FunctionTool(add, description="Adds.", strict=True)] if tools else []
    for result in await both(client, CHAT, json_output=Verdict, tools=offered):
        assert isinstance(result.content, str)
        assert Verdict.model_validate_json(result.content).city.name == "Paris"
        assert result.finish_reason == "stop"
    if by_tool:
        names = [tool["function"]["name"] for tool in scripted_models.asked[0]["tools"]]
        assert names == [*(["add"] if tools else []), "reply"]
        form = scripted_models.asked[0]["tools"][-1]["function"]["parameters"]
        assert form["properties"]["city"]["properties"]["name"]["type"] == "string"


async def test_a_tool_may_be_called_before_a_reply_of_a_form(
    client: JournalledClient, model: str, scripted_models: ScriptedModels
) -> None:
    if model == "compatible":
        return
    scripted_models.script(Say(tools={"add": {"a": 1, "b": 1}}))
    for result in await both(
        client, CHAT, json_output=Verdict, tools=[FunctionTool(add, description="Adds.", strict=True)]
    ):
        assert isinstance(result.content, list)
        assert [call.name for call in result.content] == ["add"]


@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/x", "azure/x", "compatible"], indirect=True)
async def test_under_a_limit_a_reply_is_capped(
    client: JournalledClient, model: str, scripted_models: ScriptedModels
) -> None:
    conversation = FakeConversation()
    in_turn(conversation)
    conversation.limited = True
    scripted_models.script(Say("ok"))
    await client.create(CHAT)
    await client.close()
    (body,) = scripted_models.asked
    assert body["max_completion_tokens" if model.startswith(("openai", "azure")) else "max_tokens"] == 4096


async def test_a_limit_reaches_ollama_beside_the_options_it_was_given(environment: Callable[..., None]) -> None:
    """The other server does not keep them."""
    conversation = FakeConversation()
    in_turn(conversation)
    conversation.limited = True
    reply = {"model": "x", "message": {"role": "assistant", "content": "ok"}, "done": True, "done_reason": "stop"}
    with answering(Answer(json.dumps({**reply, "prompt_eval_count": 5, "eval_count": 1}).encode())) as server:
        environment(OLLAMA_HOST=server.url)
        own = OllamaChatCompletionClient(model="llama3.2", host=server.url, options={"seed": 7})
        for asked in (resolve("ollama/x", part="", playbooks=lambda name: Playbook.parse("", name)).client, own):
            result = await JournalledClient(asked, None).create(CHAT)
            assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (5, 1)
            await asked.close()
    assert [body["options"] for body in server.bodies] == [{"num_predict": 4096}, {"seed": 7, "num_predict": 4096}]


async def test_nothing_of_a_client_is_left_open(client: JournalledClient, scripted_models: ScriptedModels) -> None:
    scripted_models.script(Say("ok"))
    await both(client, CHAT)
    http = client._client._client._client  # type: ignore[attr-defined]
    assert http.is_closed


async def test_nobody_waits_for_ollama_for_ever(environment: Callable[..., None]) -> None:
    silent = threading.Event()
    with answering(Answer(b"", wait=silent)) as server:
        environment(OLLAMA_HOST=server.url)
        asked = ollama_client("x")
        asked.wait_at_most(0.1)
        with pytest.raises(ModelFault, match="did not answer in time"):
            await JournalledClient(asked, None).create(CHAT)
        assert server.asked.is_set()
        silent.set()
        await asked.close()
    assert ollama_client("x")._client._client.timeout.read == PATIENCE_SECONDS


async def test_a_form_that_contains_itself_cannot_be_asked_of_anthropic(environment: Callable[..., None]) -> None:
    environment(ANTHROPIC_API_KEY="k")
    found = resolve("anthropic/x", part="", playbooks=lambda name: Playbook.parse("", name))
    with pytest.raises(ModelError, match="the form contains itself"):
        await found.client.create(CHAT, json_output=Tree)
    await found.client.close()
