"""The list of runs: as many as wanted, legible at any width."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from moot.chats.store import RunRow
from moot.cli.run_list import run_table

if TYPE_CHECKING:
    from tests.moot.conftest import Moot


def row(number: int, chat: str = "research") -> RunRow:
    return RunRow(
        run=f"1m7x{number:04}", chat=chat, status="finished", outcome="rejected", turns=12, started=1_700_000_000.0,
        input_tokens=123_456, output_tokens=7, usd=0.0123, driven=False,
    )  # fmt: skip


def drawn(rows: list[RunRow], width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(run_table(rows, [row.run for row in rows], width))
    return [line.strip() for line in out.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (120, "run status chat turns started tokens cost"),
        (80, "run status chat turns started tokens cost"),
        (70, "run status chat turns started cost"),
        (60, "run status chat turns started"),
        (40, "run status chat turns"),
        (34, "run status chat"),
        (24, "run status"),
    ],
)
@pytest.mark.parametrize("chat", ["research", "a chat with quite a long name, longer than any column"])
def test_columns_are_left_out_rather_than_squeezed(width: int, columns: str, chat: str) -> None:
    head, _, *lines = drawn([row(n, chat) for n in range(30)], width)
    assert head.split() == columns.split()
    assert len(lines) == 30
    for number, line in enumerate(lines):
        assert len(line) <= width
        assert line.startswith(f"1m7x{number:04}")
        assert "rejected" in line
        if "chat" in head:
            assert chat[:7] in line


def test_a_person_sees_the_newest_twenty_and_how_many_more_there_are(moot: Moot) -> None:
    program = (
        "from moot import load_chat\n"
        "loaded = load_chat('duet.yaml')\n"
        "for _ in range(25):\n"
        "    loaded.chat.run_sync(loaded.task)\n"
    )
    moot.write("many.py", program)
    assert moot.python("many.py").code == 0
    names = [one["run"] for one in moot("runs", "list", "--json").json]
    assert len(names) == 25

    done = moot("runs", "list")
    lines = [line for line in done.out.splitlines() if "duet" in line]
    assert len(lines) == 20
    assert all(name.startswith(line.split()[0]) for name, line in zip(names, lines, strict=False))
    assert done.err == "and 5 more: moot runs list --limit 25\n"

    few, every = moot("runs", "list", "--limit", "3"), moot("runs", "list", "--limit", "25")
    assert (few.out.count("duet"), few.err) == (3, "and 22 more: moot runs list --limit 25\n")
    assert (every.out.count("duet"), every.err) == (25, "")
    assert [one["run"] for one in moot("runs", "list", "--json", "--limit", "3").json] == names[:3]
    assert moot("runs", "list", "--limit", "0").code == 2
