"""What a participant knows when it is to reply: read from the messages any model would be sent, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from moot.agents.report import BlockReport, parse

RUNTIME = "moot"
"""The sender of notes such as how much of the budget is left. They are nobody's word, so no script answers them."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The task, the last message of somebody else, and the report of the code that was run since the last own reply."""

    task: str = ""
    """The text of the first message."""
    turn: int = 1
    """The number of the reply that is asked for: 1 for the participant's first."""
    text: str = ""
    """The last message that is not the participant's own."""
    source: str = ""
    """Who sent it; `tool` where it is what tools returned."""
    report: tuple[BlockReport, ...] = ()
    """The newest report since the participant's last reply; an older one is never taken for news."""
    said: Mapping[str, str] = field(default_factory=dict)
    """The last message of everybody who has spoken, the participant itself included, by name."""
    tools: tuple[str, ...] = ()
    """Whose results the last message is; empty where it is somebody's word."""
    tool_error: bool | None = None
    """Whether one of those calls failed; None where there was none."""
    called: frozenset[str] = frozenset()
    """The ids of the calls made since the participant's last reply."""

    @classmethod
    def of(cls, messages: Sequence[LLMMessage]) -> Situation:
        """The situation that these messages tell, oldest first."""
        task: str | None = None
        text, source, turn = "", "", 1
        said: dict[str, str] = {}
        news: list[str] = []
        called: set[str] = set()
        last: LLMMessage | None = None
        for message in messages:
            if isinstance(message, SystemMessage):
                continue
            if isinstance(message, AssistantMessage):
                if isinstance(message.content, str):
                    turn, news = turn + 1, []
                    called.clear()
                    said[message.source] = message.content
                else:
                    called |= {call.id for call in message.content}
                continue
            sender = message.source if isinstance(message, UserMessage) else "tool"
            if sender == RUNTIME:
                continue
            last = message
            text, source = _text(message), sender
            said[sender] = text
            task = text if task is None else task
            news.append(text)
        report = next((blocks for text in reversed(news) if (blocks := parse(text))), ())
        results = last.content if isinstance(last, FunctionExecutionResultMessage) else []
        failed = any(result.is_error for result in results) if results else None
        tools = tuple(result.name for result in results)
        return cls(task or "", turn, text, source, report, said, tools, failed, frozenset(called))

    @property
    def exit_code(self) -> int | None:
        """How the code ended; None where none was run."""
        return self.report[-1].exit_code if self.report else None

    @property
    def stdout(self) -> str:
        """What the code printed, all blocks together."""
        return "".join(block.stdout for block in self.report)

    @property
    def stderr(self) -> str:
        """What the code printed on stderr, all blocks together."""
        return "".join(block.stderr for block in self.report)

    @property
    def value(self) -> str:
        """The value of the last block's last expression; empty where it had none."""
        return (self.report[-1].value or "") if self.report else ""

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that the code left."""
        return tuple(name for block in self.report for name, _ in block.files)

    @property
    def error(self) -> str:
        """In one line, what went wrong: of the first block that failed, or what was said where no code ran."""
        if self.report:
            failed = [block for block in self.report if block.failed]
            ran = [block for block in failed if block.skipped is None]
            return one_line((ran or failed)[0].error) if failed else ""
        return one_line(self.text)

    @property
    def json_line(self) -> object:
        """The last printed line that is a JSON object or list; None where there is none."""
        for line in reversed(self.stdout.splitlines()):
            if line.strip()[:1] in ("{", "["):
                try:
                    value: object = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                return value
        return None


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line, cut to `limit` characters, and unable to open or close a fenced block."""
    line = " ".join(text.split()).replace("```", "'''")
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _text(message: LLMMessage) -> str:
    """A message's text; of a message of several pieces, the pieces that are text."""
    if isinstance(message.content, str):
        return message.content
    pieces = (piece if isinstance(piece, str) else getattr(piece, "content", "") for piece in message.content)
    return "\n".join(piece for piece in pieces if isinstance(piece, str))
