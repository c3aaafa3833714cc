"""Tab in a real shell, and the verb that sets it up."""

import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.moot.conftest import PATIENCE_SECONDS, TAKE_TERMINAL, Moot, Terminal

START = {
    "bash": ("--noprofile", "--norc", "-i"),
    "zsh": ("-f", "-i"),
    "fish": ("--no-config", "--interactive"),
}
# What Tab has made of the words is seen by the program that gets them.
PROGRAM = """#!/bin/sh
if [ "$1" = complete ] || [ "$1" = completion ]; then exec {python} -m moot "$@"; fi
printf '%s\\n' "$@" > {said}
echo it "has run"
"""
SOURCE = {"bash": "source <(moot completion bash)", "zsh": "source <(moot completion zsh)",
          "fish": "moot completion fish | source"}  # fmt: skip


class Shell:
    """A shell on a terminal, in the folder of the test."""

    def __init__(self, terminal: Terminal, said: Path) -> None:
        self.terminal, self._said = terminal, said

    def tell(self, line: str) -> None:
        self.terminal.press(line.encode() + b"\r")

    def words(self, keys: str) -> list[str]:
        """What `moot` is called with when these keys and Enter are pressed."""
        self._said.unlink(missing_ok=True)
        self.terminal.seen = b""
        self.tell(keys)
        self.terminal.until("it has run")
        return self._said.read_text().splitlines()


@contextmanager
def terminal_of(program: str, options: tuple[str, ...], folder: Path, env: dict[str, str]) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    command = [sys.executable, "-c", TAKE_TERMINAL, program, *options]
    popen = subprocess.Popen(
        command, cwd=folder, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    try:
        yield Terminal(popen, master)
    finally:
        popen.kill()
        popen.wait(PATIENCE_SECONDS)
        os.close(master)


@pytest.fixture
def started(moot: Moot) -> Iterator[Callable[..., Shell]]:
    """Starts a shell that finds `moot`, with options of its own or without startup files."""
    said, program = moot.folder / "said", moot.folder / "bin" / "moot"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=shlex.quote(sys.executable), said=shlex.quote(str(said))))
    program.chmod(0o755)
    user = moot.folder / "user"
    user.mkdir()
    env = {**moot.env, "PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(user)}
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "BASH_ENV", "ENV"):
        env.pop(name, None)
    with ExitStack() as stack:

        def start(name: str, *options: str) -> Shell:
            if (found := shutil.which(name)) is None:
                pytest.skip(f"{name} is not installed")
            terminal = stack.enter_context(terminal_of(found, options or START[name], moot.folder, env))
            return Shell(terminal, said)

        yield start


@pytest.fixture(params=list(START))
def shell(request: pytest.FixtureRequest, started: Callable[..., Shell]) -> Shell:
    made = started(request.param)
    made.tell(SOURCE[request.param])
    return made


CASES = {
    "a verb": ("vali\tx.yaml", ["validate", "x.yaml"]),
    "a verb of a group": ("runs sea\tword", ["runs", "search", "word"]),
    "an option": ("run duet.yaml --disp\tnone", ["run", "duet.yaml", "--display", "none"]),
    "what an option takes": ("run duet.yaml --display js\t", ["run", "duet.yaml", "--display", "jsonl"]),
    "what an option takes after =": ("run duet.yaml --display=js\t", ["run", "duet.yaml", "--display=jsonl"]),
    "a chat file": ("run du\t", ["run", "duet.yaml"]),
    "a chat file with blanks and signs": ("run two\t", ["run", "two $(touch hacked) words.yaml"]),
    "a chat file in a folder": ("plan inn\tch\t", ["plan", "inner/chat.yaml"]),
    "a template": ("init rese\t", ["init", "research"]),
    "a file that is none of those": ("export x -o note\t", ["export", "x", "-o", "notes.txt"]),
}


@pytest.mark.parametrize("case", CASES)
def test_tab_completes(case: str, shell: Shell, moot: Moot) -> None:
    moot.write("two $(touch hacked) words.yaml", "")
    moot.write("inner/chat.yaml", "")
    moot.write("notes.txt", "")
    keys, words = CASES[case]
    assert shell.words(f"moot {keys}") == words
    assert not (moot.folder / "hacked").exists()


def test_tab_completes_the_id_of_a_run(shell: Shell, moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--display", "none", "--json").json["run"]
    assert shell.words(f"moot runs show {run[:5]}\t") == ["runs", "show", run]


def suggested(moot: Moot, *words: str) -> list[str]:
    """As zsh is told, without what each is."""
    said = moot("complete", "zsh", "--", *words).out.splitlines()
    return [line.partition("\t")[0] for line in said[1:]]


def test_every_verb_is_suggested_and_what_shells_ask_is_not(moot: Moot) -> None:
    verbs = suggested(moot, "")
    assert {"run", "demo", "runs", "inbox", "completion"} <= set(verbs)
    assert "complete" not in verbs
    for verb in verbs:
        assert "--help" in suggested(moot, verb, "--"), verb


def test_runs_are_suggested_newest_first_and_a_run_once(moot: Moot) -> None:
    first, second = (moot("run", "duet.yaml", "--display", "none", "--json").json["run"] for _ in range(2))
    assert suggested(moot, "runs", "rm", "") == [second, first]
    assert suggested(moot, "runs", "rm", first, "") == [second]
    assert suggested(moot, "verify", first[:-1]) == [first]
    assert "duet, finished" in moot("complete", "fish", "--", "runs", "show", first).out


LINES = {
    "what no verb is": ["nope", "ru"],
    "more arguments than there are": ["runs", "show", "x", "y", ""],
    "the value of what no option is": ["run", "--nope=x"],
    "text of the user's own": ["say", "1", ""],
    "after --": ["runs", "list", "--", "--js"],
}


@pytest.mark.parametrize("case", LINES)
def test_where_nothing_can_be_suggested_nothing_is_said(case: str, moot: Moot) -> None:
    done = moot("complete", "zsh", "--", *LINES[case])
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("home", ["duet.yaml", "/dev/null", "empty"])
def test_a_home_that_holds_no_journals_suggests_no_run_and_makes_nothing(home: str, moot: Moot) -> None:
    done = moot("complete", "zsh", "--", "resume", "", MOOT_HOME=home)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert not (moot.folder / "empty").exists()


def test_answering_loads_nothing_heavy(moot: Moot) -> None:
    moot("run", "duet.yaml", "--display", "none")
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted({n.split('.')[0] for n in sys.modules}), file=sys.stderr))\n"
        "sys.argv[:] = ['moot', 'complete', 'zsh', '--', 'resume', '']\n"
        "import moot.cli\n"
        "moot.cli.main()\n"
    )
    done = moot.python("-c", program)
    assert "duet, finished" in done.out
    assert set(done.err.split()) & {"autogen_core", "docker", "openai", "pydantic", "rich", "yaml"} == set()


@pytest.mark.parametrize("name", START)
def test_what_is_installed_works_in_a_new_shell_and_is_installed_once(
    name: str, started: Callable[..., Shell], moot: Moot
) -> None:
    user = moot.folder / "user"
    if name != "fish":
        (user / f".{name}rc").write_text("MINE=1")  # no end of line
    where = {"HOME": str(user), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "ZDOTDIR": ""}
    first = moot("completion", name, "--install", **where)
    assert first.code == 0, first.err
    assert Path(first.out.strip()).read_text() == moot("completion", name).out
    again = moot("completion", name, "--install", "--json", **where).json
    assert (again["shell"], again["written"], again["startup_changed"]) == (name, first.out.strip(), False)
    if name != "fish":
        mine, line = (user / f".{name}rc").read_text().splitlines()
        assert mine == "MINE=1"
        assert first.out.strip() in line
        assert f".{name}rc has one more line" in first.err
    assert started(name, "-i").words("moot vali\tx") == ["validate", "x"]


def test_where_it_cannot_be_written_is_one_line(moot: Moot) -> None:
    done = moot("completion", "bash", "--install", HOME="/dev/null", XDG_DATA_HOME="/proc/none")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: cannot write /proc/none")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["bash", "fish"])
def test_the_shell_it_is_called_from_is_meant(name: str, moot: Moot) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    command = f"{shlex.join(moot.command('completion', '--json'))}; true"
    done = subprocess.run([name, "-c", command], cwd=moot.folder, env=moot.env, capture_output=True, check=False)
    assert json.loads(done.stdout)["shell"] == name
