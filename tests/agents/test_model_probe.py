"""What a model can do is found out by asking it; what may be meant instead, by asking around."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from moot.agents.errors import ModelError
from moot.agents.local_models import found_nearby, ollama_models, ollama_url, served_models
from moot.agents.model_probe import Probe, probe
from moot.agents.models import ModelSpec
from tests.answering import Answer, answering, page, part, refusal, stream, used
from tests.model_servers import BrokenModels, Say, ScriptedModels

READY = (
    Say("I am ready.", user="one short sentence"),
    Say(tools={"add": {"a": 2, "b": 3}}, user="Use the tool"),
    Say('{"capital": "Paris", "letters": 5}', user="JSON only"),
)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Resolved model mismatch", "ignore:Pydantic serializer", "ignore:No text", "ignore:Finish reason mismatch"
)


def whole(message: dict[str, object], reason: str = "stop") -> Answer:
    """A reply that is not streamed, in OpenAI's form."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": reason}
    body = {"id": "1", "created": 1, "model": "m", "object": "chat.completion", "choices": [choice]}
    return Answer(json.dumps({**body, "usage": used(5, 2)}).encode())


def call(arguments: str, name: str = "add") -> dict[str, object]:
    return {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}]}


SPOKEN = stream(part("Ready."), part({}, "stop", (7, 2)))
CALLED = whole(call('{"a": 2, "b": 3}'), "tool_calls")
FORMED = whole({"content": '{"capital": "Paris", "letters": 5}'})


def outcome(found: Probe) -> dict[str, bool]:
    return {check.name: check.ok for check in found.checks}


async def test_a_model_that_can_do_it_all(scripted_models: ScriptedModels, environment: Callable[..., None]) -> None:
    environment(OPENAI_API_KEY="k", OPENAI_BASE_URL=scripted_models.openai_url)
    scripted_models.script(*READY)
    found = await probe("openai/gpt-4o")
    assert found.ok
    assert found.model == "openai/gpt-4o"
    assert outcome(found) == dict.fromkeys(["answers", "streams", "tells usage", "calls tools", "typed replies"], True)
    assert found.input_tokens > 0
    assert found.usd is not None
    assert found.first_seconds is not None
    assert found.seconds is not None
    assert 0 < found.first_seconds <= found.seconds
    assert len(scripted_models.asked) == 3


@pytest.mark.parametrize("name", ["anthropic/claude-sonnet-4-5", "ollama/llama3.2", "azure/mine"])
async def test_the_other_providers_are_asked_the_same(
    scripted_models: ScriptedModels, environment: Callable[..., None], name: str
) -> None:
    url = scripted_models.url
    environment(
        ANTHROPIC_API_KEY="k", ANTHROPIC_BASE_URL=url, OLLAMA_HOST=url,
        AZURE_OPENAI_API_KEY="k", AZURE_OPENAI_ENDPOINT=url, OPENAI_API_VERSION="2024-10-21",
    )  # fmt: skip
    scripted_models.script(*READY)
    found = await probe(name)
    assert found.ok
    assert outcome(found)["calls tools"]
    assert outcome(found)["typed replies"]


@pytest.mark.parametrize(
    ("answers", "failing", "words"),
    [
        ((stream(part("Ready."), part({}, "stop")), CALLED, FORMED), "tells usage", "does not say what a reply takes"),
        ((SPOKEN, whole({"content": "5"}), FORMED), "calls tools", "it said instead: 5"),
        ((SPOKEN, whole(call("{a: 2")), FORMED), "calls tools", "its arguments are no JSON: {a: 2"),
        ((SPOKEN, whole(call('{"x": 2}')), FORMED), "calls tools", 'add({"x": 2})'),
        ((SPOKEN, refusal(400, "m does not support tools"), FORMED), "calls tools", "(400): m does not support tools"),
        (
            (SPOKEN, CALLED, whole({"content": "It is Paris."})),
            "typed replies",
            "as JSON: it said instead: It is Paris.",
        ),
        (
            (SPOKEN, CALLED, refusal(400, "response_format is unavailable")),
            "typed replies",
            "response_format is unavailable",
        ),
    ],
)
async def test_what_it_cannot_do_is_said_and_it_can_be_used(
    answers: tuple[Answer, ...], failing: str, words: str
) -> None:
    with answering(*answers) as server:
        found = await probe(ModelSpec(f"{server.url}/v1", "m"))
    assert found.ok
    assert [check.name for check in found.checks if not check.ok] == [failing]
    assert words in next(check.detail for check in found.checks if not check.ok)


async def test_a_model_whose_streams_are_cut_cannot_be_used(broken_models: BrokenModels) -> None:
    broken_models.queue({"type": "stream_fault", "kind": "truncate", "after_chunks": 2})
    found = await probe(ModelSpec(broken_models.openai_url, "m"))
    assert not found.ok
    (check,) = found.checks
    assert "cut off" in check.detail
    assert found.seconds is None


async def test_nobody_waits_for_ever() -> None:
    release = threading.Event()
    with answering(Answer(b"", wait=release)) as server:
        found = await probe(ModelSpec(f"{server.url}/v1", "m"), patience_seconds=0.2)
        assert server.asked.is_set()
        release.set()
    assert [check.detail for check in found.checks] == [
        f"m at {server.url.removeprefix('http://')} did not answer within 0.2 seconds"
    ]


async def test_an_address_without_v1_is_tried_with_it(broken_models: BrokenModels) -> None:
    found = await probe(ModelSpec(broken_models.url, "m"))
    assert not found.ok
    assert found.hint == f"models are listed at {broken_models.openai_url}: give that as base_url"


async def test_where_the_name_is_wrong_those_that_are_there_are_told() -> None:
    listed = Answer(json.dumps({"data": [{"id": name} for name in "abcdefghij"]}).encode())
    with answering(refusal(404, "no model m"), listed) as server:
        found = await probe(ModelSpec(f"{server.url}/v1", "m"))
        assert server.paths == ["/v1/chat/completions", "/v1/models"]
    assert found.hint == "models that are there: a, b, c, d, e, f, g, h and 2 more"


async def test_what_ollama_has_is_told_where_it_has_not_what_is_asked(environment: Callable[..., None]) -> None:
    listed = Answer(json.dumps({"models": [{"name": "llama3.2:latest"}]}).encode())
    with answering(Answer(b'{"error": "model not found"}', status=404), listed) as server:
        environment(OLLAMA_HOST=server.url)
        found = await probe("ollama/x")
    assert "ollama pull x" in found.checks[0].detail
    assert found.hint == "models that are there: llama3.2:latest"


async def test_a_wrong_key_asks_nobody_else(broken_models: BrokenModels) -> None:
    broken_models.queue({"type": "fail", "status": 401})
    found = await probe(ModelSpec(broken_models.openai_url, "m"))
    assert not found.ok
    assert found.hint == ""
    assert len(broken_models.requests) == 1


async def test_a_missing_key_is_an_error_and_a_script_is_nothing_to_test(environment: Callable[..., None]) -> None:
    environment()
    with pytest.raises(ModelError, match="needs a key: set OPENAI_API_KEY"):
        await probe("openai/gpt-4o")
    with pytest.raises(ModelError, match="nothing to test"):
        await probe("playbook:research")


# --- what servers say they have ---


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        (":56789", "http://127.0.0.1:56789"),
        ("example.com:56789/path/", "http://example.com:56789/path"),
        ("http://1.2.3.4", "http://1.2.3.4:80"),
        ("https://example.com", "https://example.com:443"),
        ("[::1]:5", "http://[::1]:5"),
        ("http://me:secret@example.com:1", "http://example.com:1"),
    ],
)
def test_ollamas_address_is_read_as_ollama_reads_it(environment: Callable[..., None], given: str, url: str) -> None:
    environment(OLLAMA_HOST=given)
    assert ollama_url() == url


@pytest.mark.parametrize(
    "answer", [page(), page(404), Answer(b"[]"), Answer(b"null"), Answer(b"{"), Answer(b'{"data": 1, "models": 1}')]
)
async def test_what_is_no_list_of_models_is_none(environment: Callable[..., None], answer: Answer) -> None:
    with answering(answer) as server:
        environment(OLLAMA_HOST=server.url)
        assert await ollama_models() is None
        assert await served_models(server.url) is None


async def test_no_port_of_another_machine_is_tried() -> None:
    assert await found_nearby("http://nowhere.invalid:1/v1") is None


async def test_a_list_of_models_is_not_fetched_elsewhere_with_the_key() -> None:
    with answering(Answer(b'{"data": []}')) as other, answering(Answer(b"", status=302, to=other.url)) as server:
        assert await served_models(server.url, "sk-1") is None
        assert server.headers[0]["authorization"] == "Bearer sk-1"
    assert other.paths == []


@pytest.mark.parametrize("given", ["127.0.0.1:abc", "http://[::1", "[::1", "127.0.0.1:99999"])
def test_what_is_no_address_of_ollama_is_said_and_not_repeated(environment: Callable[..., None], given: str) -> None:
    environment(OLLAMA_HOST=given)
    with pytest.raises(ModelError, match="OLLAMA_HOST is no address: expected HOST, HOST:PORT or http://HOST:PORT"):
        ollama_url()
