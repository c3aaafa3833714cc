"""Finding what was said, and code, in all runs."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from moot.chats.errors import UserError
from moot.chats.search_index import ask

MOST_WORDS = 32
"""Of one query."""
_TERM = re.compile(r'"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+)')
_BEGIN, _END = "\x02", "\x03"
"""Around what was found, in the snippets that SQLite makes."""
_HITS = """
SELECT e.run, e.turn, e.participant, e.kind, snippet(words, 0, ?1, ?2, ' … ', 24)
FROM words JOIN entry e ON e.id = words.rowid WHERE words MATCH ?3 AND ?4 IN (e.run, '')
ORDER BY e.run DESC, rank, e.seq LIMIT ?5
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a snippet, and whether it is what was asked for."""

    text: str
    found: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """One place: `kind` is `message`, `reply`, `person` or `code`; `turn` is 0 outside turns."""

    run: str
    turn: int
    participant: str
    kind: str
    snippet: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The whole snippet."""
        return "".join(piece.text for piece in self.snippet)


async def search(database: Path, query: str, *, run: str = "", limit: int = 20) -> list[Hit]:
    """Messages and code that have every word of the query: those of the newest run first, the best of a run first.

    A word may end with `*` (whatever begins like this); words in double quotes must follow each other. `run` is a whole
    id. Raises UserError for a query without a word, StoreError.
    """
    return await asyncio.to_thread(_search, database, _match(query), run, limit)


def _search(database: Path, match: str, run: str, limit: int) -> list[Hit]:
    rows = ask(database, lambda db: db.execute(_HITS, (_BEGIN, _END, match, run, limit)).fetchall())
    return [Hit(run, turn, who, kind, _pieces(text)) for run, turn, who, kind, text in rows]


def _match(query: str) -> str:
    """The query in FTS5's language, with every word quoted: nothing in it is an operator."""
    terms = []
    for found in _TERM.finditer(query.encode("utf-16", "surrogatepass").decode("utf-16", "replace")):
        word = found["phrase"] if found["word"] is None else found["word"]
        begins = word.endswith("*") and found["word"] is not None
        if any(character.isalnum() for character in word):
            terms.append('"' + word.rstrip("*").replace("\0", " ") + '"' + ("*" if begins else ""))
    if not terms:
        raise UserError(f"there is no word to search for in {query!r}")
    if len(terms) > MOST_WORDS:
        raise UserError(f"{len(terms)} words are too many to search for: give {MOST_WORDS} at most")
    return " ".join(terms)


def _pieces(text: str) -> tuple[Piece, ...]:
    parts = re.split(f"{_BEGIN}(.*?){_END}", text, flags=re.DOTALL)
    return tuple(Piece(part, found=bool(at % 2)) for at, part in enumerate(parts) if part)
