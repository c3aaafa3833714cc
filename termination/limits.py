"""What a run may spend. At least one hard limit is required: a chat that cannot end is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may spend at most; None is unlimited. Checked before it is spent.

    A round is as many turns as there are participants; `tokens` counts input and output of every model call;
    `usd` needs models with a price; `seconds` is time of work (waiting for people does not count);
    `code_runs` counts blocks of code.

    Raises ValueError for a value that is not above zero and when none of turns, rounds, tokens, usd and seconds is
    given.
    """

    turns: int | None = None
    rounds: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None
    code_runs: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"limits.{field.name} must be a number above 0, got {value}")
        if not self.hard():
            raise ValueError("no hard limit: give at least one of turns, rounds, tokens, usd, seconds")

    def hard(self) -> tuple[str, ...]:
        """The names of the limits given that end every chat sooner or later."""
        return tuple(n for n in ("turns", "rounds", "tokens", "usd", "seconds") if getattr(self, n) is not None)

    def given(self) -> dict[str, float]:
        """Every limit that is given, by name."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}

    def words(self) -> str:
        """For people: `6 rounds, $2.00, 8 code runs`."""
        return ", ".join(f"${v:.2f}" if n == "usd" else counted(n, v) for n, v in self.given().items())


def counted(name: str, value: float) -> str:
    """That much of what a limit counts, for people: `1 turn`, `8 code runs`."""
    noun = name.replace("_", " ")
    return f"{value:,.12g} {noun.removesuffix('s') if value == 1 else noun}"
