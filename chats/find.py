"""A run by the beginning of its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moot.chats.errors import UserError

if TYPE_CHECKING:
    from moot.chats.store import Store


async def find_run(store: Store, prefix: str) -> str:
    """The run whose id begins like this. Raises UserError for none (with the nearest) or several."""
    found = await store.names(prefix.strip().lower())
    if len(found) == 1:
        return found[0]
    if prefix and prefix in found:
        return prefix
    if not found:
        newest = (await store.names())[-3:]
        known = f"; the newest are {', '.join(reversed(newest))}" if newest else "; there are no runs yet"
        raise UserError(f"no run begins with {prefix!r}{known}")
    raise UserError(f"{prefix!r} is the beginning of {len(found)} runs ({', '.join(found[:4])}…): give more of it")
