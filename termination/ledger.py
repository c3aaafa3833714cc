"""What a run has reserved and spent, by participant. Money is reserved before a call and settled after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moot.termination.limits import Limits, counted
from moot.termination.outcome import Outcome, Stop
from moot.termination.transcript import Transcript

WARN_AT = 0.8
"""The share of a limit at which the next speaker is told how much is left."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one effect takes. `usd` is None where the model has no known price."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    code_runs: int = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


NOTHING = Cost()
"""What takes nothing that is limited."""


@dataclass(slots=True)
class Usage:
    """What was spent. `priced` is False as soon as one call had no known price: `known_usd` is then not all of it."""

    input_tokens: int = 0
    output_tokens: int = 0
    known_usd: float = 0.0
    """US dollars of the calls whose price is known."""
    priced: bool = True
    code_runs: int = 0
    model_calls: int = 0

    def add(self, cost: Cost) -> None:
        """Count one settled effect."""
        self.input_tokens += cost.input_tokens
        self.output_tokens += cost.output_tokens
        self.code_runs += cost.code_runs
        if cost.usd is None:
            self.priced = False
        else:
            self.known_usd += cost.usd
        if cost.tokens:
            self.model_calls += 1

    @property
    def usd(self) -> float | None:
        """US dollars, None (unpriced) as soon as one model call had no known price."""
        return self.known_usd if self.priced else None

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(slots=True)
class Ledger:
    """One per run. Reservations are kept by effect key until they are settled or released."""

    limits: Limits
    total: Usage = field(default_factory=Usage)
    by_participant: dict[str, Usage] = field(default_factory=dict)
    seconds: float = 0.0
    """Of work, in turns that have ended."""
    reserved: dict[str, Cost] = field(default_factory=dict)
    doubtful: dict[str, Usage] = field(default_factory=dict)
    """What effects may have cost at most of which nobody knows the end, by key. Counts against the limits; no part of
    `total`.
    """
    warned: set[str] = field(default_factory=set)
    _given: Mapping[str, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._given = self.limits.given()

    def refuse(self, cost: Cost, turn: int) -> Stop | None:
        """The limit that this cost would break, counting everything reserved; None when it fits."""
        if not cost.tokens and not cost.code_runs:
            return None
        held, spent = list(self.reserved.values()), self._counted()
        asked: dict[str, float] = {
            "tokens": spent["tokens"] + cost.tokens + sum(c.tokens for c in held),
            "usd": spent["usd"] + (cost.usd or 0.0) + sum(c.usd or 0.0 for c in held),
            "code_runs": spent["code_runs"] + cost.code_runs + sum(c.code_runs for c in held),
        }
        for name, amount in asked.items():
            limit = getattr(self.limits, name)
            wanted = cost.code_runs if name == "code_runs" else cost.tokens
            if limit is not None and wanted and amount > limit:
                return Stop(
                    f"limits.{name}", f"the next call could reach {_share(name, amount, limit)}", Outcome.LIMIT, turn
                )
        return None

    def reserve(self, key: str, cost: Cost) -> None:
        """Hold the worst case of an effect that is about to be performed."""
        if cost is not NOTHING:
            self.reserved[key] = cost

    def settle(self, key: str, participant: str, cost: Cost) -> None:
        """Replace the reservation by the truth."""
        self.reserved.pop(key, None)
        if cost is NOTHING:
            return
        self.total.add(cost)
        self.by_participant.setdefault(participant, Usage()).add(cost)

    def release(self, key: str) -> None:
        """Give back the reservation of an effect that failed or was given up."""
        self.reserved.pop(key, None)

    def doubt(self, key: str) -> None:
        """Nobody knows what came of an effect: what was held for it counts as spent."""
        cost = self.reserved.pop(key, None)
        if cost is not None:
            self.doubtful.setdefault(key, Usage()).add(cost)

    def found(self, key: str) -> None:
        """What came of an effect in doubt was found out: its true cost follows."""
        self.doubtful.pop(key, None)

    def spent(self, said: Transcript) -> Mapping[str, float]:
        """What counts against each limit so far."""
        return {
            "turns": said.turns,
            "rounds": said.turns / max(1, len(said.participants)),
            "seconds": self.seconds,
            **self._counted(),
        }

    def _counted(self) -> dict[str, float]:
        total, doubtful = self.total, self.doubtful.values()
        if not doubtful:
            return {"tokens": total.tokens, "usd": total.known_usd, "code_runs": total.code_runs}
        return {
            "tokens": total.tokens + sum(d.tokens for d in doubtful),
            "usd": total.known_usd + sum(d.known_usd for d in doubtful),
            "code_runs": total.code_runs + sum(d.code_runs for d in doubtful),
        }

    def reached(self, said: Transcript, wanted: int = 1) -> Stop | None:
        """The limit that forbids `wanted` more turns. Code runs do not: what was run can still be talked about."""
        limits, more = self.limits, said.turns + wanted
        if limits.turns is not None and more > limits.turns:
            return Stop("limits.turns", f"{counted('turns', said.turns)} taken", Outcome.LIMIT, said.turns)
        if limits.rounds is not None and more > limits.rounds * len(said.participants):
            return Stop(
                "limits.rounds",
                f"{counted('rounds', limits.rounds)} of {counted('participants', len(said.participants))} taken",
                Outcome.LIMIT,
                said.turns,
            )
        if limits.tokens is None and limits.usd is None and limits.seconds is None:
            return None
        spent = self.spent(said)
        for name in ("tokens", "usd", "seconds"):
            limit = getattr(limits, name)
            if limit is not None and spent[name] >= limit:
                return Stop(f"limits.{name}", f"{_share(name, spent[name], limit)} spent", Outcome.LIMIT, said.turns)
        return None

    def nearly(self, said: Transcript) -> dict[str, str]:
        """The limits that are spent to 80 % and were not warned about: name to words such as `5 of 6 rounds`."""
        spent = self.spent(said)
        return {
            name: _share(name, spent[name], limit)
            for name, limit in self._given.items()
            if spent[name] >= WARN_AT * limit and name not in self.warned
        }


def _share(name: str, spent: float, limit: float) -> str:
    """For people: `8 of 10 turns`, `$1.60 of $2.00`."""
    if name == "usd":
        return f"${spent:.2f} of ${limit:.2f}"
    shown = f"{spent:,.0f}" if float(spent).is_integer() else f"{spent:,.1f}"
    return f"{shown} of {counted(name, limit)}"
