"""OpenAI's protocol over HTTP, by AutoGen's own client. Its retries are off: one layer retries, and it is ours."""

from __future__ import annotations

import os

from autogen_core.models import ModelFamily, ModelInfo
from autogen_ext.models.openai import AzureOpenAIChatCompletionClient, OpenAIChatCompletionClient

from moot.agents.openai_options import openai_url


def openai_client(name: str, key: str) -> OpenAIChatCompletionClient:
    """A model of OpenAI's.

    The address is always given: by itself the client sends the key elsewhere for names that begin like another
    provider's (`claude-`, `gemini-`).
    """
    url = openai_url()
    try:
        return OpenAIChatCompletionClient(model=name, api_key=key, base_url=url, max_retries=0)
    except ValueError:
        # The client knows a list of names and wants to be told what any other can do; newer ones can do it all.
        return OpenAIChatCompletionClient(
            model=name, api_key=key, base_url=url, max_retries=0, model_info=_abilities(vision=True)
        )


def azure_client(deployment: str) -> AzureOpenAIChatCompletionClient:
    """A deployment of Azure's: address, version and key are those of the environment, which must hold them.

    A deployment may be called anything: what its model cannot do, the server says.
    """
    return AzureOpenAIChatCompletionClient(
        model=deployment,
        azure_deployment=deployment,
        azure_endpoint=os.environ["AZURE_OPENAI_ENDPOINT"],
        api_version=os.environ["OPENAI_API_VERSION"],
        api_key=os.environ["AZURE_OPENAI_API_KEY"],
        max_retries=0,
        model_info=_abilities(vision=True),
    )


def compatible_client(name: str, key: str, base_url: str) -> OpenAIChatCompletionClient:
    """A model behind an address that speaks OpenAI's protocol.

    Who said what is put into the text, since such servers may refuse or ignore the field for it.
    """
    return OpenAIChatCompletionClient(
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
