"""Which runs of a store are not what was written, found without folding them: rows, their order, and files."""

from __future__ import annotations

from collections.abc import Sequence

from moot.chats import event_types as ev
from moot.chats.errors import StoreError
from moot.chats.events import Event
from moot.chats.files_named import files_named
from moot.chats.store import Chain, Store
from moot.chats.verify_order import order_problems


async def damaged(store: Store) -> dict[str, str]:
    """The runs of a store, by their ids, whose journal or files are not what was written, and why in words."""
    found, content = {}, dict[str, str]()
    for run in await store.names():
        try:
            events, chain = await store.load(run), await store.chain(run)
            why = _flaw(events, chain) or await _missing(store, events, content)
        except StoreError as error:
            why = error.one_line
        if why:
            found[run] = why
    return found


def _flaw(events: Sequence[Event], chain: Chain) -> str:
    if not events or not isinstance(events[0].data, ev.RunCreated):
        return "it does not begin with run.created"
    if chain.found != chain.recorded:
        return "its journal was changed after it was written"
    return next(order_problems(events), "")


async def _missing(store: Store, events: Sequence[Event], known: dict[str, str]) -> str:
    """The first file without its content. `known`: what was found of those that were looked at before."""
    for event in events:
        for file in files_named(event.data):
            if file.sha256 not in known:
                try:
                    await store.blobs.get(file.sha256)
                    known[file.sha256] = ""
                except StoreError as error:
                    known[file.sha256] = error.one_line
            if known[file.sha256]:
                return f"{file.name}: {known[file.sha256]}"
    return ""
