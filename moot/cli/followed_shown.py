"""Who spoke after whom, for people: a table where there is room for one, else a list."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from moot.chats.clean import clean_line
from moot.chats.exports.told import pairs
from moot.chats.followed import START, followed, speakers
from moot.chats.story import Story
from moot.cli.run_object import Json
from moot.cli.shown import who
from moot.cli.words import count

_FIRST = "(beginning)"
_BETWEEN = 3
"""Cells between two columns of a table."""


def followed_shown(story: Story, width: int) -> Iterator[RenderableType]:
    """Nothing where nobody spoke. `width` in cells."""
    if not pairs(story):
        return
    names = speakers(story)
    wide = [cell_len(who(story, name).plain) for name in names]
    if max(*wide, len(_FIRST)) + sum(each + _BETWEEN for each in wide) + _BETWEEN > width:
        yield from _listed(story)
        return
    counts = followed(story)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text("after"), no_wrap=True)
    for name in names:
        table.add_column(who(story, name), justify="right", no_wrap=True)
    for before in (START, *names):
        cells = [str(counts.get((before, name), "")) for name in names]
        if any(cells):
            table.add_row(_name(story, before), *cells)
    yield table


def _listed(story: Story) -> Iterator[RenderableType]:
    for before, name, times in pairs(story):
        first = f"after {clean_line(before, 40)}" if before else "first"
        yield Text.assemble("  ", who(story, name), f" {first}: {count(times, 'time')}")


def _name(story: Story, name: str) -> Text:
    return who(story, name) if name else Text(_FIRST, style="dim")


def followed_object(story: Story) -> list[Json]:
    """For `--json`; `after` is null where the run began."""
    return [{"after": before or None, "spoke": name, "times": times} for before, name, times in pairs(story)]
