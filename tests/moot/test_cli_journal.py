"""Looking at runs afterwards: list, show, export, verify; and what needs no run at all."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore
from tests.pages import Page
from tests.told_runs import HOSTILE, everything

if TYPE_CHECKING:
    from tests.moot.conftest import Moot


def test_runs_are_listed_newest_first_with_the_promised_keys(moot: Moot) -> None:
    first, second = (moot("run", "duet.yaml", "--json", *more).json["run"] for more in ([], ["--turns", "1"]))
    listed = moot("runs", "list", "--json").json
    assert [row["run"] for row in listed] == [second, first]
    assert all(
        list(row) == ["run", "chat", "parent", "status", "outcome", "questions", "turns", "started", "usage"]
        for row in listed
    )
    assert [(row["status"], row["outcome"], row["turns"]) for row in listed] == [
        ("finished", "limit", 1),
        ("finished", "goal", 4),
    ]
    assert all(datetime.fromisoformat(row["started"]).tzinfo is not None for row in listed)
    table = moot("runs", "list").out
    shown = re.findall(r"^ (\w+) +(\w+) +duet", table, re.MULTILINE)
    narrow = moot("runs", "list", COLUMNS="40").out
    assert all(len(line) <= 40 for line in narrow.splitlines())
    assert re.findall(r"^ (\w+) +(\w+) +duet", narrow, re.MULTILINE) == shown
    assert [outcome for _, outcome in shown] == ["limit", "goal"]
    assert all(run.startswith(short) for run, (short, _) in zip([second, first], shown, strict=True))
    assert all(moot("runs", "show", short).code == 0 for short, _ in shown)


def test_no_runs_are_an_empty_list(moot: Moot) -> None:
    assert moot("runs", "list", "--json").json == []
    done = moot("runs", "list")
    assert (done.code, done.out) == (0, "")
    assert "no runs yet" in done.err


def test_an_ambiguous_beginning_of_an_id_is_refused_with_the_candidates(moot: Moot) -> None:
    runs = [moot("run", "duet.yaml", "--json").json["run"] for _ in range(2)]
    done = moot("runs", "show", runs[0][:2])
    assert done.code == 2
    assert all(run in done.err for run in runs)


def test_a_run_is_shown_with_reasons_costs_and_why_it_ended(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json
    shown = moot("runs", "show", run["run"])
    for words in (
        "next: bob  because round 1, in order",
        "1 ● ann",
        "✔ goal: bob said",
        "cost of ann:",
        "result: agreed",
    ):
        assert words in shown.out
    assert shown.err == ""
    told = moot("runs", "show", run["run"], "--json").json
    assert {key: told[key] for key in run} == run
    assert [(t["turn"], t["participant"], t["policy"]) for t in told["history"]] == [
        (1, "ann", "round_robin"),
        (2, "bob", "round_robin"),
        (3, "ann", "round_robin"),
        (4, "bob", "round_robin"),
    ]
    assert all(t["reason"] and t["finished"] for t in told["history"])
    assert told["models"] == {"ann": "playbook:duet", "bob": "playbook:duet"}


def test_one_turn_is_shown_in_full(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    assert moot("runs", "show", run, "--turn", "4").out == "DONE: agreed\n"
    missing = moot("runs", "show", run, "--turn", "5")
    assert (missing.code, missing.out) == (2, "")
    assert "has no turn 5; it has 4" in missing.err


def test_an_export_goes_to_a_file_or_to_stdout(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    for format_ in ("jsonl", "md"):
        out = moot("export", run, "--format", format_).out
        assert moot("export", run, "--format", format_, "-o", "kept").out == ""
        assert (moot.folder / "kept").read_text() == out
    lines = [json.loads(line) for line in moot("export", run, "--format", "jsonl").out.splitlines()]
    assert all(set(e) == set("v seq ts run turn attempt type participant span data".split()) for e in lines)
    refused = moot("export", run, "-o", "nowhere/kept")
    assert (refused.code, refused.out) == (2, "")


def test_the_ending_of_a_files_name_says_which_format_is_meant(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    for name, begins in {
        "a.html": "<!doctype html>",
        "b.HTM": "<!doctype html>",
        "c.md": "# Run ",
        "d.markdown": "# Run ",
        "e.jsonl": '{"v": ',
        "f.mmd": "sequenceDiagram\n",
        "g.mermaid": "sequenceDiagram\n",
        "without": "# Run ",
    }.items():
        done = moot("export", run, "-o", name)
        assert (done.code, done.out, done.err) == (0, "", "")
        assert (moot.folder / name).read_text().startswith(begins)
    assert moot("export", run, "--format", "html", "-o", "kept.txt").code == 0
    assert (moot.folder / "kept.txt").read_text() == (moot.folder / "a.html").read_text()
    assert moot("export", run, "--format", "html").out == (moot.folder / "a.html").read_text()


def test_an_ending_that_means_no_format_is_refused_and_nothing_is_written(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    done = moot("export", run, "-o", "run.pdf")
    assert (done.code, done.out) == (2, "")
    assert "no format is known by the ending .pdf of run.pdf: give --format, or one of .md, " in done.err
    assert not (moot.folder / "run.pdf").exists()


def test_a_run_whose_chat_file_is_gone_is_written_down_all_the_same(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    for file in ("duet.yaml", "play.yaml"):
        (moot.folder / file).unlink()
    for form, words in {"html": "agreed", "md": "agreed", "jsonl": "agreed", "mermaid": "DONE#58; agreed"}.items():
        done = moot("export", run, "--format", form)
        assert (done.code, words in done.out) == (0, True)


@pytest.mark.parametrize("text", ["It seems so", HOSTILE])
async def test_a_run_with_any_words_in_it_is_shown_and_written_down_without_their_power(moot: Moot, text: str) -> None:
    (moot.folder / "home").mkdir()
    store = SqliteStore(moot.folder / "home" / "moot.db")
    await store.create("01run", "chat")
    await store.append(await store.claim("01run", new_owner()), 0, await everything(text, store), "finished")
    await store.close()
    shown = moot("runs", "show", "01run")
    assert (shown.code, shown.err) == (0, "")
    assert "cost of select (picking the speakers): 18 tok, $1.00" in shown.out
    usage = moot("runs", "show", "01run", "--json").json["usage"]["by_participant"]
    assert list(usage) == ["ann", "bob", text, "select"]
    assert usage["select"] == {"input_tokens": 14, "output_tokens": 4, "usd": 1.0, "priced": True}
    written = [moot("export", "01run", "--format", form) for form in ("html", "md", "jsonl", "mermaid")]
    assert [done.code for done in written] == [0] * 4
    assert Page(written[0].out).wrong == []
    for done in (shown, *written):
        assert not re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", done.out)


def test_who_spoke_after_whom_is_shown_as_a_table_and_where_there_is_no_room_as_a_list(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    wide = moot("runs", "show", run).out
    assert re.search(r"after +● ann +▲ bob", wide)
    assert re.search(r"\(beginning\) +1 *\n +● ann +2 *\n +▲ bob +1 *\n", wide)
    narrow = moot("runs", "show", run, COLUMNS="28").out
    for line in ("  ● ann first: 1 time", "  ▲ bob after ann: 2 times", "  ● ann after bob: 1 time"):
        assert line in narrow.splitlines()
    assert moot("runs", "show", run, "--json").json["followed"] == [
        {"after": None, "spoke": "ann", "times": 1},
        {"after": "ann", "spoke": "bob", "times": 2},
        {"after": "bob", "spoke": "ann", "times": 1},
    ]


def test_a_journal_that_was_changed_is_found_out(moot: Moot) -> None:
    kept, changed = (moot("run", "duet.yaml", "--json").json["run"] for _ in range(2))
    assert moot("verify", "--all").code == 0
    with sqlite3.connect(moot.folder / "home" / "moot.db") as db:
        sql = (
            "UPDATE event SET data = replace(data, 'not yet', 'oh yes') WHERE type = 'turn.finished' "
            "AND run = (SELECT id FROM run WHERE name = ?)"
        )
        assert db.execute(sql, (changed,)).rowcount == 4
    db.close()
    done = moot("verify", "--all", "--json")
    assert done.code == 1
    found = {one["run"]: one for one in done.json}
    assert found[kept] == {"run": kept, "ok": True, "problems": []}
    assert "digest" in found[changed]["problems"][0]
    plain = moot("verify", changed)
    assert plain.code == 1
    assert plain.out.startswith("damaged")
    assert "digest" in plain.err


def test_a_change_of_any_row_is_found_out(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    path = moot.folder / "home" / "moot.db"
    whole = path.read_bytes()
    assert not path.with_name("moot.db-wal").exists()
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT seq, type FROM event ORDER BY seq").fetchall()
    db.close()
    kinds = {kind for _, kind in rows}
    assert {"run.created", "effect.completed", "turn.finished", "run.finished"} <= kinds
    for kind, seq in {kind: seq for seq, kind in rows}.items():
        with sqlite3.connect(path) as db:
            sql = "UPDATE event SET data = json_set(data, '$.more', 1) WHERE seq = ?"
            assert db.execute(sql, (seq,)).rowcount == 1
        db.close()
        done = moot("verify", run)
        assert done.code == 1, kind
        assert "changed after it was written" in done.err
        path.write_bytes(whole)
    assert moot("verify", run).code == 0


def test_a_result_that_the_transcript_does_not_give_is_told(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    with sqlite3.connect(moot.folder / "home" / "moot.db") as db:
        sql = "UPDATE event SET data = json_set(data, '$.result', 'war') WHERE type = 'run.finished'"
        assert db.execute(sql).rowcount == 1
    db.close()
    (found,) = moot("verify", run, "--json").json
    rows, result = found["problems"]
    assert "changed after it was written" in rows
    assert result.endswith("claims another result than the transcript gives: 'agreed'")


def test_the_plan_starts_nothing_and_names_what_is_missing(moot: Moot) -> None:
    plan = moot("plan", "duet.yaml", "--model", "openai/gpt-5-mini", "--set", "limits.usd=1.5", "--json")
    assert plan.code == 0, plan.err
    found = plan.json
    assert (found["most_usd"], found["most_usd_why"]) == (1.5, "limits.usd")
    assert ["OPENAI_API_KEY" in p["missing"] for p in found["participants"]] == [True, True]
    assert found["asks_people"] == []
    text = moot("plan", "research").out
    for words in ("playbook:research (scripted)", "moot/python:1", "6 rounds, $2.00", "at most $0.00", "auto-mpg.csv"):
        assert words in text
    assert not (moot.folder / "home").exists()


def test_a_template_becomes_a_folder_that_runs_and_is_never_overwritten(moot: Moot) -> None:
    made = moot("init", "research", "mine")
    assert made.code == 0, made.err
    assert (moot.folder / made.out.splitlines()[0]).name == "chat.yaml"
    assert "playbook:playbook.yaml" in (moot.folder / "mine" / "chat.yaml").read_text()
    (moot.folder / "mine" / "chat.yaml").write_text("# mine\n")
    again = moot("init", "research", "mine")
    assert again.code == 2
    assert "nothing was written" in again.err
    assert (moot.folder / "mine" / "chat.yaml").read_text() == "# mine\n"
    assert moot("init", "research", "other").code == 0
    assert moot("validate", "other/chat.yaml").code == 0
    assert moot("run", "other/chat.yaml", "--sandbox", "none", "--display", "none").code == 6


def test_both_schemas_are_json(moot: Moot) -> None:
    chat, events = moot("schema").json, moot("schema", "events").json
    assert chat["properties"]["version"]["const"] == 1
    assert {"run.created", "run.finished", "code.finished"} <= set(events["types"])


def test_the_doctor_names_what_is_wrong(moot: Moot) -> None:
    done = moot("doctor", "--json", DOCKER_HOST="unix:///nowhere/docker.sock", OPENAI_API_KEY="sk-secret")
    assert (done.code, done.json["exit_code"]) == (6, 6)
    checks = {c["name"]: c for c in done.json["checks"]}
    assert not checks["sandbox"]["ok"]
    assert checks["python"]["ok"]
    assert "sk-secret" not in done.out + done.err
    assert moot("doctor", MOOT_HOME="/proc/none").code == 1


def test_the_version_is_the_package_version(moot: Moot) -> None:
    from moot import __version__

    assert moot("--version").out == f"moot {__version__}\n"


VERBS = "demo init run resume validate schema plan runs export verify models sandbox doctor completion".split()


@pytest.mark.parametrize(
    "verb",
    [*VERBS, "runs list", "runs show", "models list", "models test", "sandbox build", "sandbox check", "sandbox prune"],
)
def test_every_verb_has_help_with_an_example(moot: Moot, verb: str) -> None:
    done = moot(*verb.split(), "--help", COLUMNS="120")
    assert done.code == 0
    assert f"Example: moot {verb}" in done.out
    assert done.err == ""


def test_help_names_every_verb_and_loads_nothing_heavy(moot: Moot) -> None:
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted({n.split('.')[0] for n in sys.modules}), file=sys.stderr))\n"
        "sys.argv[:] = ['moot', '--help']\n"
        "import moot.cli\n"
        "moot.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=moot.env, check=False, cwd=moot.folder
    )
    assert done.returncode == 0
    assert [verb for verb in VERBS if f"│ {verb} " not in done.stdout] == []
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert loaded & {"autogen_core", "autogen_agentchat", "docker", "openai", "pydantic", "sqlite3", "yaml"} == set()
