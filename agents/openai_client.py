"""AutoGen's OpenAI client as Moot wants it: no retries of its own, and usage told in streams."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from autogen_core.models import CreateResult, LLMMessage, ModelFamily, ModelInfo
from autogen_ext.models.openai import OpenAIChatCompletionClient

OPENAI_URL = "https://api.openai.com/v1"


class OpenAIClient(OpenAIChatCompletionClient):
    """Asks for usage where it streams: else it reads 0. (As a create argument it would make every other call a 400.)"""

    component_provider_override = "moot.agents.openai_client.OpenAIClient"

    def create_stream(self, messages: Sequence[LLMMessage], **options: Any) -> AsyncGenerator[str | CreateResult, None]:
        """The reply in pieces, then the result with its usage."""
        options.setdefault("include_usage", True)
        return super().create_stream(messages, **options)


def openai_client(name: str, key: str) -> OpenAIClient:
    """A model of OpenAI's.

    The address is always given: by itself the client sends the key elsewhere for names that begin like another
    provider's (`claude-`, `gemini-`).
    """
    url = os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    try:
        return OpenAIClient(model=name, api_key=key, base_url=url, max_retries=0)
    except ValueError:
        # The client knows a list of names and wants to be told what any other can do; newer ones can do it all.
        return OpenAIClient(model=name, api_key=key, base_url=url, max_retries=0, model_info=_abilities(vision=True))


def compatible_client(name: str, key: str, base_url: str) -> OpenAIClient:
    """A model behind an address that speaks OpenAI's protocol.

    Who said what is put into the text, since such servers may refuse or ignore the field for it.
    """
    return OpenAIClient(
        model=name,
        api_key=key,
        base_url=base_url,
        max_retries=0,
        model_info=_abilities(vision=False),
        add_name_prefixes=True,
        include_name_in_message=False,
    )


def _abilities(*, vision: bool) -> ModelInfo:
    return ModelInfo(
        vision=vision,
        function_calling=True,
        json_output=True,
        structured_output=vision,
        family=ModelFamily.UNKNOWN,
        multiple_system_messages=True,
    )
