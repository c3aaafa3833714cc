"""What may be done with the tools of a chat's participants, by the name of the tool."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, field

from moot.agents.approval import Approval

EVERY = "*"
"""In `ToolPolicy.approve`: every tool that is not named there."""
AskOtherSide = Callable[[str, Mapping[str, object]], Awaitable[str | None]]
"""Given the call's idempotency key and its arguments: the tool's result as text if the call happened, None if it never
did. Raising says that nobody knows.
"""


@dataclass(frozen=True, kw_only=True)
class ToolPolicy:
    """Which tools a person must approve, and what becomes of a call whose process died before its result was recorded.

    Names are those that the model is given, or the tool's own. A call in doubt is made again, unless its tool is named
    in `side_effects` or `lookup`. What happens inside a team, or an agent that is one effect, is not asked about.
    """

    approve: Set[str] | Mapping[str, Approval] = frozenset()
    """Tools that a person must approve call by call, with exactly these arguments; by name also who is asked and what
    they may decide. `EVERY` stands for all that are not named.
    """
    side_effects: Set[str] = frozenset()
    """Tools that a person is asked about when it is unknown whether a call happened."""
    lookup: Mapping[str, AskOtherSide] = field(default_factory=dict)
    """Tools whose other side can say whether a call happened; a call that never did is made again."""

    def __post_init__(self) -> None:
        for name in ("approve", "side_effects"):  # a text would be taken for the set of its characters
            given = getattr(self, name)
            if isinstance(given, str):
                raise ValueError(f"ToolPolicy.{name} takes the names of tools, such as {{{given!r}}}; got a text")
            object.__setattr__(self, name, dict(given) if isinstance(given, Mapping) else frozenset(given))
        for tool, look in self.lookup.items():
            _check(tool, look)

    @property
    def named(self) -> frozenset[str]:
        """Every tool that is named."""
        return frozenset({*self.approve, *self.side_effects, *self.lookup} - {EVERY})

    @property
    def approvals(self) -> Mapping[str, Approval]:
        """Who is asked about which tool before it is called."""
        return self.approve if isinstance(self.approve, Mapping) else dict.fromkeys(sorted(self.approve), Approval())

    def approval(self, names: Set[str]) -> Approval | None:
        """Who is to be asked about a tool that is known by these names; None: nobody."""
        approvals = self.approvals
        return next((approvals[name] for name in (*sorted(names), EVERY) if name in approvals), None)


def _check(tool: str, look: object) -> None:
    """It is called only after a crash: that is too late to find out that it cannot be."""
    wanted = f"ToolPolicy.lookup[{tool!r}] must be async def look(key, arguments)"
    if not callable(look):
        raise ValueError(f"{wanted}; got {look!r}")
    try:
        inspect.signature(look).bind("key", {})
    except TypeError as error:
        raise ValueError(f"{wanted}: {error}") from None
    except ValueError:  # nobody can say what it takes
        return
