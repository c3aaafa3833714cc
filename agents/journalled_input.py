"""What a `UserProxyAgent` asks: a person by way of the run, or a function of the user's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from autogen_core import CancellationToken

from moot.agents.effects import Codec, Effect, effect
from moot.agents.json_text import digest_of, whole_characters
from moot.agents.threads import for_thread
from moot.termination.ledger import NOTHING, Cost

Input = Callable[[str, CancellationToken | None], Awaitable[str]]
AnyInput = Input | Callable[[str], str]


def journalled_input(function: AnyInput, *, is_async: bool) -> Input:
    """The user's own function, asked once: its answer is recorded."""

    async def ask(prompt: str, cancellation_token: CancellationToken | None) -> str:
        async def perform() -> str:
            if is_async:
                said = await cast(Input, function)(prompt, cancellation_token)
            else:
                said = await asyncio.to_thread(for_thread(cast(Callable[[str], str], function)), prompt)
            return whole_characters(said)

        return await effect(Effect("input", digest_of({"prompt": prompt}), _TEXT, NOTHING, _free), perform)

    return ask


def _free(said: str) -> Cost:
    return NOTHING


_TEXT: Codec[str] = Codec(lambda said: said, str)
