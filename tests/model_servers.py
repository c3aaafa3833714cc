"""Servers on loopback that speak the protocols of model providers, written by others; and how a test tells them what to
answer. Their fixtures are in `tests/conftest.py`.

`scripted_models` answers by script in the protocols of OpenAI, Azure, Anthropic and Ollama. A run is pointed at it like
at any server, and each participant is known by a piece of its system prompt:

    async def test_a_debate_over_http(scripted_models: ScriptedModels) -> None:
        scripted_models.script(
            Say("A week of four days.", to="You propose"),       # the first time the proposer is asked
            Say("Who pays for it?", to="You criticise"),
            Say("The company.", to="You propose"),               # the second time and ever after
            Say(tools={"add": {"a": 1, "b": 2}}, to="You count", user="how many"),
            Say('{"winner": "proposer"}', to="You judge"),
        )
        model = ModelSpec(scripted_models.openai_url, "any-name")
        ...
        assert scripted_models.asked[0]["stream"]

`broken_models` answers anything with anything, and breaks as it is told, in the protocols of OpenAI and Anthropic:

    broken_models.queue({"type": "stream_fault", "kind": "truncate", "after_chunks": 2})

Neither wants a key, and neither is told of by the environment: a test names the address.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.machine import servers

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 60.0
"""What a server may take to say where it listens."""
_LISTENING = re.compile(r"http://127\.0\.0\.1:[1-9]\d*")


class Missing(Exception):
    """A server is not installed on this machine; the message is the command that helps."""


@dataclass(frozen=True, slots=True)
class Say:
    """One reply, to whoever is asked with these words.

    Of replies for the same words each is given once, in their order; the last one also every time after.
    """

    text: str = ""
    to: str = field(default="", kw_only=True)
    """A piece of the system prompt; empty: anybody."""
    user: str = field(default="", kw_only=True)
    """A piece of the last message that is not the model's own; empty: any."""
    tools: Mapping[str, Mapping[str, object]] | None = field(default=None, kw_only=True)
    """Tools to call, with their arguments; `text` comes before."""
    after_tool: bool | None = field(default=None, kw_only=True)
    """True: only when a tool has just answered; False: only when none has."""
    more: Mapping[str, object] = field(default_factory=dict, kw_only=True)
    """Whatever else the server's own format knows for a reply: `usage`, `finishReason`, `reasoning`."""


@dataclass(frozen=True, slots=True)
class ScriptedModels:
    """The server that answers by script."""

    url: str
    """Of Anthropic's and Ollama's protocols, and Azure's endpoint."""

    @property
    def openai_url(self) -> str:
        """For `base_url`."""
        return f"{self.url}/v1"

    def script(self, *replies: Say) -> None:
        """From now on it says this, after what it was told before. What matches none is answered with 404."""
        _ask(f"{self.url}/__aimock/fixtures", {"fixtures": _fixtures(replies)})

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of all model requests so far, in OpenAI's form whichever protocol they came in."""
        return [entry["body"] for entry in self.requests if entry.get("body")]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """All requests so far: `method`, `path`, `headers`, `body`, `response`."""
        found: list[dict[str, Any]] = _ask(f"{self.url}/__aimock/journal")
        return found

    def forget(self) -> None:
        """No reply and no request is left."""
        _ask(f"{self.url}/__aimock/reset", {})


@dataclass(frozen=True, slots=True)
class BrokenModels:
    """The server that breaks as it is told."""

    url: str

    @property
    def openai_url(self) -> str:
        """For `base_url`."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """For ANTHROPIC_BASE_URL."""
        return f"{self.url}/anthropic"

    def queue(self, *behaviours: Mapping[str, object]) -> None:
        """What it is to do, one after the other, each once unless `times` says otherwise; then it answers as usual."""
        _ask(f"{self.url}/_llmock/scenario", {"behaviors": list(behaviours)})

    @property
    def requests(self) -> list[dict[str, Any]]:
        """All requests so far, with the faults they met."""
        found: list[dict[str, Any]] = _ask(f"{self.url}/_llmock/requests")["requests"]
        return found

    def forget(self) -> None:
        """No fault waits and no request is left."""
        _ask(f"{self.url}/_llmock/reset", {})


@contextmanager
def scripted(place: Path) -> Iterator[ScriptedModels]:
    """Start the one that answers by script; `place` is a folder for it. Raises Missing."""
    at = ROOT / servers.PLACE
    try:
        node = (at / servers.NODE).read_text().splitlines()[0]
    except (OSError, IndexError):
        raise Missing("scripts/setup servers") from None
    nothing = place / "nothing.json"
    nothing.write_text('{"fixtures": []}')
    command = [node, str(at / "node_modules/@copilotkit/aimock/dist/cli.js"), "--port", "0", "--fixtures", str(nothing)]
    with _running(command) as url:
        yield ScriptedModels(url)


@contextmanager
def broken() -> Iterator[BrokenModels]:
    """Start the one that breaks as it is told."""
    start = "import sys; from llmock.cli import app; sys.exit(app())"
    with _running([sys.executable, "-c", start, "serve", "--port", "0"]) as url:
        yield BrokenModels(url)


def _fixtures(replies: Sequence[Say]) -> list[dict[str, object]]:
    """In the server's own form. It plays what has the same words in the order of `sequenceIndex`."""
    words = [(say.to, say.user, say.after_tool) for say in replies]
    found: list[dict[str, object]] = []
    for place, (say, own) in enumerate(zip(replies, words, strict=True)):
        match: dict[str, object] = {"systemMessage": say.to} if say.to else {}
        match |= {"userMessage": say.user} if say.user else {}
        match |= {} if say.after_tool is None else {"hasToolResult": say.after_tool}
        if own in words[place + 1 :]:
            match["sequenceIndex"] = words[:place].count(own)
        response: dict[str, object] = {**say.more}
        if say.text or not say.tools:
            response["content"] = say.text
        if say.tools:
            calls = [{"name": name, "arguments": json.dumps(given)} for name, given in say.tools.items()]
            response["toolCalls"] = calls
        found.append({"match": match, "response": response})
    return found


@contextmanager
def _running(command: Sequence[str]) -> Iterator[str]:
    """A server from when it says where it listens until the block ends."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: deque[str] = deque(maxlen=50)
    listening = threading.Event()
    addresses: list[str] = []

    def read() -> None:
        """To its end: a server whose words nobody takes would stop at a full pipe."""
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if not addresses and (found := _LISTENING.search(line)):
                addresses.append(found[0])
                listening.set()
        listening.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        listening.wait(PATIENCE_SECONDS)
        assert addresses, f"{command[0]} did not say where it listens:\n{''.join(said)}"
        yield addresses[0]
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


def _ask(url: str, body: object = None) -> Any:
    """One request to a server's own controls."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
