"""What a run may still spend."""

from __future__ import annotations

from moot.chats.story import Story
from moot.cli import words


def budget_left(story: Story) -> str:
    """`14 turns · $2.00 · 7 code runs`: of every limit what is left, never less than nothing."""
    if story.created is None:
        return ""
    perhaps = story.spending.doubted_before()  # counts as spent
    spent = {
        "turns": story.count,
        "tokens": story.usage.tokens + perhaps.tokens,
        "usd": story.usage.known_usd + perhaps.known_usd,
        "seconds": story.seconds,
        "code_runs": story.usage.code_runs + perhaps.code_runs,
    }
    limits = dict(story.created.limits)
    if "rounds" in limits:
        turns = limits.pop("rounds") * len(story.created.participants)
        limits["turns"] = min(turns, limits.get("turns", turns))
    left = {name: max(0.0, limit - spent[name]) for name, limit in limits.items() if name in spent}
    order = ("turns", "usd", "tokens", "seconds", "code_runs")
    return " · ".join(_amount(name, left[name]) for name in order if name in left)


def _amount(name: str, left: float) -> str:
    if name == "usd":
        return words.dollars(left)
    if name == "seconds":
        return f"{words.seconds(left)} of work"
    return words.tokens(int(left)) if name == "tokens" else words.count(int(left), name[:-1].replace("_", " "))
