"""The judge finds each kind of violation, where one is planted, and nothing where there is none."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.crash import checker

PROGRAM = Path(checker.__file__)


class Evidence:
    """What a run left, to be tampered with. Rows are events as dicts; `keep` writes them back, densely numbered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with closing(sqlite3.connect(folder / "moot.db")) as db:
            db.row_factory = sqlite3.Row
            self.rows = [dict(row) for row in db.execute("SELECT * FROM event ORDER BY seq")]
        self.world = self._lines("world.jsonl")
        self.client = self._lines("client.jsonl")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def first(self, type: str, holding: str = "") -> dict[str, Any]:
        return next(row for row in self.rows if row["type"] == type and holding in row["data"])

    def seen(self, what: str) -> dict[str, Any]:
        return next(line for line in self.world if line["what"] == what)

    def after(self, row: dict[str, Any], **changes: object) -> None:
        """A copy of it, right behind."""
        self.rows.insert(self.rows.index(row) + 1, {**row, **changes})

    def keep(self, *, dense: bool = True) -> None:
        if dense:
            self.rows = [{**row, "seq": seq} for seq, row in enumerate(self.rows, 1)]
        with closing(sqlite3.connect(self.folder / "moot.db", isolation_level=None)) as db:
            db.execute("DELETE FROM event")
            names = ", ".join(f":{name}" for name in self.rows[0])
            db.executemany(f"INSERT INTO event VALUES({names})", self.rows)
            db.execute("UPDATE run SET head = ? WHERE head > 0", (max(row["seq"] for row in self.rows),))
        for name, lines in (("world", self.world), ("client", self.client)):
            (self.folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.fixture
def evidence(left: Path, tmp_path: Path) -> Evidence:
    shutil.copytree(left / "0000", tmp_path / "left")
    return Evidence(tmp_path / "left")


def printed(left: Path, *folders: Path) -> list[dict[str, Any]]:
    """As the program says it."""
    command = [sys.executable, "-I", *map(str, (PROGRAM, left / "undisturbed", *folders))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def found(left: Path, evidence: Evidence) -> dict[str, str]:
    """The findings by their kind."""
    return dict(checker.judge(evidence.folder, checker.read(left / "undisturbed")).findings)


def edit(row: dict[str, Any], change: Callable[[Any], None]) -> None:
    data = json.loads(row["data"])
    change(data)
    row["data"] = json.dumps(data)


def test_nothing_is_found_where_nothing_is_wrong(left: Path, evidence: Evidence) -> None:
    undisturbed, killed = printed(left, left / "undisturbed", left / "0000")
    assert undisturbed["findings"] == killed["findings"] == []
    assert (undisturbed["marked"], undisturbed["unmarked"]) == (0, 0)
    assert killed["marked"] > 0
    evidence.keep()
    assert found(left, evidence) == {}


def test_it_imports_nothing_but_the_library() -> None:
    names = [
        line.split()[1].split(".")[0]
        for line in PROGRAM.read_text().splitlines()
        if line.startswith(("import", "from"))
    ]
    assert set(names) - {"__future__"} <= sys.stdlib_module_names


def lose_an_event(e: Evidence) -> None:
    del e.rows[len(e.rows) // 2]
    e.keep(dense=False)


def lose_the_end(e: Evidence) -> None:
    e.rows.pop()
    e.keep()


def finish_a_turn_twice(e: Evidence) -> None:
    e.after(e.first("turn.finished"))
    e.keep()


def lose_a_turn(e: Evidence) -> None:
    e.rows.remove(e.first("turn.finished"))
    e.keep()


def record_two_results(e: Evidence) -> None:
    e.after(e.first("effect.completed"))
    e.keep()


def change_what_was_shown(e: Evidence) -> None:
    edit(e.first("inner"), lambda data: data.update(more=1))
    e.keep()


def show_what_is_not_there(e: Evidence) -> None:
    last = e.client[-1]
    e.client.append({**last, "seq": last["seq"] + 1})
    e.keep()


def skip_an_event_while_showing(e: Evidence) -> None:
    del e.client[1]
    e.keep()


def ask_twice_without_a_mark(e: Evidence) -> None:
    model = e.seen("guide")
    e.world.insert(e.world.index(model) + 1, dict(model))
    e.keep()


def ask_again_after_the_result(e: Evidence) -> None:
    e.world.append({**e.seen("guide"), "ts": e.rows[-1]["ts"]})
    e.keep()


def ask_without_an_intent(e: Evidence) -> None:
    e.world.append({**e.seen("guide"), "key": "elsewhere"})
    e.keep()


def ask_before_the_intent(e: Evidence) -> None:
    e.seen("guide")["ts"] = 0.0
    e.keep()


def invent_a_result(e: Evidence) -> None:
    e.world = [line for line in e.world if line["what"] != "runner"]
    e.keep()


def pay_again_unasked(e: Evidence) -> None:
    decided = [row for row in e.rows if row["type"] == "request.decided"]
    doubt = json.loads(e.first("request.asked", '"doubt"')["data"])["id"]
    edit(next(row for row in decided if f'"{doubt}"' in row["data"]), lambda data: data.update(decision="reject"))
    e.keep()


def send_unapproved(e: Evidence) -> None:
    asked = json.loads(e.first("request.asked", '"kind":"tool"')["data"])["id"]
    row = next(r for r in e.rows if r["type"] == "request.decided" and f'"{asked}"' in r["data"])
    edit(row, lambda data: data.update(decision="reject"))
    e.keep()


def order_again_though_it_is_known(e: Evidence) -> None:
    order = e.seen("order")
    e.world.insert(e.world.index(order) + 1, dict(order))
    e.keep()


def say_something_else(e: Evidence) -> None:
    edit(e.first("turn.finished"), lambda data: data["reply"].update(content="something else"))
    e.keep()


def end_otherwise(e: Evidence) -> None:
    edit(e.rows[-1], lambda data: data.update(outcome="failed"))
    e.keep()


def diverge(e: Evidence) -> None:
    row = e.first("warning")
    edit(row, lambda data: data["facts"].update(recorded="1", now="2"))
    e.keep()


def perform_outside_of_an_attempt(e: Evidence) -> None:
    row = e.first("effect.completed")
    e.rows.remove(row)
    e.rows.insert(0, row)
    e.keep()


def two_runs(e: Evidence) -> None:
    with closing(sqlite3.connect(e.folder / "moot.db", isolation_level=None)) as db:
        db.execute("INSERT INTO run(name, chat, head) VALUES('another', 'chat', 1)")


def no_database(e: Evidence) -> None:
    (e.folder / "moot.db").write_bytes(b"not a database at all" * 99)
    (e.folder / "moot.db-wal").unlink(missing_ok=True)


PLANTED: list[tuple[Callable[[Evidence], None], str]] = [
    (lose_an_event, "gap"),
    (lose_the_end, "unfinished"),
    (finish_a_turn_twice, "duplicated"),
    (lose_a_turn, "lost"),
    (record_two_results, "results"),
    (change_what_was_shown, "accepted"),
    (show_what_is_not_there, "accepted"),
    (skip_an_event_while_showing, "accepted"),
    (ask_twice_without_a_mark, "unmarked"),
    (ask_again_after_the_result, "again"),
    (ask_without_an_intent, "unintended"),
    (ask_before_the_intent, "unintended"),
    (invent_a_result, "invented"),
    (pay_again_unasked, "side effect"),
    (send_unapproved, "not approved"),
    (order_again_though_it_is_known, "looked up"),
    (say_something_else, "transcript"),
    (end_otherwise, "transcript"),
    (diverge, "diverged"),
    (perform_outside_of_an_attempt, "order"),
    (two_runs, "unreadable"),
    (no_database, "unreadable"),
]


@pytest.mark.parametrize(("plant", "kind"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_it_finds(plant: Callable[[Evidence], None], kind: str, left: Path, evidence: Evidence) -> None:
    plant(evidence)
    assert kind in found(left, evidence)


def test_lost_and_duplicated_turns_are_counted(left: Path, evidence: Evidence) -> None:
    expected = checker.read(left / "undisturbed")
    finish_a_turn_twice(evidence)
    verdict = checker.judge(evidence.folder, expected)
    assert (verdict.lost_turns, verdict.duplicated_turns) == (0, 1)
    evidence.rows = [row for row in evidence.rows if row["type"] != "turn.finished"]
    evidence.keep()
    verdict = checker.judge(evidence.folder, expected)
    assert (verdict.lost_turns, verdict.duplicated_turns) == (9, 0)
