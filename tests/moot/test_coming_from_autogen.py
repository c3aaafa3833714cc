"""The page for those who come from AutoGen: each sample does what the page says, against a model server on loopback."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coming_from_autogen.md").read_text()
SAMPLE = re.compile(
    r"^\*\*(Moot|AutoGen 0\.2|AutoGen 0\.4\+)\*\*([^\n]*)\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = "```python\nprint('pi =', 22 / 7)\n```"
ARGUMENTS = {"submit": {"answer": "42"}, "pay": {"amount": 120}, "transfer_to_refunds": {}}

EXPECTED = {
    "RoundRobinGroupChat": r"goal critic said 'APPROVE' APPROVE \d\.\d+e?-?\d*\n",
    "Termination conditions": r"clerk handed it in\n",
    "SelectorGroupChat": r"\['planner', 'coder', 'tester'\] \d+\n",
    "SelectorGroupChat 2": r"\['writer', 'critic', 'writer', 'critic'\]\n",
    "Swarm": r"\['desk', 'refunds'\]\n",
    "GraphFlow": r"\['writer', 'grammar', 'style', 'editor'\]\n",
    "MagenticOneGroupChat": r"\['team', 'critic'\]\n",
    "CodeExecutorAgent": r"(?s).*pi = 3\.14.* \[\]\n",
    "UserProxyAgent": r"waiting Tea\.\ngoal owner approved\n",
    "run_stream, Console and cancelling": r"paused [23]\nfinished 4\n",
    "save_state and load_state": r"finished 2\nTrue 2\n",
    "Model clients": r"Tea\.\n",
    "Component config": r"4\n",
    "GroupChat and GroupChatManager": r"(?s)goal .*pi = 3\.14.* \d\.\d+e?-?\d*\n",
    "UserProxyAgent of 0.2": r"goal \['writer', 'owner', 'writer', 'owner'\]\n",
    "allowed_or_disallowed_speaker_transitions": r"documented \['coder', 'tester', 'coder', 'tester', 'writer'\]\n",
    "register_function": r"finished paid 120, reference \S+\n",
    "ChatResult": r"1 ann Tea\.\n2 bob Tea\.\n3 ann Tea\.\n4 bob Tea\.\nTea\. \d+ \d\.\d+e?-?\d*\n",
}
"""What each sample of Moot prints, by its heading."""


def samples(label: str) -> dict[str, str]:
    """The samples of one kind by their heading, numbered from the second one on."""
    found: dict[str, str] = {}
    for match in SAMPLE.finditer(PAGE):
        if match[1] == label:
            heading = HEADING.findall(PAGE, 0, match.start())[-1].replace("`", "")
            number = sum(name == heading or name.startswith(f"{heading} ") for name in found)
            found[heading if not number else f"{heading} {number + 1}"] = match[3]
    return found


def needs_a_registry(source: str) -> bool:
    return "DockerCommandLineCodeExecutor" in source


def imports(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if line.startswith(("import ", "from ")))


def called(asked: dict[str, Any]) -> dict[str, Any] | None:
    """The tool that a sensible model would call, once."""
    if not asked.get("tools") or any(message["role"] == "tool" for message in asked["messages"]):
        return None
    name = asked["tools"][0]["function"]["name"]
    function = {"name": name, "arguments": json.dumps(ARGUMENTS[name])}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }


def answer(messages: list[dict[str, str]]) -> str:
    """What a sensible model would say in these chats."""
    texts = [str(message["content"]) for message in messages]
    told, everything = texts[0], "\n".join(texts)
    if messages[-1]["role"] == "tool":
        return texts[-1]
    if found := re.search(r"may speak next: (\w+)", everything):
        return json.dumps({"next": found[1], "reason": "it is its turn"})
    if found := re.search(r"select the next role from \['(\w+)'", everything):
        return found[1]
    if "python block" in told:
        return CODE
    if "FAIL:" in told:
        return "PASS" if any("FAIL: an empty list" in text for text in texts[1:]) else "FAIL: an empty list"
    if "DONE:" in told:
        return "DONE: the sea is wide"
    return "APPROVE" if "critic:" in told else "Tea."


class Answers(BaseHTTPRequestHandler):
    """An OpenAI-compatible server, streaming or not."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = called(asked) or {"role": "assistant", "content": answer(asked["messages"])}
        finish = "tool_calls" if "tool_calls" in message else "stop"
        usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
        head = {"id": "x", "created": 1, "model": asked["model"], "object": "chat.completion"}
        if not asked.get("stream"):
            choice = {"index": 0, "finish_reason": finish, "message": message}
            self._send("application/json", json.dumps({**head, "choices": [choice], "usage": usage}))
            return
        chunk = {**head, "object": "chat.completion.chunk"}
        parts = [
            {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
            {**chunk, "choices": [], "usage": usage},
        ]
        self._send("text/event-stream", "".join(f"data: {json.dumps(p)}\n\n" for p in parts) + "data: [DONE]\n\n")

    def _send(self, kind: str, body: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Tests are silent."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {
        **os.environ,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
        "OPENAI_API_KEY": "loopback",
        "MOOT_HOME": str(tmp_path_factory.mktemp("home")),
        "PYTHONPATH": str(ROOT),
    }
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def ran(environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What came of every sample that can be run."""
    sources = {f"Moot: {name}": source for name, source in samples("Moot").items()}
    for name, source in samples("AutoGen 0.4+").items():
        sources[f"AutoGen: {name}"] = imports(source) if needs_a_registry(source) else source
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("samples.py")],
        input=json.dumps(sources), env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def test_every_sample_has_a_kind_and_every_sample_of_moot_is_expected_to_print_something() -> None:
    assert len(SAMPLE.findall(PAGE)) == PAGE.count("```python")
    assert set(samples("Moot")) == set(EXPECTED)


@pytest.mark.parametrize("name", samples("Moot"))
def test_a_sample_of_moot_does_what_the_page_says(name: str, ran: dict[str, dict[str, Any]]) -> None:
    done = ran[f"Moot: {name}"]
    assert done["code"] == 0, done["err"]
    assert re.fullmatch(EXPECTED[name], done["out"]), done["out"]


@pytest.mark.parametrize("name", samples("AutoGen 0.4+"))
def test_a_sample_of_autogen_is_one(name: str, ran: dict[str, dict[str, Any]]) -> None:
    done = ran[f"AutoGen: {name}"]
    assert done["code"] == 0, done["err"]
    assert done["out"] or needs_a_registry(samples("AutoGen 0.4+")[name])


@pytest.mark.parametrize("name", samples("AutoGen 0.2"))
def test_a_sample_of_the_old_autogen_is_python(name: str) -> None:
    compile(samples("AutoGen 0.2")[name], name, "exec")


def test_every_name_of_moot_on_the_page_is_there() -> None:
    import moot

    named = set(re.findall(r"`(?:stop=|speakers=|result=)?(\w+)\(", PAGE)) & set(re.findall(r"\w+", str(dir(moot))))
    assert {"Chat", "Limits", "says", "graph"} <= named
    for sample in samples("Moot").values():
        for names in re.findall(r"^from moot import (.+)$", sample, re.MULTILINE):
            assert [name for name in names.split(", ") if not hasattr(moot, name)] == []


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_on_the_page_leads_to_a_heading() -> None:
    anchors = {anchor(heading) for heading in HEADING.findall(re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))}
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert links
    assert set(links) <= anchors
