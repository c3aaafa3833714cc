"""What an OpenAI client of AutoGen's has to be asked for besides the messages, whoever made it.

Such a client is known by the names of its classes, so that the package it comes from is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autogen_core.models import ChatCompletionClient

CAPS = ("max_completion_tokens", "max_tokens")
"""What a cap on the reply is called: by OpenAI now, and by OpenAI once and every compatible server."""


def created_with(client: ChatCompletionClient) -> Mapping[str, Any]:
    """What the client was made to send with every call."""
    own = getattr(client, "_create_args", {})
    return own if isinstance(own, Mapping) else {}


def usage_wanted(client: ChatCompletionClient, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The option of `create_stream` without which usage reads 0; empty where the caller has decided on it."""
    if not _speaks_openai(client) or "stream_options" in {**created_with(client), **extra}:
        return {}
    return {"include_usage": True}


def _speaks_openai(client: ChatCompletionClient) -> bool:
    return any(kind.__name__ == "BaseOpenAIChatCompletionClient" for kind in type(client).__mro__)
