"""A model is found by its name, or the one line says what is missing. Keys are never shown."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from autogen_core.models import ChatCompletionClient, CreateResult, UserMessage
from autogen_ext.models.anthropic import AnthropicChatCompletionClient
from autogen_ext.models.ollama import OllamaChatCompletionClient
from autogen_ext.models.openai import AzureOpenAIChatCompletionClient, OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient

from moot.agents.errors import ModelError
from moot.agents.journalled_client import JournalledClient
from moot.agents.model_names import check_name
from moot.agents.models import Model, ModelSpec, own_model, resolve
from moot.agents.openai_options import CAPS, capped
from moot.agents.playbook import Playbook
from moot.agents.playbook_client import PlaybookClient
from moot.agents.prices import Price, price_of
from moot.agents.providers import PROVIDERS, Provider
from tests.fakes import FakeConversation, in_turn

BOOK = "version: 1\nname: book\nparts: {coder: [{say: code}], other: [{say: else}]}\n"
SECRET = "sk-very-secret-0123456789"
HELLO = [UserMessage(content="hello", source="user")]


@pytest.fixture(autouse=True)
def no_keys(environment: Callable[..., None]) -> None:
    """No key of this machine is seen by a test, and none of a test is left behind."""


def _find(model: str | ModelSpec) -> Model:
    return resolve(model, part="coder", playbooks=lambda name: Playbook.parse(BOOK, name))


# --- names ---


@pytest.mark.parametrize(
    "name",
    [
        "playbook:research", "playbook:x#other", "replay:./a/b.jsonl", "replay:x#other", "openai/gpt-5-mini",
        "anthropic/claude-sonnet-4-5", "ollama/llama3.2:3b", "ollama/hf.co/some/model:Q4", "azure/my-deployment",
    ],
)  # fmt: skip
def test_a_known_form_of_name_is_accepted_without_a_file_or_a_key(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("foo/bar", ""),
        ("", ""),
        ("playbook:", ""),
        ("playbook:#coder", ""),
        ("openai/", ""),
        ("opanai/gpt-4o", " (did you mean 'openai/gpt-4o'?)"),
        ("OpenAI/gpt-4o", " (did you mean 'openai/gpt-4o'?)"),
        ("openai:gpt-4o", " (did you mean 'openai/gpt-4o'?)"),
        ("replay:", " (name the tape: replay:tape.jsonl)"),
        ("replay:#coder", " (name the tape: replay:tape.jsonl)"),
        ("reply:a.jsonl", " (did you mean 'replay:a.jsonl'?)"),
        ("playbok:research", " (did you mean 'playbook:research'?)"),
        ("gpt-4o", " (did you mean 'openai/gpt-4o'?)"),
        ("claude-sonnet-4-5", " (did you mean 'anthropic/claude-sonnet-4-5'?)"),
        ("claude/sonnet", " (did you mean 'anthropic/sonnet'?)"),
        ("antropic/x", " (did you mean 'anthropic/x'?)"),
        ("olama/x", " (did you mean 'ollama/x'?)"),
        ("azure_openai/x", " (did you mean 'azure/x'?)"),
        ("anthropic/", ""),
        ("mistral/large", " (it speaks OpenAI's protocol: give its base_url, model and api_key)"),
    ],
)
def test_an_unknown_name_is_refused_with_what_is_expected(name: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        check_name(name)
    expected = (
        "expected playbook:FILE, replay:TAPE, openai/NAME, anthropic/NAME, ollama/NAME, azure/NAME or {base_url, model}"
    )
    assert str(caught.value) == f"unknown model '{name}': {expected}{hint}"


# --- playbooks ---


async def test_a_playbook_plays_the_participants_part_unless_another_is_named() -> None:
    own, other = _find("playbook:book.yaml"), _find("playbook:book.yaml#other")
    assert (own.name, own.kind, own.price and own.price.cost(10, 10)) == ("playbook:book", "scripted", 0.0)
    assert (await own.client.create(HELLO)).content == "code"
    assert (await other.client.create(HELLO)).content == "else"


# --- keys ---


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ModelError, match="openai/gpt-4o needs a key: set OPENAI_API_KEY in the environment"):
        _find("openai/gpt-4o")
    with pytest.raises(ModelError, match="set MY_KEY in the environment"):
        _find(ModelSpec("http://127.0.0.1:1/v1", "m", "${env:MY_KEY}"))


@pytest.mark.parametrize(
    ("given", "name", "missing"),
    [
        ({}, "anthropic/x", "anthropic/x needs a key: set ANTHROPIC_API_KEY in the environment"),
        (
            {},
            "azure/x",
            "azure/x needs AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT and OPENAI_API_VERSION: "
            "set them in the environment",
        ),
        (
            {"AZURE_OPENAI_API_KEY": SECRET, "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:1"},
            "azure/x",
            "azure/x needs OPENAI_API_VERSION: set it in the environment",
        ),
        (
            {"OPENAI_API_KEY": SECRET, "OPENAI_BASE_URL": f"me:{SECRET}@localhost"},
            "openai/x",
            "openai/x: OPENAI_BASE_URL must be an address that begins with http:// or https://",
        ),
        (
            {"AZURE_OPENAI_API_KEY": SECRET, "AZURE_OPENAI_ENDPOINT": "x", "OPENAI_API_VERSION": "1"},
            "azure/x",
            "azure/x: AZURE_OPENAI_ENDPOINT must be an address that begins with http:// or https://",
        ),
    ],
)
def test_what_a_provider_needs_of_the_environment_is_named(
    environment: Callable[..., None], given: dict[str, str], name: str, missing: str
) -> None:
    environment(**given)
    with pytest.raises(ModelError) as caught:
        _find(name)
    assert str(caught.value) == missing


def test_a_base_url_without_http_is_refused() -> None:
    with pytest.raises(ModelError, match="the base_url of m must be an address that begins with http://"):
        _find(ModelSpec("localhost:11434/v1", "m"))


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    provider = Provider("anthropic", "Anthropic", ("json", "no_such_package"))
    with pytest.raises(ModelError) as caught:
        provider.check("anthropic/x")
    assert str(caught.value) == "anthropic/x needs the package 'no_such_package': pip install 'moot[anthropic]'"


def test_every_provider_has_an_extra_of_its_name() -> None:
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {*PROVIDERS, "models"} <= {*extras}


def test_a_key_written_into_the_file_is_refused_and_not_repeated() -> None:
    with pytest.raises(ModelError, match=r"api_key must be \$\{env:NAME\}") as caught:
        _find(ModelSpec("http://127.0.0.1:1/v1", "m", SECRET))
    assert SECRET not in str(caught.value)


def test_a_client_made_for_a_name_is_to_be_closed_by_whoever_asked() -> None:
    os.environ["OPENAI_API_KEY"] = SECRET
    for model in ("openai/gpt-4o", "playbook:book.yaml", ModelSpec("http://127.0.0.1:1/v1", "m")):
        assert _find(model).made


def test_a_resolved_model_does_not_show_its_key() -> None:
    os.environ["OPENAI_API_KEY"] = SECRET
    assert SECRET not in repr(_find("openai/gpt-4o"))
    assert "secret" not in repr(_find(ModelSpec("http://me:secret@127.0.0.1:1/v1", "m")).name)


def test_a_model_of_openai_is_never_asked_elsewhere_whatever_its_name_begins_with() -> None:
    os.environ["OPENAI_API_KEY"] = SECRET
    for name in ("gpt-4o", "claude-x", "gemini-x", "Llama-x", "a-model-of-tomorrow"):
        client = _find(f"openai/{name}").client
        assert isinstance(client, OpenAIChatCompletionClient)
        assert client._client.base_url.host == "api.openai.com"
        assert client._client.max_retries == 0


# --- prices ---


def test_a_model_has_the_price_of_the_list_or_of_its_spec_or_none() -> None:
    os.environ["OPENAI_API_KEY"] = SECRET
    price = Price(1.0, 2.0, "given")
    assert _find("openai/gpt-4o").price == price_of("openai/gpt-4o") is not None
    assert _find("openai/a-model-of-tomorrow").price is None
    assert _find(ModelSpec("http://127.0.0.1:1/v1", "gpt-4o")).price is None
    assert _find(ModelSpec("http://127.0.0.1:1/v1", "m", price=price)).price == price


def test_what_runs_on_ones_own_machine_is_free_and_a_deployment_is_priced_by_its_name() -> None:
    own, rented = price_of("ollama/llama3.2"), price_of("ollama/gpt-oss:120b-cloud")
    assert own is not None
    assert (own.cost(1_000_000, 1_000_000), own.source) == (0.0, "runs on a machine of yours")
    assert rented is None
    assert price_of("azure/gpt-4o") == price_of("openai/gpt-4o")
    assert price_of("azure/my-deployment") is None
    assert price_of("anthropic/claude-sonnet-4-5") is not None


# --- clients that somebody made ---


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (
            lambda: AnthropicChatCompletionClient(model="claude-3-5-haiku-20241022", api_key=SECRET),
            "anthropic/claude-3-5-haiku-20241022",
        ),
        (lambda: OllamaChatCompletionClient(model="llama3.2"), "ollama/llama3.2"),
        (
            lambda: AzureOpenAIChatCompletionClient(
                model="gpt-4o", azure_endpoint="http://127.0.0.1:1", api_version="1", api_key=SECRET
            ),
            "azure/gpt-4o",
        ),
        (
            lambda: AnthropicChatCompletionClient(
                model="claude-3-5-haiku-20241022", api_key=SECRET, base_url="http://127.0.0.1:1"
            ),
            "AnthropicChatCompletionClient",
        ),
    ],
)
def test_a_client_of_a_provider_is_called_and_priced_as_its_name_would_be(
    made: Callable[[], ChatCompletionClient], name: str
) -> None:
    found = own_model(made())
    assert (found.name, found.kind, found.price) == (name, "real", price_of(name))


def test_any_client_of_autogen_is_taken_as_it_is() -> None:
    replay = ReplayChatCompletionClient(["hi"])
    scripted = PlaybookClient(Playbook.parse(BOOK), "coder")
    openai = OpenAIChatCompletionClient(model="gpt-4o", api_key=SECRET)
    local = OpenAIChatCompletionClient(model="gpt-4o", api_key=SECRET, base_url="http://127.0.0.1:1/v1")
    taken = [
        resolve(client, part="coder", playbooks=lambda name: Playbook.parse(BOOK, name))
        for client in (replay, scripted, openai, local)
    ]
    assert not any(model.made for model in taken)
    assert [model.client for model in taken] == [replay, scripted, openai, local]
    assert [(model.name, model.kind) for model in taken] == [
        ("ReplayChatCompletionClient", "real"),
        ("playbook:book", "scripted"),
        ("openai/gpt-4o", "real"),
        ("OpenAIChatCompletionClient", "real"),
    ]
    assert [model.price is not None for model in taken] == [False, True, True, False]


# --- over HTTP ---

CHUNKS: list[dict[str, object]] = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi "}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "there"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}},
]
WHOLE: dict[str, object] = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi there"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


@dataclass
class _Server:
    """A provider on loopback: keeps what it was asked."""

    broken: bool = False
    asked: list[dict[str, object]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = {name.lower(): text for name, _, text in (line.partition(": ") for line in head.split("\r\n"))}
        body = json.loads(await reader.readexactly(int(fields["content-length"])))
        self.asked.append(body)
        self.keys.append(fields["authorization"])
        common: dict[str, object] = {"id": "1", "created": 1, "model": "m"}
        if body.get("stream"):
            data = (
                b"".join(b"data: %s\n\n" % json.dumps({**common, **c}).encode() for c in CHUNKS) + b"data: [DONE]\n\n"
            )
        else:
            data = json.dumps({**common, "object": "chat.completion", **WHOLE}).encode()
        kind = "text/event-stream" if body.get("stream") else "application/json"
        status = "500 Broken" if self.broken else "200 OK"
        headers = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(headers.encode() + data)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def _serving(server: _Server) -> AsyncIterator[str]:
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"


async def test_a_streamed_reply_comes_with_its_usage_and_a_whole_one_too() -> None:
    os.environ["MY_KEY"] = SECRET
    server = _Server()
    async with _serving(server) as url:
        asked = _find(ModelSpec(url, "m", "${env:MY_KEY}")).client
        client = JournalledClient(asked, None)
        *chunks, streamed = [item async for item in client.create_stream(HELLO)]
        whole = await client.create(HELLO)
        await client.close()
    assert isinstance(streamed, CreateResult)
    assert "".join(str(chunk) for chunk in chunks) == streamed.content == whole.content == "hi there"
    assert [(r.usage.prompt_tokens, r.usage.completion_tokens) for r in (streamed, whole)] == [(7, 2), (7, 2)]
    assert [body.get("stream_options") for body in server.asked] == [{"include_usage": True}, None]
    assert server.keys == [f"Bearer {SECRET}"] * 2


async def test_a_client_of_ones_own_is_asked_for_its_usage_unless_it_was_told_otherwise() -> None:
    class Mine(OpenAIChatCompletionClient):
        """As users derive one."""

    server = _Server()
    async with _serving(server) as url:
        for told in ({}, {"stream_options": {"include_usage": False}}):
            mine = Mine(model="gpt-4o", api_key=SECRET, base_url=url, **told)  # type: ignore[arg-type]
            client = JournalledClient(mine, None)
            await _last(client, {})
            await _last(client, {"extra_create_args": {"stream_options": {"include_usage": True}}})
            await client.close()
    on, off = {"include_usage": True}, {"include_usage": False}
    assert [body["stream_options"] for body in server.asked] == [on, on, off, on]


@pytest.mark.parametrize(
    ("model", "made_with", "asked_with", "sent"),
    [
        ("gpt-4o", {}, {}, {"max_tokens": 4096}),
        ("gpt-5-mini", {}, {}, {"max_completion_tokens": 4096}),
        ("gpt-4o", {"max_tokens": 50}, {}, {"max_tokens": 50}),
        ("gpt-4o", {}, {"max_completion_tokens": 60}, {"max_completion_tokens": 60}),
    ],
)
@pytest.mark.filterwarnings("ignore:Resolved model mismatch")
async def test_under_a_limit_a_reply_is_capped_at_what_is_reserved_for_it(
    model: str, made_with: dict[str, int], asked_with: dict[str, int], sent: dict[str, int]
) -> None:
    conversation, server = FakeConversation(), _Server()
    in_turn(conversation)
    async with _serving(server) as url:
        mine = OpenAIChatCompletionClient(model=model, api_key=SECRET, base_url=url, **made_with)  # type: ignore[arg-type]
        client = JournalledClient(mine, None)
        for conversation.limited in (True, False):
            await client.create(HELLO, extra_create_args=asked_with)
        await client.close()
    given = [{cap: body[cap] for cap in CAPS if cap in body} for body in server.asked]
    assert given == [sent, {**made_with, **asked_with}]
    assert {effect.reserve.output_tokens for effect in conversation.effects.values()} == {*sent.values()}
    assert len({effect.digest for effect in conversation.effects.values()}) == 1


async def test_where_the_environment_says_openai_is_the_cap_has_openais_name() -> None:
    os.environ["OPENAI_API_KEY"] = SECRET
    server = _Server()
    async with _serving(server) as url:
        mine = OpenAIChatCompletionClient(model="gpt-4o", api_key=SECRET, base_url=url)
        assert capped(mine, {}, 7) == {"max_tokens": 7}
        os.environ["OPENAI_BASE_URL"] = url
        for client in (mine, _find("openai/gpt-4o").client):
            assert capped(client, {"seed": 1}, 7) == {"seed": 1, "max_completion_tokens": 7}
    del os.environ["OPENAI_BASE_URL"]
    assert capped(_find("openai/gpt-4o").client, {}, 7) == {"max_completion_tokens": 7}
    assert capped(ReplayChatCompletionClient(["hi"]), {}, 7) == {}


async def _last(client: JournalledClient, options: dict[str, object]) -> object:
    return [item async for item in client.create_stream(HELLO, **options)][-1]


async def test_a_failing_provider_is_asked_once() -> None:
    server = _Server(broken=True)
    async with _serving(server) as url:
        client = _find(ModelSpec(url, "m")).client
        with pytest.raises(Exception, match="500"):
            await client.create(HELLO)
        await client.close()
    assert len(server.asked) == 1


# --- what cannot be sent or asked ---


@pytest.mark.parametrize("key", [f"{SECRET}\n", f"{SECRET}\r", f" {SECRET}", f"{SECRET}é", f"\x1b{SECRET}"])
@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "azure/d", "spec"])
def test_a_key_that_cannot_be_sent_is_refused_before_a_library_repeats_it(
    environment: Callable[..., None], model: str, key: str
) -> None:
    environment(
        OPENAI_API_KEY=key, ANTHROPIC_API_KEY=key, AZURE_OPENAI_API_KEY=key, MINE=key,
        AZURE_OPENAI_ENDPOINT="http://127.0.0.1:9", OPENAI_API_VERSION="2024-10-21",
    )  # fmt: skip
    spec = ModelSpec("http://127.0.0.1:9/v1", "m", "${env:MINE}")
    with pytest.raises(ModelError, match="holds no key that can be sent") as caught:
        _find(spec if model == "spec" else model)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://", "http://[::1", "http://[bad]/v1", "http://me:secret@host:abc/v1", "http://127.0.0.1:99999",
        "http://exa\nmple/v1",
    ],
)  # fmt: skip
def test_an_address_that_nobody_can_have_is_refused_and_not_repeated(
    environment: Callable[..., None], url: str
) -> None:
    environment(OPENAI_API_KEY=SECRET, OPENAI_BASE_URL=url)
    for model in ("openai/gpt-4o", ModelSpec(url, "m")):
        with pytest.raises(ModelError, match="is no address that can be asked: check its host and its port") as caught:
            _find(model)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "socksio"),
        ("HTTPS_PROXY", "http://me:secret@127.0.0.1:abc", "InvalidURL"),
        ("SSL_CERT_FILE", "/no/such/file", "No such file"),
    ],
)
def test_a_proxy_or_a_certificate_that_cannot_be_used_is_told_as_such(
    environment: Callable[..., None], variable: str, value: str, why: str
) -> None:
    environment(**{variable: value, "OPENAI_API_KEY": SECRET})
    with pytest.raises(ModelError, match=f"openai/gpt-4o cannot be asked: .*{why}.*; check the environment's") as told:
        _find("openai/gpt-4o")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("name", ["openai/\x1b[31mred", "openai/\ud800", "gpt\n4"])
def test_a_name_that_cannot_be_printed_is_refused_in_words_that_can(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        check_name(name)
    assert str(caught.value).isprintable()
