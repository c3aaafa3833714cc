"""What a participant asks a person: a durable question about one exact payload, and the decision.

The question is journalled and the run is left waiting; the process may end. Whoever decides, from whatever process and
whenever, decides about exactly what was shown: the digest binds the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["input", "code", "tool", "doubt"]
Verdict = Literal["approve", "reject", "respond"]


class Question(NamedTuple):
    """What is asked. `allow` is what may be decided: a plain input takes a response, an approval yes or no."""

    kind: Kind
    digest: str
    """Of what is decided about, not of what led to it."""
    payload: Mapping[str, object]
    """JSON: a prompt, a block of code, a tool and its arguments."""
    allow: tuple[Verdict, ...]


class Decision(NamedTuple):
    """What was decided, by whom. `text` is the answer of a response, the reason of a rejection."""

    decision: Verdict
    text: str = ""
    by: str = ""
