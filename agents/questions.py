"""What a participant asks a person: a durable question about one exact payload, and the decision.

The question is journalled and the run is left waiting; the process may end. Whoever decides, from whatever process and
whenever, decides about exactly what was shown: the digest binds the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["input", "code", "tool", "doubt", "message"]
Verdict = Literal["approve", "edit", "reject", "respond"]
NOT_MADE = "was not made"
"""What became of a call that a person did not let happen."""


class Question(NamedTuple):
    """What is asked. `allow` is what may be decided: a plain input takes a response, an approval yes or no."""

    kind: Kind
    digest: str
    """Of what is decided about, not of what led to it."""
    payload: Mapping[str, object]
    """JSON: a prompt, a block of code, a tool and its arguments."""
    allow: tuple[Verdict, ...]
    ask: str = "anyone"
    """Who is asked: a person at the table, or anyone."""


class Decision(NamedTuple):
    """What was decided, by whom. `text` is the answer of a response, the reason of a rejection, else a remark."""

    decision: Verdict
    text: str = ""
    by: str = ""
    edited: str = ""
    """Of an edit: what stands in place of what was shown (of code the program, of a tool its arguments as JSON, of a
    message its text).
    """
