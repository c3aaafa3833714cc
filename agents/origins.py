"""Where a run's replies come from, said wherever a run is shown: what no model said must not look like it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

PLAYBOOK = "PLAYBOOK MODEL: scripted replies; real speakers, sandbox and budget"
REPLAY = "replay:"
_FROM = ", recorded from "


def taped(tape: str, models: Iterable[str], days: Iterable[str]) -> str:
    """The name of a model by tape: the tape, whose replies these are, and of when."""
    when = sorted(set(days))
    on = f" on {when[0]}" + (f" to {when[-1]}" if len(when) > 1 else "") if when else ""
    return f"{REPLAY}{tape}{_FROM}{' and '.join(dict.fromkeys(models))}{on}"


def short_name(model: str) -> tuple[str, str]:
    """A model's name without what `honest` says on a line of its own; and its kind, where it is not a real one."""
    if model.startswith(REPLAY):
        return model.partition(_FROM)[0], " (replayed)"
    return model, " (scripted)" if model.startswith("playbook:") else ""


def honest(kind: str, models: Sequence[str]) -> list[str]:
    """The lines that say so, for a run of that kind (`scripted`, `replayed`, `real`, `mixed`) with models so named."""
    tapes = [name for name in models if name.startswith(REPLAY)]
    scripted = not tapes or any(name.startswith("playbook:") for name in models)
    lines = [PLAYBOOK] if kind == "scripted" or (kind == "mixed" and scripted) else []
    if tapes:
        whose = " and ".join(dict.fromkeys(name.rpartition(_FROM)[2] for name in tapes))
        lines.append(f"REPLAYED MODEL: replies recorded from {whose}; real speakers, sandbox and budget")
    return lines
