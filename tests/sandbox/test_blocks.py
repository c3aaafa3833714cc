"""What one block of code does and what is told of it. One box serves all the tests here: none of them may break it."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from moot.sandbox.box import Box
from moot.sandbox.docker import Docker
from moot.sandbox.protocol import MAX_CODE
from moot.sandbox.runner.worker import MAX_VALUE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(image: str) -> AsyncIterator[Box]:
    async with Docker(image=image, timeout_seconds=20).open(run="test") as opened:
        yield opened


async def test_variables_stay_from_block_to_block(box: Box) -> None:
    assert (await box.run("x = 20")).value is None
    assert (await box.run("x += 1\nx * 2")).value == "42"
    assert (await box.run("_")).value == "42"


async def test_a_failing_block_has_a_traceback_that_begins_in_its_own_code(box: Box) -> None:
    done = await box.run("def f():\n    return 1 / 0\nf()")
    assert done.exit_code == 1
    assert re.match(r'Traceback \(most recent call last\):\n  File "<block \d+>", line 3', done.stderr)
    assert "return 1 / 0" in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


async def test_a_syntax_error_names_the_line(box: Box) -> None:
    done = await box.run("a = 1\nb = = 2")
    assert (done.exit_code, done.ok) == (1, False)
    assert re.search(r'File "<block \d+>", line 2', done.stderr)
    assert "SyntaxError" in done.stderr


@pytest.mark.parametrize(
    ("code", "exit_code", "stderr"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('no good')", 1, "no good\n"),
        ("exit(256 + 4)", 4, ""),
    ],
)
async def test_sys_exit_ends_the_block_and_not_the_interpreter(
    box: Box, code: str, exit_code: int, stderr: str
) -> None:
    await box.run("kept = 1")
    done = await box.run(code)
    assert (done.exit_code, done.stderr, done.state_lost) == (exit_code, stderr, False)
    assert (await box.run("kept")).value == "1"


@pytest.mark.parametrize("language", ["bash", "sh"])
async def test_shells_run_in_the_workspace_and_leave_variables_alone(box: Box, language: str) -> None:
    await box.run("x = 1\nopen('seen.txt', 'w').write('yes')")
    done = await box.run("cat seen.txt; pwd; echo oh >&2; exit 3", language)
    assert (done.exit_code, done.stdout, done.stderr) == (3, "yes/workspace\n", "oh\n")
    assert (await box.run("x")).value == "1"


async def test_bash_is_bash_and_has_no_input(box: Box) -> None:
    done = await box.run("read -r line || echo none; a=(1 2 3); echo ${#a[@]}", "bash")
    assert done.stdout == "none\n3\n"


async def test_an_unknown_language_is_refused_with_those_that_are_known(box: Box) -> None:
    with pytest.raises(ValueError, match="cannot run 'rust'; a sandbox runs python, bash, sh"):
        await box.run("fn main() {}", "rust")


async def test_input_meets_the_end_of_the_file(box: Box) -> None:
    done = await box.run("input('name? ')")
    assert (done.exit_code, done.stdout) == (1, "name? ")
    assert "EOFError" in done.stderr


async def test_output_is_shown_as_it_comes_and_not_only_at_the_end(box: Box) -> None:
    """The block waits for a file that is only made once its first line has been seen outside."""
    seen = asyncio.Event()
    pieces: list[tuple[str, str]] = []

    def on_output(stream: str, text: str) -> None:
        pieces.append((stream, text))
        seen.set()

    code = "import os, time\nprint('waiting')\nwhile not os.path.exists('go'): time.sleep(0.005)\nprint('gone', end='')"
    running = asyncio.create_task(box.run(code, on_output=on_output))
    await seen.wait()
    assert pieces == [("stdout", "waiting\n")]
    await box.put("go", b"")
    assert (await running).stdout == "waiting\ngone"
    assert "".join(text for _, text in pieces) == "waiting\ngone"


async def test_a_mistake_in_the_callers_callback_is_the_callers_and_the_box_goes_on(box: Box) -> None:
    def on_output(stream: str, text: str) -> None:
        raise LookupError("a mistake")

    with pytest.raises(LookupError, match="a mistake"):
        await box.run("print('x')", on_output=on_output)
    assert (await box.run("1 + 1")).value == "2"


async def test_characters_that_are_cut_in_two_are_put_together(box: Box) -> None:
    shown: list[str] = []
    code = (
        "import os, time\nraw = '€'.encode()\nfor b in raw:\n    os.write(1, bytes([b]))\n    time.sleep(0.02)\n"
        "os.write(1, b'\\xff')"
    )
    done = await box.run(code, on_output=lambda stream, text: shown.append(text))
    assert done.stdout == "€\N{REPLACEMENT CHARACTER}"
    assert shown[0] == "€"


async def test_escape_sequences_are_data(box: Box) -> None:
    assert (await box.run(r"print('\033]0;title\007\033[31mred', end='')")).stdout == "\033]0;title\007\033[31mred"


async def test_of_much_output_the_head_and_the_tail_are_kept(box: Box) -> None:
    done = await box.run("print('a' * 70_000 + 'b' * 70_000, end='end')")
    assert done.truncated
    assert done.stdout.startswith("a" * (64 << 10) + "\n[... 70371 bytes left out ...]\n")
    assert done.stdout.endswith("b" * (4096 - 3) + "end")


async def test_a_long_value_is_cut_and_says_so(box: Box) -> None:
    done = await box.run("'x' * 100_000")
    assert done.truncated
    assert done.value == "'" + "x" * (MAX_VALUE - 1)


async def test_a_value_that_is_no_text_is_replaced_and_breaks_nothing(box: Box) -> None:
    code = "class C:\n    def __repr__(self): return 'bad \\ud800 here'\nC()"
    assert (await box.run(code)).value == "bad ? here"


async def test_a_block_that_is_too_long_is_skipped_with_the_reason(box: Box) -> None:
    done = await box.run("#" * (MAX_CODE + 1))
    assert not done.ok
    assert done.skipped == "the block has 960.0 KiB of code; at most 960.0 KiB are run"
    assert (await box.run("#" * (MAX_CODE - 1) + "\n")).ok


async def test_code_with_characters_that_cannot_be_encoded_is_a_failing_program_at_worst(box: Box) -> None:
    assert (await box.run("'\ud800'")).value == "'?'"
    assert (await box.run("x = 1\0")).exit_code == 1


async def test_logging_set_up_in_one_block_works_in_the_next(box: Box) -> None:
    await box.run("import logging; logging.basicConfig(level='INFO', format='%(message)s')")
    assert (await box.run("logging.info('still here')")).stderr == "still here\n"


async def test_what_research_code_uses_works(box: Box) -> None:
    code = """
import multiprocessing, sqlite3, subprocess, tempfile, threading
import numpy as np, pandas as pd
from concurrent.futures import ThreadPoolExecutor
def square(x): return x * x
with multiprocessing.Pool(2) as pool: squares = pool.map(square, range(4))
with ThreadPoolExecutor(2) as threads: threaded = list(threads.map(square, range(4)))
db = sqlite3.connect('t.db'); db.execute('create table t (x)'); db.commit(); db.close()
shell = subprocess.run(['echo', 'hi'], capture_output=True, text=True).stdout
with tempfile.TemporaryFile() as f: f.write(b'x')
(squares, threaded, shell, float(pd.DataFrame({'a': np.arange(4)}).a.sum()))
"""
    done = await box.run(code)
    assert done.value == "([0, 1, 4, 9], [0, 1, 4, 9], 'hi\\n', 6.0)", done.stderr


async def test_our_own_modules_are_not_in_the_codes_way(box: Box) -> None:
    assert "ModuleNotFoundError" in (await box.run("import moot")).stderr
    assert (await box.run("__name__")).value == "'__main__'"
