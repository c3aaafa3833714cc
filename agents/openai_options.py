"""What an OpenAI client of AutoGen's has to be asked for besides the messages, whoever made it.

Such a client is known by the names of its classes, so that the package it comes from is not imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from autogen_core.models import ChatCompletionClient

CAPS = ("max_completion_tokens", "max_tokens")
"""What a cap on the reply is called: by OpenAI now, and by OpenAI once and every compatible server."""

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
    if not _speaks_openai(client) or any({**created_with(client), **extra}.get(cap) is not None for cap in CAPS):
        return extra
    return {**extra, _cap(client): tokens}


def _speaks_openai(client: ChatCompletionClient) -> bool:
    return any(kind.__name__ == "BaseOpenAIChatCompletionClient" for kind in type(client).__mro__)


def _cap(client: ChatCompletionClient) -> str:
    """What the cap is called where the client asks: other servers may not know the newer name."""
    url = getattr(getattr(client, "_client", None), "base_url", None)
    at_openai = getattr(url, "host", None) in {urlsplit(place).hostname for place in (OPENAI_URL, openai_url())}
    return CAPS[0] if at_openai or str(created_with(client).get("model")).startswith(_NEWER) else CAPS[1]
