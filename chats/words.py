"""Amounts as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moot.termination.ledger import Usage

if TYPE_CHECKING:
    from moot.chats.event_types import SpeakerSelected

_KILO = 1000


def size(count: int) -> str:
    """`512 B`, `23 kB`, `5.0 MB`."""
    if count < _KILO:
        return f"{count} B"
    amount, unit = count / _KILO, "kB"
    for larger in ("MB", "GB"):
        if amount < _KILO:
            break
        amount, unit = amount / _KILO, larger
    return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"


def tokens(count: int) -> str:
    """`212 tok`, `1.9k tok`."""
    if count < _KILO:
        return f"{count} tok"
    return f"{count / _KILO:.1f}k tok" if count < _KILO**2 else f"{count / _KILO**2:.1f}M tok"


def dollars(amount: float) -> str:
    """`$0.00`, and more digits where two would hide that something was spent."""
    return f"${amount:.4f}" if 0 < amount < 0.01 else f"${amount:.2f}"


def money(usage: Usage) -> str:
    """What was spent, `unpriced` as soon as one call had no known price."""
    if usage.usd is not None:
        return dollars(usage.usd)
    return f"{dollars(usage.known_usd)} + unpriced" if usage.known_usd else "unpriced"


def spent(usage: Usage, doubtful: Usage, between: str = " · ") -> str:
    """`1.2k tok · $0.01 (+ up to 4.1k tok, $0.04 of calls that were cut off)`: for certain, and perhaps."""
    if not (doubtful.tokens or doubtful.known_usd or not doubtful.priced):
        return f"{tokens(usage.tokens)}{between}{money(usage)}"
    certain = money(usage) if usage.tokens or doubtful.priced else "unpriced"
    most = f"{tokens(doubtful.tokens)}, {money(doubtful)}"
    return f"{tokens(usage.tokens)}{between}{certain} (+ up to {most} of calls that were cut off)"


def seconds(amount: float) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h07m`."""
    if amount < 9.95:
        return f"{amount:.1f}s"
    whole = round(amount)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def age(amount: float) -> str:
    """How long ago, roughly: `12s`, `5m`, `2h07m`, `3 days`."""
    hours, days = amount / 3600, amount / 86400
    if days >= 2:
        return f"{int(days)} days"
    return seconds(amount) if hours >= 1 else f"{int(amount // 60)}m" if amount >= 60 else f"{max(0, int(amount))}s"


def time_of(ts: float) -> str | None:
    """ISO 8601 in UTC; None where there is no time."""
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds") if ts else None


def count(number: int, noun: str) -> str:
    """`1 turn`, `2 turns`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def how_chosen(choice: SpeakerSelected) -> str:
    """Which policy chose, and how that went: `selector, 2 tries, fallback least recent`."""
    how = choice.policy
    if choice.attempts > 1 or (choice.attempts and choice.seconds):  # where nobody was asked, one goes without saying
        how += f", {choice.attempts} {'try' if choice.attempts == 1 else 'tries'}"
    return f"{how}, fallback {choice.fallback}" if choice.fallback else how


def few(lines: Sequence[str], most: int = 5) -> list[str]:
    """The first lines, and how many there are besides: `and 9,100 more`."""
    return [*lines[:most], f"and {len(lines) - most:,} more"] if len(lines) > most else list(lines)
