"""What became of the cases, as a table: a line for each point, one for the seeds, and the totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.crash.suite import Result

SEEDS = "random seeds"
_HEAD = ("point", "cases", "faults", "fired", "resumed", "lost turns", "duplicated", "repeated: marked", "unmarked")


class Report:
    """Takes results as they come; `groups` are those of all cases, in the order in which they are to be told."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.results: list[Result] = []
        self._groups = groups

    def add(self, result: Result) -> None:
        """One more."""
        self.results.append(result)

    @property
    def failed(self) -> list[Result]:
        """Those in which something was found."""
        return [result for result in self.results if result.problems]

    @property
    def progress(self) -> str:
        """One line."""
        return f"{len(self.results)} of {len(self._groups)} played, {len(self.failed)} with findings"

    def text(self, seconds: float) -> str:
        """All of it."""
        groups = dict.fromkeys(self._groups)
        rows = [_row(group, [r for r in self.results if r.group == group]) for group in groups]
        lines = [*_table(rows), "", self._totals(seconds)]
        for result in self.failed:
            lines += ["", f"{result.group}, {result.name}:", *(f"  {problem}" for problem in result.problems)]
            lines += [f"  kept: {result.folder}", f"  repeat: {_repeat(result)}"]
        return "\n".join(lines)

    def _totals(self, seconds: float) -> str:
        of = self.results
        seeds = sum(result.group == SEEDS for result in of)
        unmarked = _sum(of, "unmarked")
        where = "only where in doubt and marked" if not unmarked else f"{unmarked} of them not marked"
        return (
            f"{len(of) - seeds} points, {seeds} seeds, {_sum(of, 'fired')} kills and freezes that fired: "
            f"lost turns {_sum(of, 'lost_turns')}, duplicated turns {_sum(of, 'duplicated_turns')}, "
            f"repeated effects {_sum(of, 'marked') + unmarked} ({where}), findings {len(self.failed)}; {seconds:.0f} s"
        )


def _repeat(result: Result) -> str:
    if result.group == SEEDS:
        return f"scripts/crash --no-points --from {result.name} --seeds 1"
    return f'scripts/crash --seeds 0 --only "{result.group}, {result.name}"'


def _row(group: str, of: Sequence[Result]) -> tuple[str, ...]:
    numbers = [len(of), _sum(of, "deaths"), _sum(of, "fired"), sum(result.resumed for result in of)]
    numbers += [_sum(of, name) for name in ("lost_turns", "duplicated_turns", "marked", "unmarked")]
    return (group, *map(str, numbers))


def _sum(of: Iterable[Result], name: str) -> int:
    return sum(int(getattr(result, name)) for result in of)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = (_HEAD, *rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])] for name, *cells in lines)
    return ["  ".join(row) for row in padded]
