"""An edge of a graph cut into words and signs, with their columns, and the error that points at one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from moot.chats.errors import did_you_mean

_MEANT = {"=": "==", "is": "==", "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "=>": "->", "-": "->"}
_CURLY_QUOTES = "\u201c\u201d\u201e\u2018\u2019"
_TOKEN = re.compile(
    r"""\s*(?: (?P<arrow>->|→) | (?P<comma>,) | (?P<paren>[()]) | (?P<op>==|!=|<=|>=|<|>)
             | (?P<text>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
             | (?P<number>-?\d{1,9}(?![\w-])) | (?P<word>\w+(?:-(?!>)\w*)*)
             | (?P<other>&&|\|\||=>|\S) )""",
    re.VERBOSE,
)


class EdgeSyntaxError(ValueError):
    """An edge or a condition cannot be read. `column` counts from 1 in the text that was parsed."""

    def __init__(self, problem: str, column: int, suggestion: str | None = None) -> None:
        super().__init__(problem, column, suggestion)
        self.problem, self.column, self.suggestion = problem, column, suggestion

    def __str__(self) -> str:
        return f"column {self.column}: {self.problem}" + (f" ({self.suggestion})" if self.suggestion else "")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an edge: its kind (`word`, `text`, `op`, ..., `end`), its characters, its column from 1."""

    kind: str
    text: str
    column: int

    def __str__(self) -> str:
        return "the end of the edge" if self.kind == "end" else repr(self.text)


class Tokens:
    """An edge cut into tokens, read from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_cut(text))
        self._at = 0

    @property
    def next(self) -> Token:
        """The token that comes, without taking it."""
        return self._tokens[self._at]

    def take(self) -> Token:
        """The token that comes; the end can be taken again and again."""
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def takes(self, *texts: str) -> bool:
        """Takes the next token if it is one of these words or signs."""
        if self.next.kind == "text" or self.next.text not in texts:
            return False
        self.take()
        return True

    def unexpected(self, expected: str, *words: str) -> EdgeSyntaxError:
        """The error that says what was expected instead of the next token; `words` are offered when one is close."""
        token = self.next
        return EdgeSyntaxError(f"expected {expected}, got {token}", token.column, _meant(token.text, words))


def _meant(text: str, words: tuple[str, ...]) -> str | None:
    if text in tuple(_CURLY_QUOTES):
        return "write straight quotes"
    meant = _MEANT.get(text)
    return f"did you mean {meant!r}?" if meant in words else did_you_mean(text, words)


def _cut(text: str) -> Iterator[Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:  # pragma: no cover - `other` takes any character
            raise EdgeSyntaxError("cannot be read", at + 1)
        kind, piece, start = found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)
        if kind == "other" and piece in "\"'":
            hint = "quote the whole edge if the text holds ' #' or ': '"
            raise EdgeSyntaxError("the text is not closed", start + 1, hint)
        yield Token(kind, piece, start + 1)
        at = found.end()
    yield Token("end", "", end + 1)
