"""Ending a block before it ends by itself: time, a person, too much output, too little memory."""

import asyncio

import pytest

from moot.sandbox.box import Box
from moot.sandbox.execution import Execution

STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('deaf')\nwhile True: time.sleep(1)"
)


async def started(box: Box, code: str, language: str = "python") -> asyncio.Task[Execution]:
    """A running block that has already printed something."""
    seen = asyncio.Event()
    running = asyncio.create_task(box.run(code, language, on_output=lambda stream, text: seen.set()))
    waiting = asyncio.create_task(seen.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert seen.is_set(), running
    return running


async def test_a_timeout_keeps_the_output_and_the_variables(box: Box) -> None:
    done = await box.run("kept = 1\nprint('before')\nwhile True: pass", timeout_seconds=0.2)
    assert (done.exit_code, done.timed_out, done.interrupted, done.state_lost) == (124, True, False, False)
    assert done.stdout == "before\n"
    assert "KeyboardInterrupt" in done.stderr
    assert (await box.run("kept")).value == "1"


async def test_a_block_that_ignores_the_request_to_stop_is_ended_and_variables_are_lost_once(box: Box) -> None:
    await box.put("in.txt", b"kept")
    done = await box.run("lost = 1\n" + STUBBORN, timeout_seconds=0.2)
    assert (done.exit_code, done.timed_out, done.state_lost, done.stdout) == (124, True, True, "deaf\n")
    after = await box.run("open('in.txt').read(), 'lost' in globals()")
    assert (after.value, after.state_lost) == ("('kept', False)", False)


@pytest.mark.parametrize(
    "script", ["echo on; sleep 60", "echo on; while :; do :; done", "trap '' INT; echo on; sleep 60"]
)
async def test_a_shell_block_is_stopped_too_and_costs_no_variables(box: Box, script: str) -> None:
    await box.run("kept = 1")
    done = await box.run(script, "bash", timeout_seconds=0.2)
    assert (done.exit_code, done.timed_out, done.state_lost, done.stdout) == (124, True, False, "on\n")
    assert (await box.run("kept")).value == "1"


async def test_an_interrupt_ends_the_block_and_keeps_the_variables(box: Box) -> None:
    running = await started(box, "kept = 1\nprint('on')\nwhile True: pass")
    await box.interrupt()
    done = await running
    assert (done.exit_code, done.interrupted, done.timed_out, done.stdout) == (130, True, False, "on\n")
    assert (await box.run("kept")).value == "1"


async def test_a_block_that_shuts_signals_out_cannot_do_so_for_the_next(box: Box) -> None:
    await box.run("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nkept = 1")
    done = await box.run("while True: pass", timeout_seconds=0.2)
    assert (done.timed_out, done.state_lost) == (True, False)


@pytest.mark.parametrize(
    ("code", "exit_code", "word"),
    [
        ("import os; print('last', flush=True); os._exit(7)", 7, "[the interpreter ended with exit code 7]\n"),
        ("import os; print('last', flush=True); os.abort()", 134, "[the interpreter was killed by SIGABRT]\n"),
    ],
)
async def test_how_the_interpreter_died_is_told(box: Box, code: str, exit_code: int, word: str) -> None:
    done = await box.run(code)
    assert (done.exit_code, done.stdout, done.stderr, done.state_lost) == (exit_code, "last\n", word, True)
    assert (await box.run("1")).state_lost is False


async def test_an_interrupt_with_nothing_running_is_nothing(box: Box) -> None:
    await box.interrupt()
    done = await box.run("1 + 1")
    assert (done.value, done.interrupted) == ("2", False)


async def test_cancelling_interrupts_the_block_and_the_box_can_be_used_on(box: Box) -> None:
    running = await started(box, "kept = 1\nopen('made.txt', 'w').write('m')\nprint('on')\nwhile True: pass")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    done = await box.run("kept")
    assert (done.value, done.interrupted) == ("1", False)
    assert [artifact.name for artifact in done.artifacts] == ["made.txt"], "what the cancelled block made is not lost"


async def test_cancelling_a_block_that_ignores_it_lets_the_next_one_run(box: Box) -> None:
    running = await started(box, STUBBORN)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    done = await box.run("1 + 1")
    assert (done.value, done.state_lost) == ("2", True)


async def test_two_blocks_at_once_take_turns(box: Box) -> None:
    first, second = await asyncio.gather(box.run("x = 1\nimport time; time.sleep(0.05)\nx = 2"), box.run("x"))
    assert (first.ok, second.value) == (True, "2")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
async def test_a_timeout_that_is_none_is_refused(box: Box, seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout_seconds"):
        await box.run("1", timeout_seconds=seconds)


async def test_endless_output_is_stopped(box: Box) -> None:
    done = await box.run("while True: print('y' * 1000)")
    assert (done.truncated, done.timed_out, done.ok) == (True, False, False)
    assert "[stopped: the block printed more than 32.0 MiB]" in done.stderr
    assert len(done.stdout) < 70_000
    assert (await box.run("1 + 1")).value == "2"


async def test_running_out_of_memory_is_told_and_files_are_kept(box: Box) -> None:
    await box.put("in.txt", b"kept")
    done = await box.run("x = bytearray(1 << 30)")
    assert (done.exit_code, done.oom, done.state_lost) == (137, True, True)
    assert done.stderr == "[the interpreter was killed by SIGKILL]\n"
    after = await box.run("open('in.txt').read()")
    assert (after.value, after.oom, after.state_lost) == ("'kept'", False, False)


async def test_a_child_out_of_memory_costs_no_variables(box: Box) -> None:
    await box.run("kept = 1")
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'bytearray(1 << 30)']).returncode"
    done = await box.run(code)
    assert (done.value, done.oom, done.state_lost) == ("-9", True, False)
    assert (await box.run("kept")).value == "1"


async def test_what_a_block_leaves_running_is_ended_with_it(box: Box) -> None:
    started_it = "import subprocess; p = subprocess.Popen(['sleep', '600']); p.pid"
    done = await box.run(started_it)
    assert done.strays_killed == 1
    assert (await box.run("p.wait()")).value == "-9"
    shell = await box.run("(trap '' HUP; setsid sleep 600) & echo $!", "bash")
    assert shell.strays_killed >= 1
    alive = await box.run("import os; [d for d in os.listdir('/proc') if d.isdigit()].__len__()")
    assert alive.value == "2"
