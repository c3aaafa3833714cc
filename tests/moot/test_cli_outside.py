"""What one process sees and asks of a run that another one drives."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from moot.sandbox.owner import LABEL_RUN

if TYPE_CHECKING:
    from tests.moot.conftest import Model, Moot, Process

UNDER_WAY = "next: ann"
SLEEPER = """
version: 1
name: sleeper
parts:
  coder:
    - say: |
        ```python
        import time
        print("the block has begun", flush=True)
        time.sleep(600)
        ```
"""
SLEEPING = """
version: 1
name: sleeping
task: "Sleep."
model: playbook:sleeper.yaml
participants:
  coder: {role: assistant, instructions: "Code."}
  executor: {role: executor, runs_code_from: [coder]}
limits: {turns: 4}
"""


def row(moot: Moot) -> dict[str, Any]:
    (found,) = moot("runs", "list", "--json").json
    assert isinstance(found, dict)
    return found


def shown(moot: Moot) -> dict[str, Any]:
    found = moot("runs", "show", row(moot)["run"], "--json").json
    assert isinstance(found, dict)
    return found


@contextmanager
def under_way(moot: Moot, model: Model) -> Iterator[tuple[Process, str]]:
    """A run whose first turn waits for its model, and its id."""
    moot.write("slow.yaml", model.chat_file.replace("turns: 6", "turns: 40"))
    with moot.started("run", "slow.yaml") as run:
        run.until(UNDER_WAY)
        model.was_asked()
        yield run, row(moot)["run"]


def kill(run: Process) -> None:
    run.popen.kill()
    run.ended()


def until_left(model: Model, run: Process) -> int:
    """Let turns end until their driver has noticed what was asked of it; how many it took."""
    turns = 0
    while True:
        turns += 1
        model.answers.put(f"words of turn {turns}")
        while run.popen.poll() is None:
            with contextlib.suppress(queue.Empty):
                model.asked.get(timeout=0.1)
                break
        else:
            return turns


def until_heard(model: Model, text: str) -> str:
    """Let turns end until a model is told that; all that it is told."""
    while text not in (heard := str(model.was_asked())):
        model.answers.put("not yet")
    return heard


def test_a_run_is_listed_and_shown_as_running_while_it_is(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        assert (row(moot)["status"], shown(moot)["status"]) == ("running", "running")
        text = moot("runs", "show", name).out
        assert f"it goes on in another process: moot watch {name[:11]}" in text
        assert "nobody drives it" not in text
        kill(run)
    assert row(moot)["status"] == "paused"  # it was killed


def test_stop_now_ends_the_run_in_the_middle_of_a_turn_for_good(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        asked = moot("stop", name, "--now", "--reason", "wrong data", "--by", "eve", "--wait")
        done = run.ended()  # the model has not answered
    assert asked.code == 0, asked.err
    assert f"run {name[:11]} ended (stopped: stopped by eve: wrong data)" in asked.err
    assert asked.out == ""
    assert done.code == 9, done.err
    assert "eve asked to stop now: wrong data" in done.err
    assert "■ stopped: stopped by eve: wrong data (rule command.stop" in done.err
    assert "moot resume" not in done.err
    found = shown(moot)
    assert (found["status"], found["outcome"], found["exit_code"]) == ("finished", "stopped", 9)
    assert moot("verify", name).code == 0
    assert "is finished (stopped" in moot("resume", name).err


def test_stop_ends_the_run_after_the_turn_that_is_under_way(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        asked = moot("stop", name)
        assert asked.err == f"run {name[:11]} ends after the turns that are under way\n"
        turns = until_left(model, run)
        done = run.ended()
    assert done.code == 9, done.err
    assert f"words of turn {turns}" in done.err
    assert row(moot)["turns"] == turns


@pytest.mark.parametrize("now", [True, False])
def test_a_pause_leaves_the_run_where_it_can_be_resumed(moot: Moot, model: Model, now: bool) -> None:
    with under_way(moot, model) as (run, name):
        asked = moot("pause", name, *(["--now"] if now else []), "--by", "eve", "--json")
        turns = 0 if now else until_left(model, run)
        done = run.ended()
    assert (asked.json["do"], asked.json["command"], asked.json["taken"]) == ("pause", 1, None)
    assert (asked.json["driven"], asked.json["status"]) == (True, "running")
    assert done.code == 4, done.err
    assert f"eve asked to pause{' now' if now else ''}" in done.err
    assert "‖ paused: asked to pause by eve" in done.err
    assert f"to go on: moot resume {name[:11]}" in done.err
    assert (row(moot)["status"], row(moot)["turns"]) == ("paused", turns)
    for answer in ["to the one who has gone", "from ann"][: 2 * now] + ["DONE: later"] * 2:
        model.answers.put(answer)
    assert moot("resume", name).out == "later\n"
    assert moot("verify", name).code == 0


def test_a_run_that_nobody_drives_is_ended_by_whoever_asks(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        kill(run)
    left = moot("pause", name)
    assert left.code == 0
    assert f"nobody drives run {name[:11]}: it is left already; to go on: moot resume {name[:11]}" in left.err
    asked = moot("stop", name, "--by", "eve", "--json")
    assert asked.code == 0, asked.err
    assert (asked.json["taken"], asked.json["status"], asked.json["outcome"]) == (True, "finished", "stopped")
    assert moot("verify", name).code == 0, moot("verify", name).err
    assert [note["kind"] for note in shown(moot)["notes"]][-1] == "stop"
    again = moot("stop", name)
    assert again.code == 2
    assert f"run {name[:11]} is over (stopped: stopped by eve); nothing can be asked of it any more" in again.err


def test_what_is_said_is_heard_before_the_next_turn_by_those_it_is_meant_for(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        everybody = moot("say", name, "use the \x1b[31msecond table", "--by", "eve")
        assert everybody.err == "it is heard after the turns that are under way\n"
        moot("say", name, "only you", "--to", "bob")
        model.answers.put("first words")
        until_heard(model, "second table")
        model.answers.put("more words")
        until_heard(model, "only you")
        with moot.started("say", name, "and once more", "--wait") as waiting:
            while not any("once more" in str(n) for n in posted(moot, name)):
                assert waiting.popen.poll() is None
            model.answers.put("not yet")
            until_heard(model, "once more")
            said = waiting.ended()
        for answer in ("DONE: agreed", "DONE: agreed"):
            model.answers.put(answer)
        done = run.ended()
    told = {False: 0, True: 0}
    for event in moot("export", name, "--format", "jsonl").out.splitlines():
        told["only you" in event and '"type": "human.message"' in event] += 1
    assert told[True] == 1
    assert said.code == 0
    assert "it was said" in said.err
    assert done.code == 0, done.err
    assert "» eve to everybody\n      use the second table" in done.err
    assert "to bob\n      only you" in done.err
    assert "\x1b[31m" not in done.err
    text = moot("export", name).out
    assert "> said: eve to everybody" in text
    assert "only you" in text


def posted(moot: Moot, name: str) -> list[str]:
    """What was asked of a run, whether anybody has taken it in or not."""
    program = (
        "import asyncio, sys\n"
        "from moot.chats.home import open_store\n"
        "async def main():\n"
        "    store, _ = open_store()\n"
        "    for one in await store.posted(sys.argv[1]): print(one.command)\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    return moot.python("-c", program, name).out.splitlines()


def test_what_cannot_be_said_is_refused_before_anything_is_posted(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        for args, words in (
            (["say", name, "  "], "there is nothing in it to say"),
            (["say", name, "hello", "--to", "bobb"], "'bobb' is no participant of run"),
            (["say", "zzz", "hello"], "no run begins with 'zzz'"),
            (["stop", "zzz"], "no run begins with 'zzz'"),
            (["watch", "zzz"], "no run begins with 'zzz'"),
        ):
            done = moot(*args)
            assert done.code == 2
            assert words in done.err
            assert len(done.err.splitlines()) == 1
        assert posted(moot, name) == []
        kill(run)


def test_a_run_that_is_left_hears_when_it_goes_on(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        moot("pause", name, "--now", "--wait")
        run.ended()
    said = moot("say", name, "-", "--wait")
    assert (said.code, said.err) == (2, "error: there is nothing in it to say\n")
    said = moot("say", name, "mind the gap", "--wait")
    assert said.code == 4
    assert said.err == (
        f"nobody drives run {name[:11]} just now: it is heard when the run goes on: moot resume {name[:11]}\n"
    )
    for answer in ("to the one who has gone", "from ann", "DONE: later"):
        model.answers.put(answer)
    assert moot("resume", name).code == 0
    model.was_asked()  # the turn that was cut off is given what it was given before
    assert "mind the gap" in str(model.was_asked())


def test_a_watcher_sees_what_the_driver_shows_and_ends_as_the_run_does(moot: Moot, model: Model) -> None:
    with (
        under_way(moot, model) as (run, name),
        moot.started("watch", name) as watching,
        moot.started("watch", name, "--json") as other,
    ):
        watching.until(UNDER_WAY)
        model.answers.put("some words of ann")
        watching.until("some words of ann")
        model.answers.put("DONE: agreed")
        done, seen, told = run.ended(), watching.ended(), other.ended()
    assert (done.code, seen.code, told.code) == (0, 0, 0)
    assert seen.out == done.out == "agreed\n"
    ends = "✔ goal: "
    assert ends in seen.err
    assert told.json["result"] == "agreed"
    assert told.json["run"] == name
    bare = re.compile(r"\d+\.\ds|moot (?:export|fork).*\n|  file .*\n")
    assert bare.sub("", seen.err).split() == bare.sub("", done.err).split()


def test_a_watcher_of_the_tail_is_told_what_is_under_way_and_no_more(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        model.answers.put("words of the past")
        model.was_asked()
        with moot.started("watch", name, "--tail") as watching:
            watching.until("run " + name[:11])
            model.answers.put("DONE: agreed")
            seen = watching.ended()
        run.ended()
    assert seen.code == 0
    assert "words of the past" not in seen.err
    assert "agreed" in seen.err


def test_a_watcher_is_told_that_the_run_was_left_or_that_its_process_is_gone(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name), moot.started("watch", name) as watching:
        watching.until(UNDER_WAY)
        kill(run)
        seen = watching.ended()
    assert seen.code == 4
    assert "‖ paused: nobody drives it" in seen.err
    assert f"nobody drives it: its process ended without a word; to go on: moot resume {name[:11]}" in seen.err
    again = moot("watch", name, "--json")
    assert again.code == 4
    assert (again.json["status"], again.json["exit_code"]) == ("paused", 4)


def test_ctrl_c_stops_watching_and_not_the_run(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        with moot.started("watch", name) as watching:
            watching.until(UNDER_WAY)
            watching.signal(signal.SIGINT)
            seen = watching.ended()
        assert seen.code == 130
        assert f"stopped watching; the run goes on: moot watch {name[:11]}" in seen.err
        assert "Traceback" not in seen.err
        model.answers.put("on it goes")
        model.answers.put("DONE: agreed")
        assert run.ended().code == 0


def test_a_watcher_at_a_terminal_gives_it_back(moot: Moot, model: Model) -> None:
    with under_way(moot, model) as (run, name):
        with moot.at_a_terminal("watch", name) as terminal:
            terminal.until("thinking")
            terminal.press(b"\x03")
            assert terminal.ended() == 130
        assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h") == 1
        assert "stopped watching" in terminal.text
        for answer in ("on it goes", "DONE: agreed"):
            model.answers.put(answer)
        run.ended()


def test_a_finished_run_can_be_watched_as_if_it_went_on(moot: Moot) -> None:
    done = moot("run", "duet.yaml")
    name = row(moot)["run"]
    seen = moot("watch", name)
    assert (seen.code, seen.out) == (0, "agreed\n")
    assert "hello from ann" in seen.err
    lines = moot("watch", name, "--display", "jsonl").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [*range(1, len(lines) + 1)]
    assert done.out == seen.out


@pytest.mark.parametrize(("verb", "code", "status"), [("stop", 9, "finished"), ("pause", 4, "paused")])
def test_a_block_of_code_that_is_cut_off_leaves_no_sandbox(moot: Moot, verb: str, code: int, status: str) -> None:
    moot.write("sleeper.yaml", SLEEPER)
    moot.write("sleeping.yaml", SLEEPING)
    with moot.at_a_terminal("run", "sleeping.yaml", rows=40) as terminal:
        terminal.until("the block has begun\r\n")
        name = row(moot)["run"]
        assert sandboxes(name) == 1
        asked = moot(verb, name, "--now", "--wait")
        assert asked.code == 0, asked.err
        assert terminal.ended() == code
    assert sandboxes(name) == 0
    assert row(moot)["status"] == status


def sandboxes(run: str) -> int:
    import docker

    with closing(docker.from_env()) as client:
        return len(client.api.containers(all=True, filters={"label": f"{LABEL_RUN}={run}"}))
