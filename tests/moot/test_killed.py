"""The main job, killed with SIGKILL around every commit of its journal and gone on with by another process.

Whatever is lost with the process, the answer is the same, nothing that was recorded is done again, and no container
stays.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from moot.chats.event_types import EffectCompleted, EffectUnknown, TurnFinished, Warned
from moot.chats.sqlite_store import SqliteStore

DRIVER = """
import asyncio, os, signal, sys
from pathlib import Path
from moot import load_chat
from moot.chats.sqlite_store import SqliteStore
from moot.chats.templates import template_file

class Killing(SqliteStore):
    commits = 0

    def append(self, claim, expected_head, events, status=None):
        self.commits += 1
        here = self.commits == int(sys.argv[2])
        if here and sys.argv[3] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().append(claim, expected_head, events, status)
        if here:
            done.add_done_callback(lambda _: os.kill(os.getpid(), signal.SIGKILL))
        return done

async def main():
    loaded = load_chat(template_file("research"))
    store = Killing(Path(sys.argv[1]) / "moot.db")
    run = await loaded.chat.start(loaded.task, store=store)
    await run.finish()
    print(store.commits)

asyncio.run(main())
"""
COMMITS = 10
"""At least as many as a run of the template makes: some share one, depending on which is ready first."""
EVERYWHERE = os.environ.get("MOOT_TEST_KILL_EVERYWHERE") == "1"
POINTS = [(n, when) for n in range(1, COMMITS + 1) for when in ("before", "after") if EVERYWHERE or when == "after"]


def drive(home: Path, commit: int, when: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", DRIVER, str(home), str(commit), when]
    return subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)


def moot(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program, environment = [sys.executable, "-m", "moot", *arguments], {**os.environ, "MOOT_HOME": str(home)}
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_points_reach_to_the_end_of_a_run(tmp_path: Path) -> None:
    undisturbed = drive(tmp_path, 0, "never")
    assert 6 <= int(undisturbed.stdout) <= COMMITS


@pytest.mark.parametrize(("commit", "when"), POINTS)
async def test_a_run_killed_at_a_commit_goes_on_to_the_same_answer(commit: int, when: str, tmp_path: Path) -> None:
    killed = drive(tmp_path, commit, when)
    if killed.returncode == 0:  # commits that share one left fewer: the run was over before its turn came
        assert int(killed.stdout) < commit
        return
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    store = SqliteStore(tmp_path / "moot.db")
    names = await store.names()
    if not names:  # killed before its first event was on disk: nothing had been shown, nothing is lost
        assert (commit, when) == (1, "before")
        await store.close()
        return
    (run,) = names
    over = any(e.type == "run.finished" for e in await store.load(run))
    going_on = moot(tmp_path, "resume", run, "--json")
    if over:
        assert going_on.returncode == 2
        assert "nothing to resume" in going_on.stderr
    else:
        assert going_on.returncode == 0, going_on.stderr
        answer = json.loads(going_on.stdout)
        assert answer["outcome"] == "goal"
        assert "r = -0.83" in answer["result"]
        assert answer["turns"] == 4
        assert [a["name"] for a in answer["artifacts"]] == ["plot.png"]
    events = await store.load(run)
    await store.close()
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert [e.turn for e in events if isinstance(e.data, TurnFinished)] == [1, 2, 3, 4]
    results = [(e.turn, e.span) for e in events if isinstance(e.data, EffectCompleted)]
    assert len(results) == len(set(results)), "no effect has two results"
    doubted = [e for e in events if isinstance(e.data, EffectUnknown)]
    assert not doubted or any(isinstance(e.data, Warned) for e in events), "what may have been done twice is told"
    assert moot(tmp_path, "verify", run).returncode == 0
