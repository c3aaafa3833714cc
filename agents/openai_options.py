"""What a client of AutoGen's for OpenAI, Azure or Ollama has to be asked for besides the messages, whoever made it.

Anthropic's says what a reply took without being asked.

Such a client is known by the names of its classes, so that the package it comes from is not imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from autogen_core.models import ChatCompletionClient

from moot.agents.providers import bare_url

CAPS = ("max_completion_tokens", "max_tokens")
"""What a cap on the reply is called: by OpenAI now, and by OpenAI once and every compatible server."""

NO_KEY = "none"
"""What is sent where no key was given: OpenAI's library insists on one."""
OLLAMA_CAP = "num_predict"
"""The same, among Ollama's `options`."""
AZURE_NEWER_CAP = "2024-09-01"
"""From which version of its protocol on Azure knows the newer name; a deployment's name says nothing of its model."""

OPENAI_URL = "https://api.openai.com/v1"
_NEWER = ("o1", "o3", "o4", "gpt-5")
"""How the names of models begin that refuse the older name of the cap, wherever they are served."""


def openai_url() -> str:
    """Where OpenAI is to be reached: its own address unless the environment names another."""
    return os.environ.get("OPENAI_BASE_URL") or OPENAI_URL


def created_with(client: ChatCompletionClient) -> Mapping[str, Any]:
    """What the client was made to send with every call."""
    own = getattr(client, "_create_args", {})
    return own if isinstance(own, Mapping) else {}


def usage_wanted(client: ChatCompletionClient, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The option of `create_stream` without which usage reads 0; empty where the caller has decided on it."""
    if not _speaks_openai(client) or "stream_options" in {**created_with(client), **extra}:
        return {}
    return {"include_usage": True}


def capped(client: ChatCompletionClient, extra: Mapping[str, Any], tokens: int) -> Mapping[str, Any]:
    """`extra` with a cap on the reply, where the client is one that takes it and nobody gave one."""
    if _is(client, "BaseOllamaChatCompletionClient"):
        options = {**created_with(client).get("options", {}), **extra.get("options", {})}
        return extra if OLLAMA_CAP in options else {**extra, "options": {**options, OLLAMA_CAP: tokens}}
    takes = _speaks_openai(client) or _is(client, "BaseAnthropicChatCompletionClient")
    if not takes or any({**created_with(client), **extra}.get(cap) is not None for cap in CAPS):
        return extra
    return {**extra, _cap(client): tokens}


def _speaks_openai(client: ChatCompletionClient) -> bool:
    return _is(client, "BaseOpenAIChatCompletionClient")


def _is(client: ChatCompletionClient, name: str) -> bool:
    return any(kind.__name__ == name for kind in type(client).__mro__)


def _cap(client: ChatCompletionClient) -> str:
    """What the cap is called where the client asks: other servers may not know the newer name."""
    version = getattr(getattr(client, "_client", None), "_api_version", None)
    if isinstance(version, str):
        return CAPS[0] if version >= AZURE_NEWER_CAP else CAPS[1]
    url = bare_url(str(getattr(getattr(client, "_client", None), "base_url", "")))
    at_openai = url in {OPENAI_URL, bare_url(openai_url())}
    return CAPS[0] if at_openai or str(created_with(client).get("model")).startswith(_NEWER) else CAPS[1]
