"""What can go wrong around a chat, sorted by who must act.

ChatError
├── SpecError         a chat file or a graph is wrong: its author must act; carries every problem with its place
├── UserError         a call or a command is wrong: whoever made it must act
└── StoreError        the journal cannot be read or written: whoever looks after the machine must act
    └── Fenced        this process no longer owns the run: nobody must act, the other process goes on

Messages say what, which, and what to do. They take one line; only `SpecError` adds the offending line and a caret.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

EXCERPT_WIDTH = 120
"""How many characters of an offending line are shown at most."""


class ChatError(Exception):
    """Whatever the conversation raises on purpose."""

    @property
    def one_line(self) -> str:
        """The message in one line."""
        return " ".join(str(self).split())


class UserError(ChatError):
    """A call or a command cannot be done as asked; the message says what to ask instead."""


class StoreError(ChatError):
    """The journal cannot be read or written; what was recorded before stays."""


class Fenced(StoreError):
    """Another process has taken the run over: what this one wanted to append was refused."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a chat file: where, what, and what may have been meant.

    `line` and `column` count from 1; both are None where there is no place to point at (a missing file, `--set`).
    `path` is the place in the document; the message leaves it out where `file` already says it (`--set limits.rounds`).
    `excerpt` is the offending line as it stands in the file.
    """

    file: str
    problem: str
    line: int | None = None
    column: int | None = None
    path: str = ""
    suggestion: str | None = None
    excerpt: str | None = None

    @property
    def one_line(self) -> str:
        """`chat.yaml:5:5: participants.critic.modle: unknown key (did you mean 'model'?)`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"
        path = f"{self.path}: " if self.path and not self.file.startswith("--set ") else ""
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return _printable(f"{place}: {path}{self.problem}{hint}")

    def explain(self) -> str:
        """The one line, then the offending line and a caret under the column."""
        if self.excerpt is None or self.column is None:
            return self.one_line
        line, caret = _window(self.excerpt, self.column - 1)
        return f"{self.one_line}\n{line}\n{caret}"


class SpecError(ChatError):
    """A chat file or a graph is wrong. `problems` holds everything that was found, in file order; at least one.

    The attributes `file`, `line`, `column`, `path`, `problem` and `suggestion` are the first problem's.
    """

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("a SpecError needs a problem")
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return self.explain()

    @property
    def one_line(self) -> str:
        """The first problem in one line, and how many there are besides."""
        more = f" [and {len(self.problems) - 1} more]" if len(self.problems) > 1 else ""
        return self.problems[0].one_line + more

    def explain(self) -> str:
        """Every problem with its line and caret."""
        return "\n".join(problem.explain() for problem in self.problems)

    @property
    def file(self) -> str:
        """The file as the caller named it."""
        return self.problems[0].file

    @property
    def line(self) -> int | None:
        """Counts from 1."""
        return self.problems[0].line

    @property
    def column(self) -> int | None:
        """Counts from 1."""
        return self.problems[0].column

    @property
    def path(self) -> str:
        """The place in the document: `participants.critic.modle`."""
        return self.problems[0].path

    @property
    def problem(self) -> str:
        """What is wrong, in plain words."""
        return self.problems[0].problem

    @property
    def suggestion(self) -> str | None:
        """What may have been meant: `did you mean 'model'?`."""
        return self.problems[0].suggestion


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`did you mean 'model'?` for the other known word that is closest, None when none is close."""
    close = closest(word, [name for name in known if name != word])
    return None if close is None else f"did you mean {close!r}?"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, None when none is close. Case does not count."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def _printable(text: str) -> str:
    """One line without control characters: a file must not be able to drive the reader's terminal."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text)


def _window(line: str, at: int) -> tuple[str, str]:
    """The part of the line around `at` (from 0), and a caret line; tabs and wide characters keep it in place."""
    line, start = line.rstrip(), 0
    if len(line) > EXCERPT_WIDTH:
        start = max(0, min(at - EXCERPT_WIDTH // 2, len(line) - EXCERPT_WIDTH))
    shown = line[start : start + EXCERPT_WIDTH]
    before = "".join(_gap(c) for c in shown[: at - start])
    lead, tail = "…" if start else "", "…" if start + EXCERPT_WIDTH < len(line) else ""
    shown = "\t".join(_printable(part) for part in shown.split("\t"))
    return f"{lead}{shown}{tail}", f"{' ' * len(lead)}{before}^"


def _gap(character: str) -> str:
    if character == "\t":
        return "\t"
    if unicodedata.combining(character):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "
