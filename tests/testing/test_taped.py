"""A model is recorded once, and replayed ever after."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ChatCompletionClient

from moot.agents.errors import TapeError
from moot.agents.tape_client import record
from moot.chats.chat import Chat
from moot.chats.memory_store import MemoryStore
from moot.termination.limits import Limits
from moot.testing import FakeModel, taped

TEST = """
import asyncio, sys
from autogen_core.models import UserMessage
from moot.testing import FakeModel, taped

asked = FakeModel(lambda messages, number: f"answer to {messages[-1].content}")

async def main():
    for words in sys.argv[2:]:
        model = taped(asked, sys.argv[1])  # each test makes its own
        print((await model.create([UserMessage(content=words, source="user")])).content)
    print(asked.calls)

asyncio.run(main())
"""


def run(tape: Path, *words: str, record: bool) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MOOT_RECORD": "1" if record else "0"}
    command = [sys.executable, "-c", TEST, str(tape), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_model_is_asked_once_and_then_never_again(tmp_path: Path) -> None:
    tape = tmp_path / "model.jsonl"
    refused = run(tape, "one", record=False)
    assert refused.returncode == 1
    assert "record it once with MOOT_RECORD=1" in refused.stderr
    assert not tape.exists()
    assert run(tape, "one", "two", record=True).stdout.split("\n")[:3] == ["answer to one", "answer to two", "2"]
    kept = tape.read_bytes()
    for allowed in (False, True):  # what is there is replayed, whether recording is allowed or not
        assert run(tape, "one", "two", record=allowed).stdout.split("\n")[:3] == ["answer to one", "answer to two", "0"]
    assert tape.read_bytes() == kept
    assert "TapeError" in run(tape, "three", record=True).stderr


async def test_an_agent_of_a_chat_is_replayed_from_its_tape(tmp_path: Path) -> None:
    tape = tmp_path / "model.jsonl"
    with pytest.raises(TapeError, match="no tape"):
        taped("openai:gpt-4o", tape)
    said = []
    makes: list[Callable[[], ChatCompletionClient]] = [
        lambda: record(FakeModel(["hello"]), tape),
        lambda: taped("openai:gpt-4o", tape),
    ]
    for make in makes:
        chat = Chat([AssistantAgent("greeter", make())], limits=Limits(turns=1))
        said.append((await chat.run("greet", store=MemoryStore())).result)
    assert said == ["hello", "hello"]
