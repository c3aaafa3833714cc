"""A memory whose additions to a context are recorded: asked again later, it may answer differently."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from autogen_core import CancellationToken, Image
from autogen_core.memory import Memory, MemoryContent, MemoryQueryResult, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import LLMMessage
from pydantic import TypeAdapter

from moot.agents.context import hashed
from moot.agents.effects import SCOPE, Codec, Effect, effect
from moot.agents.json_text import data_of, snapshot
from moot.agents.written import check_readable
from moot.termination.ledger import NOTHING, Cost

_MESSAGES: TypeAdapter[list[LLMMessage]] = TypeAdapter(list[LLMMessage])


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a memory did to a context: the messages it added (to nothing, where it forgot what was there), and why."""

    added: list[LLMMessage]
    memories: MemoryQueryResult
    forgot: bool = False


class JournalledMemory(Memory):
    """`update_context` is an effect; everything else is the wrapped memory's own."""

    component_provider_override = "moot.agents.journalled_memory.JournalledMemory"

    def __init__(self, inner: Memory) -> None:
        self._inner = inner

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """What the memory adds, recorded."""
        if SCOPE.get() is None:
            return await self._inner.update_context(model_context)
        seen = await model_context.get_messages()

        async def perform() -> Recalled:
            scratch = UnboundedChatCompletionContext(list(seen))
            result = await self._inner.update_context(scratch)
            now = await scratch.get_messages()
            grown = len(now) >= len(seen) and all(a is b for a, b in zip(now, seen, strict=False))
            found = getattr(result, "memories", None) or MemoryQueryResult(results=[])  # some give nothing
            return Recalled(now[len(seen) :], found) if grown else Recalled(now, found, forgot=True)

        # memories look at the last message; whatever else differs, the next request to the model tells
        digest = hashed(seen[-1]).digest.hex() if seen else ""
        recalled = await effect(Effect("memory", digest, _CODEC, NOTHING, _free), perform)
        if recalled.forgot:
            await model_context.clear()
        for message in recalled.added:
            await model_context.add_message(message)
        return UpdateContextResult(memories=recalled.memories)

    async def query(
        self, query: str | MemoryContent, cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        """The wrapped memory's."""
        return await self._inner.query(query, cancellation_token, **kwargs)

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Add to the wrapped memory."""
        await self._inner.add(content, cancellation_token)

    async def clear(self) -> None:
        """Clear the wrapped memory."""
        await self._inner.clear()

    async def close(self) -> None:
        """Close the wrapped memory."""
        await self._inner.close()


def _dump(recalled: Recalled) -> object:
    memories = [_as_json(memory) for memory in recalled.memories.results]
    check_readable("what a memory recalled", snapshot(memories))
    return {"added": recalled.added, "memories": memories, "forgot": recalled.forgot}


def _load(recorded: object) -> Recalled:
    if isinstance(recorded, Recalled):
        return recorded
    if not isinstance(recorded, dict):
        raise TypeError(f"a recorded recollection must be an object, got {type(recorded).__name__}")
    memories = MemoryQueryResult(results=[_from_json(memory) for memory in recorded["memories"]])
    # not from JSON text: AutoGen's Image takes any text that it meets there for one of its own
    return Recalled(_MESSAGES.validate_python(recorded["added"]), memories, recorded["forgot"])


def _as_json(memory: MemoryContent) -> dict[str, object]:
    """With the kind of its content: text, bytes and images all look alike in JSON."""
    content = memory.content
    kind = "image" if isinstance(content, Image) else "bytes" if isinstance(content, bytes) else "json"
    text: object = content
    if isinstance(content, Image):
        text = content.to_base64()
    elif isinstance(content, bytes):
        text = base64.b64encode(content).decode()
    return {**data_of(memory.model_copy(update={"content": ""})), "content": text, "kind": kind}


def _from_json(recorded: dict[str, Any]) -> MemoryContent:
    content: object = recorded["content"]
    if recorded["kind"] == "image":
        content = Image.from_base64(recorded["content"])
    elif recorded["kind"] == "bytes":
        content = base64.b64decode(recorded["content"])
    return MemoryContent.model_validate({
        "content": content, "mime_type": recorded["mime_type"], "metadata": recorded["metadata"]
    })  # fmt: skip


def _free(recalled: Recalled) -> Cost:
    return NOTHING


_CODEC: Codec[Recalled] = Codec(_dump, _load)
