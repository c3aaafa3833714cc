"""A selector that asks a server: in which form, with which cap, and what becomes of a server that will not answer."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ModelFamily, ModelInfo
from autogen_ext.models.openai import OpenAIChatCompletionClient

from moot.agents.assistant import assistant
from moot.agents.models import ModelSpec
from moot.agents.prices import Price
from moot.chats.chat import Chat
from moot.chats.event_types import SpeakerSelected
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run
from moot.chats.selector import OUTPUT_TOKENS, selector
from moot.chats.speakers import SELECT
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.testing import FakeModel
from tests.model_servers import Say, ScriptedModels

NAMES = ("ann", "bob", "cid")
PICKS = "You pick who speaks next"
pytestmark = pytest.mark.filterwarnings("ignore:Resolved model mismatch", "ignore:Pydantic serializer warnings")


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server that gives what is queued and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[dict[str, Any]] = []
        self.queue: deque[tuple[int, str, str]] = deque()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def says(self, text: str, *, status: int = 200, finish: str = "stop") -> None:
        self.queue.append((status, text, finish))


class _Answers(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        status, text, finish = self.server.queue.popleft()
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 90, "completion_tokens": 9, "total_tokens": 99}
        whole = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        body = json.dumps(whole if status == 200 else {"error": {"message": text}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests are silent."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def keeps_to_forms(server: Server, family: str = ModelFamily.UNKNOWN, **given: Any) -> OpenAIChatCompletionClient:
    info = ModelInfo(vision=False, function_calling=True, json_output=True, structured_output=True, family=family)
    return OpenAIChatCompletionClient(
        model="m", api_key="loopback", base_url=server.url, max_retries=0, model_info=info, **given
    )


async def ran(
    model: Any, *, turns: int = 1, limits: Mapping[str, Any] | None = None
) -> tuple[Run, list[SpeakerSelected]]:
    agents = [AssistantAgent(name, FakeModel([f"{name} speaks"] * 9)) for name in NAMES]
    store = MemoryStore()
    chat = Chat(agents, speakers=selector(model), limits=Limits(turns=turns, **(limits or {})))
    run = await chat.run("Go.", store=store)
    assert await verify_run(store, run.id) == []
    return run, [event.data for event in await store.load(run.id) if isinstance(event.data, SpeakerSelected)]


async def test_a_model_that_keeps_to_forms_is_asked_in_one_that_names_who_may_speak(server: Server) -> None:
    server.says('{"next": "bob", "reason": "he asked"}')
    run, (choice,) = await ran(keeps_to_forms(server))
    assert (choice.chosen, choice.reason, choice.attempts) == (("bob",), "he asked", 1)
    (asked,) = server.asked
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert asked["response_format"]["json_schema"]["schema"]["properties"]["next"]["enum"] == [*NAMES]
    assert asked["max_tokens"] == OUTPUT_TOKENS
    assert (run.usage_by_participant[SELECT].tokens, run.usage_by_participant[SELECT].model_calls) == (99, 1)


async def test_a_compatible_server_is_asked_for_json(server: Server) -> None:
    server.says('{"next": "cid", "reason": "why not"}')
    _, (choice,) = await ran(ModelSpec(server.url, "local"))
    assert choice.chosen == ("cid",)
    (asked,) = server.asked
    assert asked["response_format"] == {"type": "json_object"}
    assert asked["max_tokens"] == OUTPUT_TOKENS
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]


@pytest.mark.parametrize("structured", [True, False])
async def test_a_server_that_knows_no_form_is_asked_again_without(server: Server, structured: bool) -> None:
    server.says("response_format is not supported", status=400)
    server.says("bob should answer")
    _, (choice,) = await ran(keeps_to_forms(server) if structured else ModelSpec(server.url, "local"))
    assert (choice.chosen, choice.attempts, choice.fallback) == (("bob",), 2, None)
    assert "response_format" in server.asked[0]
    assert "response_format" not in server.asked[1]


@pytest.mark.parametrize("text", ['{"next": 7, "reason": 1}', "no JSON at all", '{"next": "bob"'])
async def test_an_answer_that_does_not_keep_to_its_form_is_put_right(server: Server, text: str) -> None:
    server.says(text)
    server.says('{"next": "ann", "reason": "now in form"}')
    _, (choice,) = await ran(keeps_to_forms(server))
    assert (choice.chosen, choice.attempts, choice.fallback) == (("ann",), 2, None)
    assert "That will not do: your answer" in server.asked[1]["messages"][-1]["content"]


@pytest.mark.parametrize("structured", [True, False])
async def test_a_model_that_thinks_until_it_is_cut_off_is_asked_again_with_room(
    server: Server, structured: bool
) -> None:
    server.says("", finish="length")
    server.says('{"next": "cid", "reason": "I thought about it"}')
    model = keeps_to_forms(server) if structured else ModelSpec(server.url, "local")
    _, (choice,) = await ran(model, limits={"tokens": 90_000})
    assert (choice.chosen, choice.attempts) == (("cid",), 2)
    assert [asked["max_tokens"] for asked in server.asked] == [OUTPUT_TOKENS, 4096]


async def test_a_model_that_is_known_to_think_has_room_at_once(server: Server) -> None:
    server.says('{"next": "cid", "reason": "I thought about it"}')
    await ran(keeps_to_forms(server, ModelFamily.O3), limits={"tokens": 90_000})
    assert [asked["max_tokens"] for asked in server.asked] == [4096]


async def test_a_cap_of_the_clients_own_is_kept(server: Server) -> None:
    server.says('{"next": "cid", "reason": "x"}')
    await ran(keeps_to_forms(server, max_tokens=77), limits={"tokens": 90_000})
    assert [asked["max_tokens"] for asked in server.asked] == [77]


async def test_a_server_that_fails_lets_whoever_waited_longest_speak(server: Server) -> None:
    server.says("overloaded", status=503)
    server.says('{"next": "cid", "reason": "x"}')
    run, (first, second) = await ran(ModelSpec(server.url, "local"), turns=2)
    assert (first.chosen, first.attempts, first.fallback) == (("ann",), 1, "least recent")
    assert "503" in first.reason
    assert second.chosen == ("cid",)
    assert run.outcome is Outcome.LIMIT


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_server_that_refuses_the_key_or_the_model_ends_the_run(server: Server, status: int) -> None:
    server.says("no", status=status)
    run, choices = await ran(ModelSpec(server.url, "local"))
    assert choices == []
    assert (run.outcome, run.cause, run.turns) == (Outcome.FAILED, "model", 0)
    assert run.stopped_by is not None
    assert run.stopped_by.rule == "select.failed"
    assert str(status) in run.stopped_by.reason
    assert len(server.asked) == 1


async def test_a_small_budget_in_dollars_is_not_starved_by_what_an_answer_might_take(server: Server) -> None:
    server.says('{"next": "cid", "reason": "x"}')
    spec = ModelSpec(server.url, "local", price=Price(1.0, 10.0, "a test"))
    most = (600 + 10 * OUTPUT_TOKENS) / 1_000_000  # far below what 4,096 tokens would be
    agents = [assistant(name, "Talk.", model=FakeModel([f"{name} speaks"])) for name in NAMES]
    priced = [type(one)(name=one.name, instructions="Talk.", model=spec) for one in agents]
    chat = Chat(priced, speakers=selector(spec), limits=Limits(turns=1, usd=most))
    run = await chat.run("Go.", store=MemoryStore())
    assert run.usage_by_participant[SELECT].usd == pytest.approx(180 / 1_000_000)
    assert run.outcome is Outcome.LIMIT


async def test_a_whole_chat_over_http_by_a_server_that_others_wrote(scripted_models: ScriptedModels) -> None:
    scripted_models.script(
        Say('{"next": "critic", "reason": "the writer is done"}', to=PICKS, user="last speaker: writer"),
        Say('{"next": "writer", "reason": "somebody has to begin"}', to=PICKS),
        Say("A poem.", to="You are writer"),
        Say("APPROVE", to="You are critic"),
    )
    people = [assistant(name, "Talk.") for name in ("writer", "critic", "editor")]
    chat = Chat(people, speakers=selector(), model=ModelSpec(scripted_models.openai_url, "any"), limits=Limits(turns=2))
    store = MemoryStore()
    run = await chat.run("Write.", store=store)
    assert [(turn.participant, turn.text) for turn in run.transcript.history] == [
        ("writer", "A poem."),
        ("critic", "APPROVE"),
    ]
    reasons = [event.data.reason for event in await store.load(run.id) if isinstance(event.data, SpeakerSelected)]
    assert reasons == ["somebody has to begin", "the writer is done"]
    assert run.usage_by_participant[SELECT].tokens > 0


@pytest.mark.parametrize(
    "model", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "ollama/llama3.2", "azure/my-deployment"]
)
async def test_any_provider_picks_by_a_server_that_others_wrote(
    model: str, scripted_models: ScriptedModels, environment: Callable[..., None]
) -> None:
    url = scripted_models.url
    environment(
        OPENAI_API_KEY="k1", OPENAI_BASE_URL=scripted_models.openai_url, ANTHROPIC_API_KEY="k2", ANTHROPIC_BASE_URL=url,
        OLLAMA_HOST=url, AZURE_OPENAI_API_KEY="k3", AZURE_OPENAI_ENDPOINT=url, OPENAI_API_VERSION="2024-10-21",
    )  # fmt: skip
    answer = {"next": "bob", "reason": "he was asked"}
    calls = model.startswith("anthropic")  # its protocol has no other typed replies
    scripted_models.script(
        Say("" if calls else json.dumps(answer), tools={"reply": answer} if calls else None, to=PICKS)
    )
    run, (choice,) = await ran(model, limits={"tokens": 9_000})
    assert (choice.chosen, choice.reason, choice.attempts) == (("bob",), "he was asked", 1)
    (asked,) = scripted_models.asked
    caps = [asked.get(cap) for cap in ("max_tokens", "max_completion_tokens", "num_predict")]
    assert OUTPUT_TOKENS in [*caps, asked.get("options", {}).get("num_predict")]
    assert run.outcome is Outcome.LIMIT
