"""Models by name: which client answers, what it is called, what it costs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from moot.agents.errors import ModelError
from moot.agents.model_names import EXPECTED, check_name
from moot.agents.openai_options import NO_KEY, created_with
from moot.agents.prices import FREE, Price, price_of
from moot.agents.providers import PROVIDERS, check_address, check_key, provider_named

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

    from moot.agents.playbook import Playbook

ModelKind: TypeAlias = Literal["scripted", "replayed", "real"]
_OWN_CLIENTS = {
    "OpenAIChatCompletionClient": "openai",
    "AnthropicChatCompletionClient": "anthropic",
    "OllamaChatCompletionClient": "ollama",
    "AzureOpenAIChatCompletionClient": "azure",
}
"""AutoGen's clients, by the provider they ask unless they are told another address."""
_ENV = re.compile(r"\$\{env:(\w+)\}")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model behind any address that speaks OpenAI's protocol (Ollama, vLLM, a proxy)."""

    base_url: str
    model: str
    api_key: str | None = None
    """`${env:NAME}`, never the key itself; None where the server wants none."""
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model ready to be asked. `price` is None where nobody knows it: unpriced, not free."""

    client: ChatCompletionClient
    name: str
    kind: ModelKind
    price: Price | None = None
    made: bool = False
    """Whether the client was made for whoever asked, who has to close it; else it is somebody's own."""


def resolve(model: str | ModelSpec | ChatCompletionClient, *, part: str, playbooks: Callable[[str], Playbook]) -> Model:
    """The model of that name, for a participant whose script or recorded calls, if there are any, are those of `part`.

    `playbooks` finds a playbook by name or file. `ModelError` says what is missing: a key, a package, a playbook, a
    tape.
    """
    if isinstance(model, ModelSpec):
        return _compatible(model)
    if not isinstance(model, str):
        return _seated(model, part, playbooks)
    check_name(model)
    if model.startswith("replay:"):
        from moot.agents.replay_client import replayed

        tape, _, other = model.removeprefix("replay:").partition("#")
        return replayed(tape, part=other).seated(part)
    if model.startswith("playbook:"):
        from moot.agents.playbook_client import PlaybookClient

        name, _, other = model.removeprefix("playbook:").partition("#")
        scripted = PlaybookClient(playbooks(name), other or part)
        return Model(scripted, scripted.name, "scripted", FREE, made=True)
    with _making(model):
        return Model(_provided(model), model, "real", price_of(model), made=True)


def _provided(model: str) -> ChatCompletionClient:
    """A client of the provider that the name begins with. Raises ModelError for what is missing."""
    provider = provider_named(model)
    if provider is None:
        raise ModelError(f"unknown model '{model}': {EXPECTED}")
    provider.check(model)
    name, key = model.partition("/")[2], os.environ.get(provider.key, "")
    if provider.kind == "anthropic":
        from moot.agents.anthropic_client import anthropic_client

        return anthropic_client(name, key)
    if provider.kind == "ollama":
        from moot.agents.ollama_client import ollama_client

        return ollama_client(name)
    from moot.agents.openai_client import azure_client, openai_client

    return azure_client(name) if provider.kind == "azure" else openai_client(name, key)


def _compatible(spec: ModelSpec) -> Model:
    """A model behind an address of its own. Its price is what the spec says: no list knows it."""
    check_address(spec.base_url, f"the base_url of {spec.model}")
    name = f"{spec.model} at {_place(spec.base_url)}"
    key = None if spec.api_key is None else _key(spec.api_key)
    PROVIDERS["openai"].check_packages(name)
    from moot.agents.openai_client import compatible_client

    with _making(name):
        # The client insists on a key; a server that wants none ignores it.
        return Model(compatible_client(spec.model, key or NO_KEY, spec.base_url), name, "real", spec.price, made=True)


@contextmanager
def _making(model: str) -> Iterator[None]:
    """Around the making of a client: what the environment says of proxies and certificates is read there."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - the libraries agree on no class
        # Of an address only that it is wrong: a password may be in it.
        why = str(error) if isinstance(error, ImportError | OSError) else type(error).__name__
        where = "the environment's proxy and certificates (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE)"
        raise ModelError(f"{model} cannot be asked: {why}; check {where}") from None


def _seated(client: ChatCompletionClient, part: str, playbooks: Callable[[str], Playbook]) -> Model:
    """A client that somebody made. One that records or replays keeps the calls of each participant apart."""
    from moot.agents.replay_client import ReplayClient
    from moot.agents.tape_client import RecordingClient

    if isinstance(client, RecordingClient):
        return client.seated(part, playbooks)
    return client.seated(part) if isinstance(client, ReplayClient) else own_model(client)


def own_model(client: ChatCompletionClient) -> Model:
    """A client that somebody made. Raises ModelError for one that records, where the model it is to ask is missing."""
    from moot.agents.tape_client import RecordingClient

    if isinstance(client, RecordingClient):
        return replace(client.model, client=client, made=False)
    kind: ModelKind = getattr(client, "model_kind", "real")
    if kind != "real":
        return Model(client, str(getattr(client, "name", type(client).__name__)), kind, FREE)
    name = _listed(client) or type(client).__name__
    return Model(client, name, "real", price_of(name))


def _listed(client: ChatCompletionClient) -> str:
    """The name of the model that a provider itself answers for; empty where the client has another address, and thus
    other prices.
    """
    kind = _OWN_CLIENTS.get(type(client).__name__)
    called = created_with(client).get("model")
    own_address = kind in ("azure", "ollama") or not getattr(client, "_raw_config", {}).get("base_url")
    return f"{kind}/{called}" if kind is not None and own_address and isinstance(called, str) else ""


def _key(text: str) -> str:
    """The key that `${env:NAME}` stands for. The text itself is never repeated: it may be a key."""
    found = _ENV.fullmatch(text)
    if found is None:
        raise ModelError("api_key must be ${env:NAME}: keys come from the environment, never from a file")
    value = os.environ.get(found[1])
    if not value:
        raise ModelError(f"the model needs a key: set {found[1]} in the environment")
    check_key(value, found[1])
    return value


def _place(base_url: str) -> str:
    """Host and port of an address, without a password that may stand in it."""
    from urllib.parse import urlsplit

    return urlsplit(base_url).netloc.rpartition("@")[2] or "?"
