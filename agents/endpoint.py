"""Where a client of AutoGen's asks, and as whom. Such a client is known by the names of its classes, so that no package
is imported for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from autogen_core.models import ChatCompletionClient

from moot.agents.openai_options import OPENAI_URL, created_with, openai_url
from moot.agents.providers import PROVIDERS, Kind, bare_url

USUAL = {"openai": urlsplit(OPENAI_URL).hostname, "anthropic": "api.anthropic.com"}
"""The hosts that a provider's own name stands for."""
_CLASSES: tuple[tuple[str, Kind], ...] = (
    ("AzureOpenAIChatCompletionClient", "azure"),
    ("BaseOpenAIChatCompletionClient", "openai"),
    ("BaseAnthropicChatCompletionClient", "anthropic"),
    ("BaseOllamaChatCompletionClient", "ollama"),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model at one address."""

    kind: Kind
    """The protocol."""
    model: str
    url: str
    """Without user, password and query."""
    key: str = field(default="", repr=False)

    @property
    def usual(self) -> bool:
        """Whether this is the provider's own address."""
        return urlsplit(self.url).hostname == USUAL.get(self.kind)

    @property
    def named(self) -> bool:
        """Whether the provider's name stands for this address, by itself or because the environment says so."""
        return self.kind != "openai" or self.usual or self.url == bare_url(openai_url())

    @property
    def name(self) -> str:
        """For messages: `openai/gpt-5`, `llama3 at 127.0.0.1:8080`."""
        name = f"{self.kind}/{self.model}" if self.named else self.model
        return name if self.usual or self.kind == "azure" else f"{name} at {urlsplit(self.url).netloc}"

    @property
    def variable(self) -> str:
        """The variable that the key comes from; empty where that cannot be known."""
        return PROVIDERS[self.kind].key if self.named else ""


def provider_client(client: ChatCompletionClient) -> ChatCompletionClient:
    """The one that asks the provider, where `client` records what that one says."""
    inner = getattr(getattr(client, "_model", None), "client", None)
    return inner if isinstance(inner, ChatCompletionClient) else client


def endpoint_of(client: ChatCompletionClient) -> Endpoint | None:
    """Where `client` asks; None for one that speaks none of the known protocols, or does not say where."""
    inner = provider_client(client)
    names = {kind.__name__ for kind in type(inner).__mro__}
    kind = next((kind for name, kind in _CLASSES if name in names), None)
    sdk = getattr(inner, "_client", None)
    if kind is None or sdk is None:
        return None
    deployment = getattr(sdk, "_azure_deployment", None)
    model = deployment if kind == "azure" and deployment else created_with(inner).get("model")
    url = getattr(sdk, "base_url", None) or getattr(getattr(sdk, "_client", None), "base_url", "")
    key = getattr(sdk, "api_key", None)
    return Endpoint(kind, str(model), bare_url(str(url)), key.strip() if isinstance(key, str) else "")
