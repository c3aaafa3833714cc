"""A run by the beginning of its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moot.chats.errors import UserError, closest

if TYPE_CHECKING:
    from moot.chats.store import Store

_COMPARED = 1000
"""How many of the newest runs are looked at for one that was meant."""


async def find_run(store: Store, prefix: str) -> str:
    """The run whose id begins like this. Raises UserError for none (with the nearest), for several, and
    for an empty beginning, which would be that of every run.
    """
    if not prefix.strip():
        raise UserError("an empty id names no run: give its beginning, as moot runs list shows it")
    found = await store.names(prefix.strip().lower())
    if len(found) == 1:
        return found[0]
    if prefix and prefix in found:
        return prefix
    if not found:
        raise UserError(f"no run begins with {prefix!r}{_known(prefix.strip(), await store.names())}")
    raise UserError(f"{prefix!r} is the beginning of {len(found)} runs ({', '.join(found[:4])}…): give more of it")


def _known(prefix: str, names: list[str]) -> str:
    """What may have been meant, among the newest."""
    if not names:
        return "; there are no runs yet"
    newest = names[: -_COMPARED - 1 : -1]
    near = closest(prefix, dict.fromkeys(name[: len(prefix)] for name in newest))
    meant = next((name for name in newest if near and name.startswith(near)), None)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"{hint or ';'} the newest are {', '.join(newest[:3])}"
