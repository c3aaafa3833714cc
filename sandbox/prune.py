"""Removing what dead processes have left behind. Containers normally go by themselves; a crash of the engine or of
this program between making and starting one can leave some.
"""

from __future__ import annotations

from moot.sandbox.engine import Engine
from moot.sandbox.owner import Owner


async def prune(engine: str | None = None) -> list[str]:
    """Remove the containers whose owner is known to be dead; returns their names.

    Only containers with our labels are looked at, and one is left alone when its owner lives or when that cannot be
    told from here (it was started on another machine or in another pid namespace). `engine` is the engine's address.
    EngineUnavailable if none answers.
    """
    async with Engine(engine) as connection:
        removed = []
        for found in await connection.ours():
            owner = Owner.parse(found.owner)
            if owner is not None and owner.life() == "dead" and await connection.remove(found.id):
                removed.append(found.name)
        return removed
