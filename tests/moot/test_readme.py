"""The README's samples do what it says they do: executed as they stand, against a model server on loopback."""

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
import yaml

from moot import load_chat
from moot.chats.edges import parse_edge

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROGRAM = """
import random
random.seed(1)
n = 4000
print("pi =", 4 * sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(n)) / n)
"""


def fenced(language: str) -> list[str]:
    return re.findall(rf"^[ ]*```{language}\n(.*?)^[ ]*```$", README, re.MULTILINE | re.DOTALL)


def answer(messages: list[dict[str, str]]) -> str:
    """What a sensible model would say in the README's chats: code if it is to write code, else a verdict."""
    told = str(messages[0]["content"])
    if "You pick who speaks next" in told:
        (eligible,) = re.findall(r"^may speak next: (.*)$", str(messages[-1]["content"]), re.MULTILINE)
        spoken = re.findall(r"^- (\w+): \d+ turn", str(messages[-1]["content"]), re.MULTILINE)
        fresh = [name for name in eligible.split(", ") if name not in spoken]
        return json.dumps({"next": fresh[0], "reason": "has not spoken"})
    if "You are judge" in told:
        return json.dumps({"decision": "adopt", "reasons": [f"heard {len(messages) - 2} replies"]})
    if "python block" in told:
        return f"```python\n{PROGRAM}\n```"
    if "You are critic" in told or told.startswith("critic"):
        return "APPROVE"
    return "DONE: " + str(messages[-1]["content"]).splitlines()[-1] if "DONE:" in told else "Tea."


class Answers(BaseHTTPRequestHandler):
    """An OpenAI-compatible server, streaming or not."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, usage = answer(asked["messages"]), {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
        head = {"id": "x", "created": 1, "model": asked["model"]}
        if asked.get("tools") and asked["messages"][-1]["role"] != "tool":
            called = {"name": asked["tools"][0]["function"]["name"], "arguments": '{"amount": 120, "city": "Oslo"}'}
            said: dict[str, Any] = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": called}],
            }
            choice = {"index": 0, "finish_reason": "tool_calls", "message": said}
            if asked.get("stream"):
                said["tool_calls"][0]["index"] = 0
                chunk = {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": said}]}
                end = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": usage}
                body = "".join(f"data: {json.dumps(part)}\n\n" for part in (chunk, end))
                self._send("text/event-stream", body + "data: [DONE]\n\n")
                return
            self._send(
                "application/json",
                json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}),
            )
            return
        if not asked.get("stream"):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            self._send(
                "application/json",
                json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}),
            )
            return
        chunk = {**head, "object": "chat.completion.chunk"}
        parts = [
            {
                **chunk,
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}],
            },
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
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


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    yield {
        **os.environ,
        "OPENAI_BASE_URL": url,
        "OPENAI_API_KEY": "loopback",
        "MOOT_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
    }
    server.shutdown()
    thread.join()
    server.server_close()


def execute(sample: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", sample],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_sample(having: str) -> str:
    (sample,) = [block for block in fenced("python") if having in block]
    return sample


def test_the_first_python_sample_estimates_pi_with_code_that_ran(environment: dict[str, str], tmp_path: Path) -> None:
    printed = execute(python_sample("Estimate pi"), environment, tmp_path)
    assert re.search(r"goal Stop\(rule='says\(reviewer\)'.* \d\.\d+e-05 \[\]", printed), printed
    assert re.search(r"DONE: pi = 3\.[01]\d", printed), printed


def test_the_autogen_sample_runs_autogen_agents(environment: dict[str, str], tmp_path: Path) -> None:
    assert execute(python_sample('AssistantAgent("writer"'), environment, tmp_path).startswith("goal")


def test_the_sample_of_a_tool_with_side_effects_pays(environment: dict[str, str], tmp_path: Path) -> None:
    assert execute(python_sample("async def pay"), environment, tmp_path) == "finished []\n"
    found = subprocess.run(
        [sys.executable, "-m", "moot", "runs", "search", '"paid 120"'],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "paid 120" in found.stdout, found.stderr


def test_the_sample_that_asks_a_person_waits_and_goes_on(environment: dict[str, str], tmp_path: Path) -> None:
    printed = execute(python_sample('human("owner")'), environment, tmp_path).splitlines()
    assert printed == ["waiting q1 {'prompt': 'What do you say?'}", "Good."]


def test_the_sample_of_a_typed_verdict_gives_the_judges_reasons(environment: dict[str, str], tmp_path: Path) -> None:
    printed = execute(python_sample("class Verdict"), environment, tmp_path)
    assert printed == "VERDICT: adopt ['heard 2 replies']\n"


def test_the_sandbox_sample_keeps_variables_between_blocks(environment: dict[str, str], tmp_path: Path) -> None:
    assert execute(python_sample('box.run("x = 20")'), environment, tmp_path) == "21 0\n"


def test_the_sample_that_follows_a_run_shows_each_turn(environment: dict[str, str], tmp_path: Path) -> None:
    printed = execute(python_sample("run.events()"), environment, tmp_path).splitlines()
    assert printed[:4] == ["1 ann", "2 bob", "3 ann", "4 bob"]
    assert printed[4].endswith("limit 4 turns taken")


def test_the_sample_that_kills_a_chat_everywhere_finds_no_difference(
    environment: dict[str, str], tmp_path: Path
) -> None:
    printed = execute(python_sample("crash_everywhere"), environment, tmp_path)
    assert re.fullmatch(r"killed at [1-9]\d* points: the same end each time\n", printed), printed


def test_every_python_sample_is_tested_here() -> None:
    assert len(fenced("python")) == 8


def test_the_chat_file_is_valid_and_runs(environment: dict[str, str], tmp_path: Path) -> None:
    (sample,) = [block for block in fenced("yaml") if "# ages.yaml" in block]
    (tmp_path / "ages.yaml").write_text(sample)
    (tmp_path / "people.csv").write_text("age\n1\n2\n")
    done = subprocess.run(
        [sys.executable, "-m", "moot", "run", "ages.yaml", "--set", "inputs.file=people.csv"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pi = 3." in done.stdout


def test_the_graph_sample_fits_the_chat_file(tmp_path: Path) -> None:
    chat, graph, _, _ = (yaml.safe_load(block) for block in fenced("yaml"))
    (tmp_path / "chat.yaml").write_text(yaml.safe_dump({**chat, **graph}, sort_keys=False))
    (tmp_path / "people.csv").write_text("age\n1\n")
    loaded = load_chat(tmp_path / "chat.yaml", sets={"inputs.file": str(tmp_path / "people.csv")})
    assert loaded.chat.names == ("coder", "executor", "checker")


def test_the_samples_of_typed_replies_and_of_people_are_valid(tmp_path: Path) -> None:
    _, _, reply, people = (yaml.safe_load(block) for block in fenced("yaml"))
    judge = {"role": "assistant", "instructions": "Decide.", **reply}
    participants = {
        **people["participants"],
        "judge": judge,
        "executor": {"role": "executor", "runs_code_from": ["judge"]},
    }
    graph = [*people["speakers"]["graph"][:-1], "publisher -> judge", "judge -> executor", "executor -> writer"]
    whole = {
        "version": 1, "name": "notice", "task": "Tell everybody.", "model": "openai/gpt-5-mini",
        **people, "participants": participants, "speakers": {"graph": graph}, "limits": {"turns": 9},
    }  # fmt: skip
    (tmp_path / "tools.py").write_text("def publish(text: str) -> str:\n    'Publish it.'\n    return text\n")
    (tmp_path / "chat.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    loaded = load_chat(tmp_path / "chat.yaml")
    assert loaded.chat.names == ("writer", "owner", "publisher", "judge", "executor")
    for edge in people["speakers"]["graph"]:
        parse_edge(edge)


def test_the_readme_shows_what_the_demo_prints(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "moot", "demo"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = " ".join(README.split())
    answer = done.stdout.strip()
    assert "r = -0.83" in answer
    assert f"DONE: {answer}" in shown
    assert "next: reviewer because executor -> reviewer when exit_code == 0: exit code was 0 (graph)" in shown
    assert "next: reviewer  because executor -> reviewer when exit_code == 0: exit code was 0 (graph)" in done.stderr
