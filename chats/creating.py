"""A run's first event: what it is made of."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping

from moot.agents.executor import Executor
from moot.agents.ran import StoredFile
from moot.agents.seat import Seat
from moot.chats.chat import Chat
from moot.chats.errors import UserError
from moot.chats.event_types import RunCreated
from moot.chats.speakers import SELECT, SpeakerPolicy, is_seated
from moot.chats.store import Store


async def created_from(chat: Chat, seats: Mapping[str, Seat], policy: SpeakerPolicy, store: Store) -> RunCreated:
    """The event that says so; input files are kept by content. Raises UserError for one that cannot be read."""
    inputs = {p.name: await _inputs(p, store) for p in chat.participants if isinstance(p, Executor)}
    return made_of(chat, seats, policy).model_copy(update={"inputs": inputs, "moot": _version()})


def made_of(chat: Chat, seats: Mapping[str, Seat], policy: SpeakerPolicy) -> RunCreated:
    """The same without input files, and without who began the run."""
    asked = [(s.name, s.model_name, s.model_kind) for s in seats.values()]
    if is_seated(policy):
        asked.append((SELECT, policy.model_name, policy.model_kind))
    kinds = {kind for _, _, kind in asked if kind is not None}
    assert chat.limits is not None  # checked when the chat was made
    return RunCreated(
        chat=chat.name,
        participants=chat.names,
        limits=chat.limits.given(),
        models={name: model for name, model, _ in asked if model is not None},
        model_kind="none" if not kinds else "mixed" if len(kinds) > 1 else kinds.pop(),
        spec=chat.source,
    )


@functools.cache
def _version() -> str:
    return importlib.metadata.version("moot")


async def _inputs(spec: Executor, store: Store) -> tuple[StoredFile, ...]:
    kept = []
    for name, path in spec.files.items():
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read the input file {path}: {error.strerror}") from error
        kept.append(StoredFile(name=name, size=len(data), sha256=await store.blobs.put(data)))
    return tuple(kept)
