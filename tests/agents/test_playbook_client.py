"""The playbook model is a model client like any other, except that it says what it is."""

from __future__ import annotations

import asyncio
import json

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, CreateResult, UserMessage

from moot.agents.offline_client import MOST_PIECES
from moot.agents.playbook import Playbook
from moot.agents.playbook_client import PlaybookClient

TEXT = """
version: 1
name: echo
parts:
  echo:
    - say: "  You said:  {last.text}\\n\\n(turn {turn}) "
"""
HELLO = [UserMessage(content="hello  there", source="user")]
REPLY = "  You said:  hello  there\n\n(turn 1) "


def _client(delay_seconds: float = 0.0) -> PlaybookClient:
    return PlaybookClient(Playbook.parse(TEXT), "echo", delay_seconds=delay_seconds)


async def test_a_reply_of_megabytes_is_streamed_in_some_hundred_pieces() -> None:
    reply = "word and space " * 100_000
    playbook = Playbook.parse(f"version: 1\nname: long\nparts:\n  a:\n    - say: {json.dumps(reply)}\n")
    stream = PlaybookClient(playbook, "a").create_stream([UserMessage(content="go", source="user")])
    *pieces, result = [item async for item in stream]
    assert 100 < len(pieces) <= MOST_PIECES + 1
    assert "".join(str(piece) for piece in pieces) == reply
    assert isinstance(result, CreateResult)
    assert result.content == reply


async def test_the_streamed_pieces_join_to_exactly_the_reply() -> None:
    client = _client()
    items = [item async for item in client.create_stream(HELLO)]
    *chunks, result = items
    assert isinstance(result, CreateResult)
    assert len(chunks) > 3
    assert "".join(str(chunk) for chunk in chunks) == result.content == REPLY
    assert (await client.create(HELLO)).content == REPLY


async def test_tokens_are_counted_and_added_up() -> None:
    client = _client()
    first = await client.create(HELLO)
    await client.create(HELLO)
    assert first.usage.completion_tokens == -(-len(REPLY) // 4)
    assert first.usage.prompt_tokens == client.count_tokens(HELLO) > 0
    assert client.actual_usage() == first.usage
    assert client.total_usage().completion_tokens == 2 * first.usage.completion_tokens


async def test_it_says_that_it_is_scripted() -> None:
    client = _client()
    assert (client.model_kind, client.name) == ("scripted", "playbook:echo")


async def test_a_cancelled_call_ends() -> None:
    token = CancellationToken()
    stream = _client(delay_seconds=3600.0).create_stream(HELLO, cancellation_token=token)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await _client().create(HELLO, cancellation_token=token)


async def test_it_is_dumped_and_loaded_with_its_whole_script() -> None:
    loaded = ChatCompletionClient.load_component(_client().dump_component())
    assert isinstance(loaded, PlaybookClient)
    assert (await loaded.create(HELLO)).content == REPLY


async def test_it_speaks_for_an_assistant_of_autogen() -> None:
    agent = AssistantAgent("echo", _client(), model_client_stream=True)
    assert [
        (await agent.run(task="one")).messages[-1].to_text(),
        (await agent.run(task="two")).messages[-1].to_text(),
    ] == [
        "  You said:  one\n\n(turn 1) ",
        "  You said:  two\n\n(turn 2) ",
    ]
