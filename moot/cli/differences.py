"""What changed between two texts, short enough to be read and safe to be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from moot.chats.clean import clean, clean_line

MOST_LINES = 12
"""How many lines of a difference are shown."""
LINE_CHARACTERS = 160
_LONG = 3
"""A text of more lines is compared by lines, a shorter one by words."""
_COMPARED = 400
"""How many words or lines of each text are looked at, beyond what both begin and end with: more would take long."""
_AROUND = 6
"""How many words are shown before and after a change."""
_CHARACTERS = 16_000
"""How much of a text is looked at at all."""
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


def difference(a: str, b: str) -> list[str]:
    """Lines with `[-gone-]` and `{+new+}` words; of longer texts the lines that begin with `-` and `+`."""
    old, new = (clean(text[:_CHARACTERS]).strip("\n") for text in (a, b))
    if old == new:
        return ["(they differ where nothing is seen, or far behind)"]
    if max(old.count("\n"), new.count("\n")) >= _LONG:
        lines = list(_by_lines(old.split("\n"), new.split("\n")))
    else:
        lines = "".join(_by_words(_WORD.findall(old), _WORD.findall(new))).split("\n")
    shown = [line if len(line) <= LINE_CHARACTERS else line[: LINE_CHARACTERS - 1] + "…" for line in lines[:MOST_LINES]]
    return [*shown, "…"] if len(lines) > MOST_LINES else shown


def _by_words(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for same, gone, came in _changes(old, new):
        if same:
            yield _shortened(same)
        if gone:
            yield f"[-{''.join(gone)}-]"
        if came:
            yield f"{{+{''.join(came)}+}}"


def _shortened(same: Sequence[str]) -> str:
    if len(same) <= 4 * _AROUND:
        return "".join(same)
    return f"{''.join(same[: 2 * _AROUND])} … {''.join(same[-2 * _AROUND :])}"


def _by_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for same, gone, came in _changes(old, new):
        yield from (f"  {clean_line(line, LINE_CHARACTERS)}" for line in same[-1:])
        yield from (f"- {line}" for line in gone)
        yield from (f"+ {line}" for line in came)


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[str]]]:
    """What both have, then what only the first has and what only the second has; again and again."""
    start, least = 0, min(len(old), len(new))
    while start < least and old[start] == new[start]:
        start += 1
    end = 0
    while end < least - start and old[-1 - end] == new[-1 - end]:
        end += 1
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    kept_old, kept_new = middle_old[:_COMPARED], middle_new[:_COMPARED]
    same: list[str] = list(old[:start])
    for tag, i, j, k, m in SequenceMatcher(None, kept_old, kept_new, autojunk=False).get_opcodes():
        if tag == "equal":
            same += kept_old[i:j]
            continue
        yield same, kept_old[i:j], kept_new[k:m]
        same = []
    if len(middle_old) > _COMPARED or len(middle_new) > _COMPARED:
        yield same, middle_old[_COMPARED:], middle_new[_COMPARED:]
        same = []
    if rest := [*same, *old[len(old) - end :]]:
        yield rest, (), ()
