"""How the process ends: with the run's own exit code, and never without a word on how to go on."""

from __future__ import annotations

import resource
import signal
import socket
import sqlite3
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Model, Moot

LATE = """
import atexit, os, signal, sys

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    os.write(2, b"interrupted\\n")

class Out:
    def __init__(self, real):
        self.real = real
    def write(self, text):
        interrupt()
        return self.real.write(text)
    def flush(self):
        interrupt()
        self.real.flush()
    def __getattr__(self, name):
        return getattr(self.real, name)

moment, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = "moot"
if moment == "result":
    sys.stdout = Out(sys.stdout)
elif moment == "exit":
    atexit.register(interrupt)
import moot.cli
moot.cli.main()
"""


@pytest.mark.parametrize("moment", ["result", "exit"])
@pytest.mark.parametrize(("args", "code"), [([], 0), (["--turns", "1", "--json"], 3)])
def test_ctrl_c_after_the_run_has_ended_does_not_change_how_it_ended(
    moot: Moot, moment: str, args: list[str], code: int
) -> None:
    moot.write("late.py", LATE)
    done = moot.python("late.py", moment, "run", "duet.yaml", *args)
    assert "interrupted\n" in done.err
    assert done.code == code, done.err
    assert done.out == "agreed\n" if not args else done.json["outcome"] == "limit"
    assert "Traceback" not in done.err
    assert "KeyboardInterrupt" not in done.err


def test_a_reader_that_never_reads_can_be_left_with_the_runs_own_code(moot: Moot) -> None:
    """The result does not fit the pipe: only when Ctrl-C is insisted on the process is left."""
    moot.write("play.yaml", (moot.folder / "play.yaml").read_text().replace("agreed", "agreed " + "x" * 200_000))
    with moot.started("run", "duet.yaml") as run:
        run.until("goal: ")
        assert run.popen.stdout is not None
        assert run.popen.stdout.read(6) == b"agreed"  # it has begun to write, and the pipe is full
        while run.popen.poll() is None:
            run.signal(signal.SIGINT)
        run.go_away()
        assert run.popen.returncode == 0


def test_more_than_two_ctrl_c_leave_at_once_and_say_how_to_go_on(moot: Moot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        address = f"tcp://127.0.0.1:{engine.getsockname()[1]}"
        with moot.started("demo", "--json", "--display", "none", DOCKER_HOST=address) as run:
            asked, _ = engine.accept()
            with asked:
                run.signal(signal.SIGINT)
                run.until("stopping after this turn")
                run.signal(signal.SIGINT)
                run.until("stopping now")
                while run.popen.poll() is None:
                    run.signal(signal.SIGINT)
                done = run.ended()
    (row,) = moot("runs", "list", "--json").json
    assert done.code == 130
    assert f"run {row['run']}; to go on: moot resume {row['run'][:4]}" in done.err
    assert row["status"] == "paused"


@pytest.mark.parametrize("args", [[], ["--json", "--display", "none"], ["--display", "jsonl"]])
def test_a_disk_that_is_full_ends_with_1_and_says_how_to_go_on(moot: Moot, model: Model, args: list[str]) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.started("run", "slow.yaml", *args) as run:
        model.was_asked()
        size = max(path.stat().st_size for path in (moot.folder / "home").iterdir() if path.is_file())
        resource.prlimit(run.popen.pid, resource.RLIMIT_FSIZE, (size, size))  # no file may grow any more
        model.answers.put("words that find no room " * 10_000)
        done = run.ended()
    (row,) = moot("runs", "list", "--json").json
    assert done.code == 1, done.err
    assert "error: " in done.err
    assert f"run {row['run']}; to go on: moot resume {row['run'][:4]}" in done.err
    for answer in ("from ann", "DONE: now there is room"):
        model.answers.put(answer)
    again = moot("resume", row["run"])
    assert again.out == "now there is room\n", again.err


def test_a_run_that_another_process_took_over_is_not_to_be_resumed(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.started("run", "slow.yaml") as run:
        model.was_asked()
        (row,) = moot("runs", "list", "--json").json
        with sqlite3.connect(moot.folder / "home" / "moot.db") as db:
            assert db.execute("UPDATE run SET epoch = epoch + 1").rowcount == 1
        db.close()
        model.answers.put("too late")
        done = run.ended()
    assert done.code == 1, done.err
    assert f"run {row['run']}: moot runs show" in done.err
    assert "to go on" not in done.err
