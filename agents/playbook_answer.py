"""What a playbook's rule answers, where its conditions hold: a text, a typed reply, or calls of tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from moot.agents.playbook_rules import When
from moot.agents.playbook_template import Template
from moot.agents.playbook_values import Filled, Values
from moot.agents.situation import Situation


class ToolUse(NamedTuple):
    """One call: the tool, what it is called with, and an id that is the same whenever the same messages are seen."""

    tool: str
    arguments: Filled
    id: str


@dataclass(frozen=True, slots=True)
class Calls:
    """The tools that a part calls. `rule` is the rule that does, from 0."""

    rule: int
    made: tuple[ToolUse, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """When the conditions hold, and everything that its texts name is known, this is answered: exactly one of three."""

    when: When
    say: Template | None = None
    call: tuple[tuple[str, Values], ...] = ()
    typed: Values | None = None

    @property
    def used(self) -> frozenset[str]:
        """The known names that its texts use."""
        texts = [text for text in (self.say, self.typed, *(values for _, values in self.call)) if text is not None]
        return frozenset[str]().union(*(text.used for text in texts))

    def answer(self, index: int, now: Situation, known: Mapping[str, str]) -> str | Calls | None:
        """What is answered; None where the rule does not apply. `index` is its place in the part.

        A rule calls its tools once in a turn: their ids, which the messages keep, tell that it has.
        """
        values, real = self.when.match(now, known), real_values(now)
        if values is None or not self.used <= values.keys() | real.keys():
            return None
        values = {**values, **real}
        if self.say is not None:
            return self.say.fill(values)
        if self.typed is not None:
            return json.dumps(self.typed.fill(values), ensure_ascii=False)
        ids = [f"call-{now.turn}-{index + 1}-{number}" for number in range(1, len(self.call) + 1)]
        if now.called.intersection(ids):
            return None
        pairs = zip(self.call, ids, strict=True)
        return Calls(index, tuple(ToolUse(tool, with_.fill(values), each) for (tool, with_), each in pairs))


def real_values(now: Situation) -> dict[str, str]:
    """What really happened, by the names that every text may use."""
    return {
        "task": now.task,
        "turn": str(now.turn),
        "last.text": now.text,
        "last.source": now.source,
        "last.stdout": now.stdout,
        "last.stderr": now.stderr,
        "last.exit_code": "none" if now.exit_code is None else str(now.exit_code),
        "last.error": now.error,
        "last.value": now.value,
        "last.files": ", ".join(now.files),
        **{f"said.{name}": text for name, text in now.said.items()},
    }
