"""Tables that fit where they are shown: columns are left out rather than squeezed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Columns:
    """Titles in their order. `stretching` is cut down to `least` cells and gets what the others leave."""

    titles: Sequence[str]
    right: Sequence[str]
    """Those with numbers."""
    least_first: Sequence[str]
    """Which are left out where there is little room, the first one first."""
    stretching: str
    least: int

    def table(self, cells: Sequence[dict[str, str]], width: int) -> Table:
        """Rows for people, of what is safe to show."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title, wide in self._fitting(cells, width).items():
            justify: Literal["left", "right"] = "right" if title in self.right else "left"
            table.add_column(title, justify=justify, no_wrap=True, overflow="ellipsis", width=wide)
        for row in cells:
            table.add_row(*(Text(row[str(column.header)]) for column in table.columns))
        return table

    def _fitting(self, cells: Sequence[dict[str, str]], width: int) -> dict[str, int]:
        """The columns that fit, with their widths."""
        from rich.cells import cell_len

        wide = {title: max(cell_len(title), *(cell_len(row[title]) for row in cells)) for title in self.titles}
        wanted, wide[self.stretching] = wide[self.stretching], min(wide[self.stretching], self.least)
        for title in self.least_first:
            if _total(wide) <= width:
                break
            del wide[title]
        if self.stretching in wide:
            wide[self.stretching] = min(wanted, wide[self.stretching] + max(0, width - _total(wide)))
        return wide


def _total(wide: dict[str, int]) -> int:
    """Cells of a whole line: a blank at both ends, three between columns."""
    return sum(wide.values()) + 3 * len(wide) - 1
