"""Ctrl-C at any moment: once, after this turn; twice, now. In both cases the run can be resumed."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Model, Moot


def rows(moot: Moot) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = moot("runs", "list", "--json").json
    return found


def test_the_first_ctrl_c_lets_the_turn_end_and_says_how_to_go_on(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.started("run", "slow.yaml") as run:
        model.was_asked()
        run.signal(signal.SIGINT)
        run.until("stopping after this turn; Ctrl-C again stops now")
        model.answers.put("the only turn")
        done = run.ended()
    (row,) = rows(moot)
    assert done.code == 130
    assert done.out == ""
    assert "the only turn" in done.err
    assert f"moot resume {row['run'][:11]}" in done.err
    assert (row["status"], row["turns"]) == ("paused", 1)
    assert model.asked.empty()


def test_a_run_that_was_left_goes_on_where_it_was(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.started("run", "slow.yaml") as run:
        model.was_asked()
        run.signal(signal.SIGINT)
        run.until("stopping after this turn")
        model.answers.put("first words")
        run.ended()
    (row,) = rows(moot)
    model.answers.put("DONE: yes")
    again = moot("resume", row["run"][:8])
    assert again.code == 0, again.err
    assert again.out == "yes\n"
    assert "resumed: goes on with turn 2" in again.err
    assert "first words" not in again.err
    assert "first words" in str(model.asked.get())
    finished = moot("resume", row["run"])
    assert finished.code == 2
    assert "is finished (goal" in finished.err


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP]])
def test_the_second_ctrl_c_and_the_signals_that_end_stop_in_the_middle_of_the_turn(
    moot: Moot, model: Model, signals: list[int]
) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.started("run", "slow.yaml", "--json") as run:
        model.was_asked()
        if len(signals) == 2:
            run.signal(signals[0])
            run.until("stopping after this turn")
        run.signal(signals[-1])
        done = run.ended()  # the model has not answered
    (row,) = rows(moot)
    assert done.code == 130, done.err
    assert (done.json["outcome"], done.json["status"], done.json["exit_code"]) == (None, "paused", 130)
    assert "stopping now" in done.err
    assert f"moot resume {row['run'][:11]}" in done.err
    assert (row["status"], row["turns"]) == ("paused", 0)
    for answer in ("to the one who has gone", "from ann", "DONE: later"):
        model.answers.put(answer)
    assert moot("resume", row["run"]).out == "later\n"


def test_a_run_that_ends_with_the_turn_is_finished_not_interrupted(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    model.answers.put("nothing")
    with moot.started("run", "slow.yaml") as run:
        model.was_asked()
        model.was_asked()
        run.signal(signal.SIGINT)
        run.until("stopping after this turn")
        model.answers.put("DONE: it was the last turn")
        done = run.ended()
    assert (done.code, done.out) == (0, "it was the last turn\n")


def test_ctrl_c_at_a_terminal_once_and_twice(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.at_a_terminal("run", "slow.yaml") as terminal:
        model.was_asked()
        terminal.press(b"\x03")
        terminal.until("stopping after this turn; Ctrl-C again stops now")
        terminal.press(b"\x03")
        assert terminal.ended() == 130
    assert "moot resume" in terminal.text
    assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h") == 1  # the cursor is shown again
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("at", ["moot.cli.driving", "moot.chats.run", "moot.agents.models"])
def test_ctrl_c_before_the_first_turn_ends_without_a_traceback(moot: Moot, at: str) -> None:
    """Interrupted exactly when a module is imported, which happens at known moments before the run begins."""
    hook = (
        "import os, signal, sys\n"
        "class Once:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {at!r}:\n"
        "            sys.meta_path.remove(self)\n"
        "            print('interrupting', file=sys.stderr, flush=True)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Once())\n"
        "import moot.cli\n"
        "sys.argv[:] = ['moot', 'run', 'duet.yaml']\n"
        "moot.cli.main()\n"
    )
    moot.write("hook.py", hook)
    done = moot.python("hook.py")
    assert "interrupting" in done.err
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize("verb", [["run", "research"], ["doctor"], ["sandbox", "check"], ["sandbox", "prune"]])
def test_an_engine_that_never_answers_does_not_hold_up_ctrl_c(moot: Moot, verb: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        address = f"tcp://127.0.0.1:{engine.getsockname()[1]}"
        with moot.started(*verb, DOCKER_HOST=address) as waiting:
            asked, _ = engine.accept()
            with asked:
                waiting.signal(signal.SIGINT)
                done = waiting.ended()
    assert done.code == 130
    assert done.err.startswith("interrupted")
    assert len(done.err.splitlines()) == 1
    assert moot("runs", "list", "--json").json == []


def test_an_engine_that_stops_answering_does_not_hold_up_a_run_that_is_to_stop(moot: Moot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        address = f"tcp://127.0.0.1:{engine.getsockname()[1]}"
        with moot.started("demo", DOCKER_HOST=address) as run:
            asked, _ = engine.accept()
            with asked:
                run.until("next: executor")
                run.signal(signal.SIGTERM)
                done = run.ended()
    assert done.code == 130
    assert "moot resume" in done.err
    (row,) = rows(moot)
    assert row["status"] == "paused"
