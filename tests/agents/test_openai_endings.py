"""How a streamed reply ended is known, however a server of OpenAI's protocol says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from autogen_core.models import CreateResult, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

from moot.agents.errors import ModelFault
from moot.agents.journalled_client import JournalledClient
from moot.agents.openai_client import compatible_client
from moot.agents.openai_endings import mend
from tests.answering import Answer, answering, part, stream, used

HELLO = [UserMessage(content="hello", source="user")]
CALL = {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "pay", "arguments": "{}"}}]}


async def streamed(answer: Answer, *, own: bool = True) -> CreateResult:
    """What comes of it, by a client of ours or by one that a user made."""
    with answering(answer) as server:
        url = f"{server.url}/v1"
        asked = (
            compatible_client("m", "none", url)
            if own
            else OpenAIChatCompletionClient(model="gpt-4o", api_key="none", base_url=url, max_retries=0)
        )
        client = JournalledClient(asked, None)
        try:
            *_, result = [item async for item in client.create_stream(HELLO)]
        finally:
            await client.close()
    assert isinstance(result, CreateResult)
    return result


@pytest.mark.filterwarnings("ignore:Resolved model mismatch", "ignore:No text content")
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([part("hi"), part({}, "stop"), {"choices": [], "usage": used(7, 2)}], "stop"),
        ([part("hi"), part({}, "stop", (7, 2))], "stop"),  # Mistral, Gemini
        ([part("hi", None, (7, 1)), part({}, "stop", (7, 2))], "stop"),  # those that count along
        ([part("hi", ""), part("", "stop"), {"choices": [], "usage": used(7, 2)}], "stop"),
        ([part("hi"), part({}, "eos_token"), {"choices": [], "usage": used(7, 2)}], "stop"),
        ([part("hi"), part({}, "model_length", (7, 2))], "length"),
        ([part("hi"), {"choices": [], "usage": used(7, 2)}, part({}, "length")], "length"),
    ],
)
async def test_a_whole_reply_says_how_it_ended_and_what_it_took(
    chunks: Sequence[dict[str, Any]], reason: str, own: bool
) -> None:
    result = await streamed(stream(*chunks), own=own)
    assert (result.content, result.finish_reason) == ("hi", reason)
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (7, 2)


@pytest.mark.filterwarnings("ignore:Resolved model mismatch", "ignore:No text content")
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    "chunks",
    [
        [part("hi")],
        [part("hi", "")],
        [part(CALL)],
        [part(CALL), {"choices": [], "usage": used(7, 2)}],
        [],
    ],
)
async def test_a_reply_without_a_finish_reason_is_a_failure_whether_it_speaks_or_calls(
    chunks: Sequence[dict[str, Any]], own: bool
) -> None:
    with pytest.raises(ModelFault, match="ended without a finish reason"):
        await streamed(stream(*chunks), own=own)


@pytest.mark.filterwarnings("ignore:Resolved model mismatch")
async def test_calls_of_a_whole_reply_are_kept() -> None:
    result = await streamed(stream(part(CALL), part({}, "tool_calls", (7, 2))))
    assert isinstance(result.content, list)
    assert [call.name for call in result.content] == ["pay"]
    assert (result.finish_reason, result.usage.prompt_tokens) == ("function_calls", 7)


async def test_a_client_is_mended_once() -> None:
    client = compatible_client("m", "none", "http://127.0.0.1:9/v1")
    mend(client)
    first = client._create_stream_chunks
    mend(client)
    assert client._create_stream_chunks is first
    await client.close()
