"""What goes wrong with a model is one line that says what to do, and no key is in it."""

from __future__ import annotations

import asyncio
import json
import threading
import traceback
from collections.abc import Callable

import pytest
from autogen_core.models import CreateResult, UserMessage
from pydantic import BaseModel

from moot.agents.answers import MOST_BYTES, MOST_OF_AN_ERROR
from moot.agents.errors import ModelFault, ModelRefused
from moot.agents.journalled_client import JournalledClient
from moot.agents.models import Model, ModelSpec, resolve
from moot.agents.openai_client import compatible_client
from moot.agents.playbook import Playbook
from tests.answering import EVENTS, Answer, answering, page, part, refusal, stream
from tests.fakes import FakeConversation, in_turn
from tests.model_servers import BrokenModels

HELLO = [UserMessage(content="hello", source="user")]
KEY = "sk-very-secret-0123456789"
pytestmark = pytest.mark.filterwarnings("ignore:Resolved model mismatch", "ignore:No text content")
Environment = Callable[..., None]


def find(model: str | ModelSpec) -> Model:
    return resolve(model, part="coder", playbooks=lambda name: Playbook.parse("", name))


async def fault_of(model: str | ModelSpec, *, streams: bool = True) -> ModelFault:
    """What asking it raises."""
    found = find(model)
    client = JournalledClient(found.client, found.price)
    with pytest.raises(ModelFault) as caught:
        await (_streamed(client) if streams else client.create(HELLO))
    await client.close()
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    return caught.value


async def _streamed(client: JournalledClient) -> list[str | CreateResult]:
    return [item async for item in client.create_stream(HELLO)]


def refused(fault: ModelFault) -> bool:
    """Whether it is not worth another attempt."""
    return isinstance(fault, ModelRefused)


# --- a server that breaks, in two protocols ---


@pytest.fixture(params=["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "compatible"])
def broken_model(
    request: pytest.FixtureRequest, broken_models: BrokenModels, environment: Environment
) -> str | ModelSpec:
    """One of the models that the breaking server plays."""
    environment(
        OPENAI_API_KEY=KEY, OPENAI_BASE_URL=broken_models.openai_url,
        ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=broken_models.anthropic_url, MINE=KEY,
    )  # fmt: skip
    if request.param == "compatible":
        return ModelSpec(f"{broken_models.openai_url}/", "m", "${env:MINE}")
    return str(request.param)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("truncate", "ended without a finish reason: it was cut off, and is not used"),
        ("disconnect", "broke off: peer closed connection"),
        ("malformed", "sent something that is no reply of the protocol"),
    ],
)
async def test_a_broken_stream_is_a_failure_that_may_go_well_another_time(
    broken_models: BrokenModels, broken_model: str | ModelSpec, kind: str, words: str
) -> None:
    broken_models.queue({"type": "stream_fault", "kind": kind, "after_chunks": 3})
    fault = await fault_of(broken_model)
    assert words in str(fault)
    assert not refused(fault)
    (request,) = broken_models.requests
    assert kind in str(request)  # the fault fired


async def test_the_tools_that_a_cut_stream_calls_are_never_run(
    broken_models: BrokenModels, environment: Environment
) -> None:
    environment(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=broken_models.openai_url)
    conversation = FakeConversation()
    in_turn(conversation)
    broken_models.queue(
        {"type": "reply", "tool_calls": [{"name": "pay", "arguments": {"usd": 5}}]},
        {"type": "stream_fault", "kind": "truncate", "after_chunks": 2},
    )
    fault = await fault_of("openai/gpt-4o")
    assert "cut off" in str(fault)
    assert fault.billed  # the model was at work on it
    assert conversation.results == {}


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    ("status", "words", "final"),
    [
        (400, "refuses the request (400)", True),
        (401, "refuses the key (401): check ", True),
        (403, "may not be used with this key (403)", True),
        (404, "is not there (404)", True),
        (408, "refuses the request (408)", False),
        (429, "is asked too often (429)", False),
        (500, "failed (500)", False),
        (529, "failed (529)", False),
    ],
)
async def test_each_status_has_its_words_and_is_asked_once(
    broken_models: BrokenModels, broken_model: str | ModelSpec, status: int, words: str, final: bool, streams: bool
) -> None:
    broken_models.queue({"type": "fail", "status": status})
    fault = await fault_of(broken_model, streams=streams)
    assert words in str(fault)
    assert refused(fault) == final
    assert [request["status"] for request in broken_models.requests] == [status]


async def test_the_variable_that_holds_the_wrong_key_is_named(
    broken_models: BrokenModels, environment: Environment
) -> None:
    environment(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=broken_models.openai_url, MINE=KEY)
    cases: list[tuple[str | ModelSpec, str]] = [
        ("openai/gpt-4o", "check OPENAI_API_KEY"),
        (
            ModelSpec(broken_models.openai_url.replace("127.0.0.1", "localhost"), "m", "${env:MINE}"),
            "that api_key names",
        ),
        (ModelSpec(broken_models.openai_url.replace("127.0.0.1", "localhost"), "m"), "wants a key (401)"),
    ]
    for model, words in cases:
        broken_models.queue({"type": "fail", "status": 401})
        assert words in str(await fault_of(model))


# --- servers that are no models ---


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("path", ["/v1", ""])
async def test_a_web_page_is_no_reply(path: str, streams: bool) -> None:
    with answering(page()) as server:
        fault = await fault_of(ModelSpec(f"{server.url}{path}", "m"), streams=streams)
        hint = "" if path else f" (did you mean {server.url}/v1?)"
        place = server.url.removeprefix("http://")
        assert str(fault) == f"m at {place} answers with a web page: that address is no model's{hint}"
    assert refused(fault)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page(404), "nothing answers as a model at {url} (404) (did you mean {url}/v1?)"),
        (page(405), "nothing answers as a model at {url} (405) (did you mean {url}/v1?)"),
        (page(502), "the server of m at {place} failed (502)"),
        (
            refusal(404, "model 'm' not found"),
            "m at {place} is not there (404): model 'm' not found; check the model's name (did you mean {url}/v1?)",
        ),
        (refusal(403, "no"), "m at {place} may not be used with this key (403): no"),
        (
            refusal(429, "You exceeded your current quota"),
            "m at {place} has nothing left to spend (429): You exceeded your current quota",
        ),
    ],
)
async def test_an_error_that_is_a_page_or_words_is_told(answer: Answer, words: str) -> None:
    with answering(answer) as server:
        fault = await fault_of(ModelSpec(server.url, "m"))
    assert str(fault) == words.format(url=server.url, place=server.url.removeprefix("http://"))


async def test_words_that_repeat_the_key_are_told_without_it(environment: Environment) -> None:
    environment(MINE=KEY)
    for status in (400, 401, 403, 500):
        with answering(refusal(status, f"Incorrect API key provided: {KEY}.")) as server:
            fault = await fault_of(ModelSpec(f"{server.url}/v1", "m", "${env:MINE}"))
            assert server.headers[0]["authorization"] == f"Bearer {KEY}"
        assert "(the key)" in str(fault) or status == 401
        assert not fault.billed


@pytest.mark.parametrize("told", [KEY.upper(), KEY[3:15], f"{KEY}{KEY}", f"x{KEY[:12]}-{KEY[4:]}y", f"{'İ' * 9}{KEY}"])
async def test_words_that_repeat_a_part_of_the_key_are_told_without_it(environment: Environment, told: str) -> None:
    environment(MINE=KEY)
    with answering(refusal(400, f"Your key <{told}> is bad")) as server:
        fault = await fault_of(ModelSpec(f"{server.url}/v1", "m", "${env:MINE}"))
    assert "Your key <" in str(fault)
    said = "".join(traceback.format_exception(fault)).lower()
    assert not any(KEY[at : at + 8].lower() in said for at in range(len(KEY) - 7))


async def test_a_key_that_any_word_could_be_does_not_spoil_what_is_told(environment: Environment) -> None:
    environment(MINE="s")
    with answering(refusal(400, "so it goes")) as server:
        fault = await fault_of(ModelSpec(f"{server.url}/v1", "m", "${env:MINE}"))
    assert "so it goes" in str(fault)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b'{"hello": 1}'), Answer(b"[]"), Answer(b"not json"), Answer(b""), Answer(b"hello", "text/plain"),
        Answer(b"[" * 200_000),
    ],
)  # fmt: skip
async def test_anything_else_is_no_reply_either(answer: Answer) -> None:
    with answering(answer) as server:
        fault = await fault_of(ModelSpec(f"{server.url}/v1", "m"), streams=False)
    assert "is no reply of the protocol" in str(fault)


async def test_a_connection_that_breaks_off_is_told() -> None:
    with answering(stream(part("hi"), cut=True, end=b"")) as server:
        fault = await fault_of(ModelSpec(f"{server.url}/v1", "m"))
    assert "broke off" in str(fault)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("openai/gpt-4o", "no server answers at http://127.0.0.1:9/v1: is it running, and is the port right?"),
        ("anthropic/x", "no server answers at http://127.0.0.1:9: is it running"),
        ("ollama/x", "is it running, and is the port right? (ollama serve starts it)"),
        ("azure/x", "no server answers at http://127.0.0.1:9/openai/deployments/x: is it running"),
        (ModelSpec("http://127.0.0.1:9/v1", "m"), "no server answers at http://127.0.0.1:9/v1"),
        (ModelSpec("http://nowhere.invalid/v1", "m"), "no server answers at http://nowhere.invalid/v1"),
    ],
)
async def test_where_nobody_is_the_address_is_told(
    model: str | ModelSpec, words: str, environment: Environment
) -> None:
    nobody = "http://127.0.0.1:9"
    environment(
        OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{nobody}/v1", ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=nobody,
        OLLAMA_HOST=nobody, AZURE_OPENAI_API_KEY=KEY, AZURE_OPENAI_ENDPOINT=nobody, OPENAI_API_VERSION="2024-10-21",
    )  # fmt: skip
    fault = await fault_of(model)
    assert words in str(fault)
    assert fault.elsewhere
    assert not refused(fault)


async def test_a_model_that_ollama_does_not_have_is_to_be_pulled(environment: Environment) -> None:
    with answering(Answer(b'{"error": "model \\"x\\" not found, try pulling it first"}', status=404)) as server:
        environment(OLLAMA_HOST=server.url)
        fault = await fault_of("ollama/x")
    assert str(fault).endswith("is not there (404): ollama pull x")
    assert refused(fault)


async def test_what_a_program_did_wrong_is_not_blamed_on_the_model() -> None:
    client = JournalledClient(find(ModelSpec("http://127.0.0.1:9/v1", "m")).client, None)
    with pytest.raises(ValueError, match="structured output"):
        await client.create(HELLO, json_output=_Form)
    await client.close()


class _Form(CreateResult):
    """Any form."""


async def test_a_slow_server_is_waited_for() -> None:
    release = threading.Event()
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
    body = json.dumps({"id": "1", "created": 1, "model": "m", "object": "chat.completion", **whole}).encode()
    with answering(Answer(body, wait=release)) as server:
        client = JournalledClient(find(ModelSpec(f"{server.url}/v1", "m")).client, None)
        reply = asyncio.ensure_future(client.create(HELLO))
        await asyncio.to_thread(server.asked.wait, 60)
        assert not reply.done()
        release.set()
        assert (await reply).content == "hi"
        await client.close()


async def test_a_reply_that_is_not_in_its_form_is_told_in_words(environment: Callable[..., None]) -> None:
    class Form(BaseModel):
        winner: str

    def whole(text: str, reason: str) -> Answer:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        body = {"id": "1", "created": 1, "model": "m", "object": "chat.completion", "choices": [choice]}
        return Answer(json.dumps(body).encode())

    for answer, words in [
        (whole("Ann wins.", "stop"), "is not in the form that was asked for"),
        (whole('{"winner": "an', "length"), "reached its length limit before it was whole"),
    ]:
        with answering(answer) as server:
            environment(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{server.url}/v1")
            client = JournalledClient(find("openai/gpt-4o").client, None)
            with pytest.raises(ModelFault, match=words):
                await client.create(HELLO, json_output=Form)
            await client.close()


@pytest.mark.parametrize("reason", ["length", "max_tokens", "content_filter"])
async def test_calls_of_a_reply_in_one_piece_that_was_cut_off_are_not_made(reason: str) -> None:
    called = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [called]}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    body = {"id": "1", "created": 1, "model": "m", "object": "chat.completion", "choices": [choice]}
    with answering(Answer(json.dumps(body).encode())) as server:
        fault = await fault_of(ModelSpec(f"{server.url}/v1", "m"), streams=False)
    assert str(fault).endswith("among its tool calls: they are not made")
    assert fault.billed


# --- servers that do not come to an end ---


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("openai/gpt-4o", b": %s\n\n"),
        ("anthropic/x", b": %s\n\n"),
        ("ollama/x", b'{"model": "x", "message": {"role": "assistant", "content": "%s"}, "done": false}\n'),
    ],
)
async def test_a_reply_that_is_far_too_long_is_read_no_further(
    environment: Environment, model: str, line: bytes, streams: bool
) -> None:
    with answering(Answer(line % (b"x" * 1_000_000) * (MOST_BYTES // 1_000_000 + 1), EVENTS)) as server:
        environment(
            OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{server.url}/v1", ANTHROPIC_API_KEY=KEY,
            ANTHROPIC_BASE_URL=server.url, OLLAMA_HOST=server.url,
        )  # fmt: skip
        fault = await fault_of(model, streams=streams)
    assert "sent more than 64 MiB: that is no reply, and is not used" in str(fault)
    assert fault.billed


@pytest.mark.parametrize("streams", [True, False])
async def test_of_an_error_that_is_far_too_long_its_status_is_told(streams: bool) -> None:
    with answering(Answer(b'"%s' % (b"x" * 2 * MOST_OF_AN_ERROR), status=500)) as server:
        fault = await fault_of(ModelSpec(f"{server.url}/v1", "m"), streams=streams)
    assert "failed (500)" in str(fault)
    assert len(str(fault)) < 400


async def test_a_status_can_be_asked_for(broken_models: BrokenModels) -> None:
    broken_models.queue({"type": "fail", "status": 429})
    assert (await fault_of(ModelSpec(broken_models.openai_url, "m"))).status_code == 429


OVERLOADED = {"error": {"message": f"overloaded, {KEY}", "type": "overloaded_error"}, "type": "error"}


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        ("openai/gpt-4o", stream(part("hi"), b"data: %s\n\n" % json.dumps(OVERLOADED).encode())),
        ("anthropic/x", Answer(b"event: error\ndata: %s\n\n" % json.dumps(OVERLOADED).encode(), "text/event-stream")),
        ("ollama/x", Answer(b'{"error": "overloaded, %s"}\n' % KEY.encode(), "application/x-ndjson")),
    ],
)
async def test_an_error_in_the_middle_of_a_stream_is_told(
    environment: Callable[..., None], model: str, answer: Answer
) -> None:
    with answering(answer) as server:
        environment(
            OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{server.url}/v1",
            ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=server.url, OLLAMA_HOST=server.url,
        )  # fmt: skip
        if model.startswith("ollama"):  # it has no key that it could repeat
            server.answers = [Answer(answer.body.replace(KEY.encode(), b"(the key)"), answer.kind)]
        fault = await fault_of(model)
        place = server.url.removeprefix("http://")
    assert str(fault) == f"the server of {model} at {place} failed while it replied: overloaded, (the key)"
    assert not refused(fault)


# --- what would take a key elsewhere ---


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "azure/d", "ollama/x"])
async def test_a_server_that_sends_its_callers_elsewhere_gets_neither_key_nor_words_sent_there(
    environment: Environment, model: str, streams: bool
) -> None:
    with answering(page()) as other, answering(Answer(b"", status=307, to=f"{other.url}/take")) as server:
        environment(
            OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=server.url,
            AZURE_OPENAI_API_KEY=KEY, AZURE_OPENAI_ENDPOINT=server.url, OPENAI_API_VERSION="2024-10-21",
            OLLAMA_HOST=server.url,
        )  # fmt: skip
        fault = await fault_of(model, streams=streams)
        assert server.paths
    assert "sends its callers to another server, which is not asked" in str(fault)
    assert refused(fault)
    assert other.paths == []


async def test_another_path_of_the_same_server_is_followed(environment: Environment) -> None:
    with answering(Answer(b"", status=307, to="/v1/chat/completions"), stream(part("hi", "stop"))) as server:
        environment(MINE=KEY)
        found = find(ModelSpec(server.url, "m", "${env:MINE}"))
        *_, result = await _streamed(JournalledClient(found.client, None))
        await found.client.close()
    assert isinstance(result, CreateResult)
    assert result.content == "hi"
    assert server.paths == ["/chat/completions", "/v1/chat/completions"]


@pytest.mark.parametrize("end", ["\n", "\r", " "])
async def test_a_key_of_somebodys_own_client_that_cannot_be_sent_is_not_told(end: str) -> None:
    with answering(page()) as server:
        client = JournalledClient(compatible_client("m", f"{KEY}{end}", server.url), None)
        with pytest.raises(ModelFault) as caught:
            await client.create(HELLO)
        await client.close()
    assert "Illegal header value" in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))
