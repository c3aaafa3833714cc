"""Judges what is left of a run that was killed: the journal's file, the world's ledger, the client's log.

A program of its own that knows nothing of Moot but what its journal promises; only Python's library is imported.

    python checker.py EXPECTED FOLDER...      # a line of JSON for each folder
    python checker.py EXPECTED -              # the same for each line of the input, as it comes

EXPECTED is the folder of the same run, undisturbed. A finding is `[kind, words]`.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

SIDE_EFFECTS, ASKED_FIRST, LOOKED_UP = {"pay"}, {"send"}, {"order"}
"""Tools that are made again only when a person says so; that a person approves first; that are never made twice."""
Finding = tuple[str, str]


class Row(NamedTuple):
    """An event as it lies in the file."""

    seq: int
    ts: float
    turn: int
    attempt: int
    type: str
    participant: str
    text: str
    data: dict[str, Any]

    @property
    def key(self) -> tuple[int, str]:
        """The turn and the effect."""
        return self.turn, str(self.data.get("key", ""))


@dataclass
class Left:
    """What is left in one folder."""

    run: str
    head: int
    rows: list[Row]
    world: list[dict[str, Any]]
    client: list[dict[str, Any]]

    def of(self, *types: str) -> list[Row]:
        """The events of these types."""
        return [row for row in self.rows if row.type in types]

    @property
    def said(self) -> list[tuple[int, str, str]]:
        """Who said what in which turn, and how it ended."""
        turns = [(row.turn, row.participant, str(row.data["reply"].get("content"))) for row in self.of("turn.finished")]
        ends = [(10**6, str(row.data["outcome"]), str(row.data["result"])) for row in self.of("run.finished")]
        return sorted(turns) + ends

    def sightings(self) -> dict[tuple[int, str], list[dict[str, Any]]]:
        """What the world saw under each key, in order."""
        seen: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
        for line in self.world:
            run, _, rest = str(line["key"]).partition("/")
            turn, _, key = rest.partition("/")
            seen[(int(turn), key) if run == self.run and turn.isdigit() else (0, str(line["key"]))].append(line)
        return seen


@dataclass
class Verdict:
    """Of one folder."""

    folder: str
    findings: list[Finding] = field(default_factory=list)
    events: int = 0
    turns: int = 0
    lost_turns: int = 0
    duplicated_turns: int = 0
    marked: int = 0
    """Effects that the world saw again, being in doubt and marked so."""
    unmarked: int = 0


def read(folder: Path) -> Left:
    """Raises ValueError, sqlite3.Error for what cannot be read."""
    db = sqlite3.connect(f"file:{folder / 'moot.db'}?mode=ro", uri=True)
    try:
        runs = db.execute("SELECT id, name, head FROM run WHERE head > 0").fetchall()
        if len(runs) != 1:
            raise ValueError(f"{len(runs)} runs have events, not one")
        ((number, name, head),) = runs
        sql = "SELECT seq, ts, turn, attempt, type, participant, data FROM event WHERE run = ? ORDER BY seq"
        rows = [Row._make((*row, json.loads(row[-1]))) for row in db.execute(sql, (number,))]
    finally:
        db.close()
    return Left(name, head, rows, _lines(folder / "world.jsonl"), _lines(folder / "client.jsonl"))


def judge(folder: Path, expected: Left) -> Verdict:
    """Everything that is wrong."""
    verdict = Verdict(str(folder))
    try:
        left = read(folder)
    except (ValueError, sqlite3.Error) as error:
        verdict.findings.append(("unreadable", str(error)))
        return verdict
    verdict.events = len(left.rows)
    try:
        verdict.findings += [*_prefix(left), *_order(left), *_accepted(left), *_results(left)]
        verdict.findings += [*_turns(left, expected, verdict), *_world(left, verdict), *_said(left, expected)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        verdict.findings.append(("unreadable", f"{type(error).__name__}: {error}"))
    return verdict


def _prefix(left: Left) -> Iterator[Finding]:
    """Dense, from the first event to the last."""
    for expected, row in enumerate(left.rows, 1):
        if row.seq != expected:
            yield "gap", f"event {expected} is missing: {row.seq} stands in its place"
            return
    if left.head != len(left.rows):
        yield "gap", f"the run's head is {left.head}, there are {len(left.rows)} events"
    if left.rows[0].type != "run.created" or len(left.of("run.created")) != 1:
        yield "order", "a run begins with run.created, once"
    if left.rows[-1].type != "run.finished" or len(left.of("run.finished")) != 1:
        yield "unfinished", f"the last event is {left.rows[-1].type}"


def _order(left: Left) -> Iterator[Finding]:
    """Turns are given, begun in attempts, and finished; effects stand inside of attempts, intended before anything."""
    given: dict[int, str] = {}
    attempts: dict[int, int] = Counter()
    running: set[int] = set()
    intended: set[tuple[int, str]] = set()
    for row in left.rows:
        where = f"event {row.seq} ({row.type})"
        if row.type == "speaker.selected":
            given.update(dict(enumerate(row.data["chosen"], row.turn)))
            continue
        if not row.turn or row.type.startswith("request.decided"):
            continue
        if given.get(row.turn) != row.participant:
            yield "order", f"{where}: turn {row.turn} is not {row.participant}'s"
        if row.type == "turn.started":
            attempts[row.turn] += 1
            running.add(row.turn)
        if row.attempt != attempts[row.turn] or row.turn not in running:
            yield "order", f"{where}: attempt {row.attempt} of turn {row.turn} is not under way"
        if row.type in ("turn.finished", "turn.failed", "turn.abandoned"):
            running.discard(row.turn)
        if row.type == "effect.intended":
            intended.add(row.key)
        elif row.type.startswith("effect.") and row.key not in intended:
            yield "order", f"{where}: {row.key[1]} was never intended"


def _accepted(left: Left) -> Iterator[Finding]:
    """Whatever a viewer was shown is in the journal, as it was shown, and each viewer was shown it in order."""
    digests = {row.seq: (row.type, sha256(row.text.encode()).hexdigest()) for row in left.rows}
    last: dict[str, int] = Counter()
    for line in left.client:
        seq, found = line["seq"], digests.get(line["seq"])
        if found != (line["type"], line["data"]):
            yield "accepted", f"event {seq} ({line['type']}) was shown, the journal has {found and found[0]}"
        if seq != last[line["viewer"]] + 1:
            yield "accepted", f"event {seq} was shown after event {last[line['viewer']]}"
        last[line["viewer"]] = seq


def _results(left: Left) -> Iterator[Finding]:
    """One result for each key."""
    for (turn, key), count in Counter(row.key for row in left.of("effect.completed")).items():
        if count > 1:
            yield "results", f"{key} of turn {turn} has {count} results"


def _turns(left: Left, expected: Left, verdict: Verdict) -> Iterator[Finding]:
    """Every turn that was given is finished once; none is missing that the undisturbed run has."""
    given = {n for row in left.of("speaker.selected") for n, _ in enumerate(row.data["chosen"], row.turn)}
    finished = Counter(row.turn for row in left.of("turn.finished"))
    lost = (given | {row.turn for row in expected.of("turn.finished")}) - set(finished)
    verdict.turns, verdict.lost_turns = len(finished), len(lost)
    verdict.duplicated_turns = sum(count - 1 for count in finished.values())
    if lost:
        yield "lost", f"turns {sorted(lost)} are not finished"
    if twice := sorted(turn for turn, count in finished.items() if count > 1):
        yield "duplicated", f"turns {twice} are finished more than once"


def _world(left: Left, verdict: Verdict) -> Iterator[Finding]:
    """What the world saw, beside what the journal says was done."""
    intents, results = _times(left, "effect.intended"), _times(left, "effect.completed")
    doubted = Counter(row.key for row in left.of("effect.unknown"))
    warned = Counter((row.turn, str(row.data["facts"].get("key", ""))) for row in left.of("warning"))
    failed = Counter(row.key for row in left.of("effect.failed"))
    for row in left.of("warning"):
        if "recorded" in row.data["facts"]:
            yield "diverged", f"event {row.seq}: {row.data['text']}"
    sightings = left.sightings()
    for key, seen in sightings.items():
        name = f"{key[1]} of turn {key[0]}"
        if key not in intents:
            yield "unintended", f"{name} reached the world, and the journal does not intend it"
            continue
        if seen[0]["ts"] < intents[key][0]:
            yield "unintended", f"{name} reached the world before it was intended"
        if key in results and seen[-1]["ts"] > results[key][-1]:
            yield "again", f"{name} was made again after its result was recorded"
        repeats = len(seen) - 1 - failed[key]
        allowed = min(doubted[key], warned[key])
        verdict.marked += max(0, min(repeats, allowed))
        verdict.unmarked += max(0, repeats - allowed)
        if repeats > allowed:
            yield "unmarked", f"{name} was made {repeats + 1} times and marked as in doubt {allowed} times"
        yield from _tool(left, key, seen)
    for key in set(results) - set(sightings):
        if not doubted[key]:
            yield "invented", f"{key[1]} of turn {key[0]} has a result, and nobody was asked"


def _tool(left: Left, key: tuple[int, str], seen: list[dict[str, Any]]) -> Iterator[Finding]:
    """Where a person or the other side has a say."""
    what = seen[0]["what"] if seen[0]["kind"] == "tool" else ""
    if what in LOOKED_UP and len(seen) > 1:
        yield "looked up", f"{what} was made {len(seen)} times, though the other side knew"
    if what in SIDE_EFFECTS and len(seen) > 1 + len(_approved(left, "doubt", key[1])):
        yield "side effect", f"{what} was made {len(seen)} times without a person's word"
    if what in ASKED_FIRST:
        approved = _approved(left, "tool", "")
        if not approved or seen[0]["ts"] < approved[0]:
            yield "not approved", f"{what} was made before a person approved it"


def _approved(left: Left, kind: str, key: str) -> list[float]:
    """When a person approved a question of that kind about that effect."""
    asked = {
        row.data["id"]
        for row in left.of("request.asked")
        if row.data["kind"] == kind and key in ("", row.data["payload"].get("key"))
    }
    decided = left.of("request.decided")
    return [row.ts for row in decided if row.data["id"] in asked and row.data["decision"] == "approve"]


def _said(left: Left, expected: Left) -> Iterator[Finding]:
    """The transcript and the end are the undisturbed run's."""
    for mine, theirs in zip(left.said, expected.said, strict=False):
        if mine != theirs:
            yield "transcript", f"{mine} instead of {theirs}"
            return
    if len(left.said) != len(expected.said):
        yield "transcript", f"{len(left.said)} things were said instead of {len(expected.said)}"


def _times(left: Left, type: str) -> dict[tuple[int, str], list[float]]:
    found: dict[tuple[int, str], list[float]] = defaultdict(list)
    for row in left.of(type):
        found[row.key].append(row.ts)
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main(arguments: list[str]) -> None:
    """Judge them one by one."""
    expected = read(Path(arguments[0]))
    folders = (line.strip() for line in sys.stdin) if arguments[1:] == ["-"] else iter(arguments[1:])
    for folder in folders:
        sys.stdout.write(json.dumps(vars(judge(Path(folder), expected))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
