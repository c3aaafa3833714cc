"""A block of code that a person must approve before it runs: what they are shown, and what comes of their decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from moot.agents.approval import Approval
from moot.agents.blocks import Block
from moot.agents.edits import difference
from moot.agents.json_text import digest_of
from moot.agents.questions import Decision, Question
from moot.agents.ran import RanBlock
from moot.agents.report import BlockReport
from moot.sandbox.spec import Sandbox

When = Literal["never", "first", "always"]


@dataclass(frozen=True, slots=True)
class Ruled:
    """A block and what a person decided about it."""

    block: Block
    by: str = ""
    """Who decided, where anybody did."""
    changes: str = ""
    """Of an edit: what it changed, as a unified diff."""
    skipped: str | None = None
    """Why it is not to run."""
    answer: str | None = None
    """What was answered instead of a decision."""
    as_it_is: bool = False
    """Whether it was approved as it was shown."""

    def report(self, ran: RanBlock, characters: int) -> BlockReport:
        """What the chat is told: what became of the block, and what the person made of it before."""
        edited_by = self.by if self.changes else ""
        return replace(ran.report(characters), edited_by=edited_by, changes=self.changes, answer=self.answer)


def question(block: Block, source: str, sandbox: Sandbox, approval: Approval) -> Question:
    """Whether this block may run. The decision is bound to the code, its language, the image and the network, and to
    nothing that led to them.
    """
    place = {name: str(getattr(sandbox, name, "")) for name in ("image", "network")}
    bound = {"language": block.language, "code": block.code, **place}
    return Question("code", digest_of(bound), {**bound, "from": source}, approval.allow, approval.ask)


def ruled(block: Block, decided: Decision) -> Ruled:
    """What a decision makes of the block."""
    by = decided.by or "a person"
    match decided.decision:
        case "approve":
            return Ruled(block, by, as_it_is=True)
        case "edit":
            changes = difference("code", block.code, decided.edited)
            return Ruled(replace(block, code=decided.edited), by, changes)
        case "reject":
            why = f": {decided.text}" if decided.text.strip() else ""
            return Ruled(block, by, skipped=f"rejected by {by}{why}")
        case "respond":
            return Ruled(block, by, skipped=f"answered by {by} instead of run", answer=decided.text)
