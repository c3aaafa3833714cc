"""People are asked at the terminal that a run is driven from."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.moot.conftest import Model, Moot, Terminal

OWNED = """
version: 1
name: owned
task: "Write a headline."
model: playbook:owned-play.yaml
participants:
  ann: {role: assistant, instructions: "Write."}
  owner: {role: human, approves: ann}
limits: {turns: 8}
stop: [{id: approved, says: {participant: owner, starts: "APPROVED"}}]
"""
PLAY = """
version: 1
name: owned
parts:
  ann:
    - when: {turn: 2}
      say: "the second draft"
    - say: "the first draft"
"""
ASKED = OWNED.replace(", approves: ann", ', prompt: "Which table?"')
OPEN = "\x1b[?2004h"
"""What a line that is open for typing tells the terminal first: what is pasted is to come in brackets."""
DANGERS = ("\x1b]0;", "\x1b[2J", "\x1b[8m", "\u202e", "\x07")
HOSTILE = "\\e]0;owned\\a\\e[2J\\e[8mgone \\u202e reversed [blink]kept[/blink]"


@pytest.fixture
def owned(moot: Moot) -> Moot:
    """With `owned.yaml`, in which a person approves what an assistant says, and `asked.yaml`, in which they answer."""
    moot.write("owned.yaml", OWNED)
    moot.write("asked.yaml", ASKED)
    moot.write("owned-play.yaml", PLAY)
    return moot


def keys(terminal: Terminal) -> None:
    """Wait until it can be decided."""
    terminal.then("[l]ater")
    terminal.then(OPEN)


def choose(terminal: Terminal, key: str) -> None:
    """Press a key that leads to another line."""
    terminal.press(key.encode() + b"\r")
    terminal.then(OPEN)


def editor(moot: Moot, program: str) -> str:
    """An editor of the test's own: the file is its last argument."""
    path = moot.write("editor", f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    return str(path)


def only(moot: Moot) -> dict[str, Any]:
    (row,) = moot("runs", "list", "--json").json
    shown: dict[str, Any] = moot("runs", "show", row["run"], "--json").json
    return shown


def test_a_rejection_wants_a_reason_and_an_approval_one_key(owned: Moot) -> None:
    with owned.at_a_terminal("run", "owned.yaml") as terminal:
        keys(terminal)
        choose(terminal, "r")
        terminal.press(b"\r")
        terminal.then("a rejection needs a reason")
        keys(terminal)
        choose(terminal, "r")
        terminal.press(b"too plain\r")
        keys(terminal)
        assert not terminal.echoes()
        terminal.press(b"a\r")
        assert terminal.ended() == 0
        assert terminal.echoes()
    lines = terminal.screen()
    assert "│ the first draft" in lines
    assert "│ the second draft" in lines
    assert [line for line in lines if "rejected by" in line]
    assert "      too plain" in lines
    assert terminal.text.count("\x1b[?2004h") == terminal.text.count("\x1b[?2004l")
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    assert only(owned)["outcome"] == "goal"


def test_what_is_typed_before_a_question_is_shown_answers_nothing(moot: Moot, model: Model) -> None:
    entry = model.chat_file.partition("model: ")[2].partition("\n")[0]
    moot.write("slow.yaml", OWNED.replace("playbook:owned-play.yaml", entry))
    with moot.at_a_terminal("run", "slow.yaml", columns=200) as terminal:
        model.was_asked()
        terminal.then("thinking")
        terminal.press(b"a\rnot yet: 14")
        model.answers.put("a draft")
        terminal.then("typed before this was asked, 2 lines: 'a not yet: 14': no decision; it begins what you write")
        keys(terminal)
        choose(terminal, "w")
        terminal.then("14")
        terminal.press(b"3\r")
        model.was_asked()
        model.answers.put("another draft")
        keys(terminal)
        terminal.press(b"a\r")
        assert terminal.ended() == 0
    before = terminal.text[: terminal.text.index("typed before")]
    assert "not yet" not in before
    shown = only(moot)
    assert shown["turns"] == 4
    assert moot("runs", "show", shown["run"], "--turn", "2").out.count("not yet: 143") == 1


@pytest.mark.parametrize("key", [b"\x03", b"\x04", b"l\r"])
def test_a_question_can_be_left_for_later_and_is_asked_again(owned: Moot, key: bytes) -> None:
    with owned.at_a_terminal("run", "owned.yaml") as terminal:
        keys(terminal)
        terminal.press(key)
        assert terminal.ended() == 4
        assert terminal.echoes()
    assert "to be asked again: moot resume" in terminal.text
    shown = only(owned)
    assert (shown["status"], shown["exit_code"]) == ("waiting", 4)
    with owned.at_a_terminal("resume", shown["run"]) as terminal:
        keys(terminal)
        assert "│ the first draft" in terminal.screen()
        terminal.press(b"a\r")
        assert terminal.ended() == 0


def test_what_is_pasted_is_one_answer_and_an_empty_one_is_none(owned: Moot) -> None:
    with owned.at_a_terminal("run", "asked.yaml", "--turns", "2", "--display", "plain") as terminal:
        terminal.then("Which table?")
        terminal.then(OPEN)
        terminal.press(b"  \r")
        terminal.then("an answer needs some text")
        terminal.then(OPEN)
        terminal.press(b"\x1b[200~the second\na\n\n  of three\x1b[201~")
        terminal.then("three")
        terminal.press(b"\x1b\r and \xe4\xb8\xad\xe6\x96\x87\r")
        assert terminal.ended() == 3
    shown = only(owned)
    said = owned("runs", "show", shown["run"], "--turn", "2").out
    assert "the second\na\n\n  of three\n and 中文" in said


def test_an_edit_is_shown_once_more_before_it_counts(owned: Moot) -> None:
    wrote = editor(owned, 'stat -c %a "$1" > mode; cp "$1" was; printf "%s" "$1" > path; echo "my own words" > "$1"')
    with owned.at_a_terminal("run", "owned.yaml", VISUAL=wrote) as terminal:
        keys(terminal)
        choose(terminal, "e")
        assert "│ +my own words" in terminal.screen()
        terminal.press(b"n\r")
        terminal.then("e opens what you wrote again")
        keys(terminal)
        choose(terminal, "e")
        assert (owned.folder / "was").read_text() == "my own words"
        terminal.press(b"y\r")
        assert terminal.ended() == 0
    assert (owned.folder / "mode").read_text() == "600\n"
    gone = (owned.folder / "path").read_text()
    assert gone.endswith(".md")
    assert not owned.folder.joinpath(gone).exists()
    assert "my own words" in terminal.text
    (asked,) = [line for line in owned("export", only(owned)["run"], "--format", "jsonl").out.splitlines()
                if '"request.decided"' in line]  # fmt: skip
    assert '"decision": "edit"' in asked
    assert '"edited": "my own words"' in asked


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (":", "nothing was changed; nothing is decided yet"),
        ('echo half > "$1"; exit 3', "editor ended with 3; nothing is decided yet; e opens what you wrote again"),
        ('rm "$1"', "editor left no file"),
        (r'printf "\377" > "$1"', "wrote is not UTF-8"),
    ],
)
def test_an_editor_that_decides_nothing(owned: Moot, program: str, words: str) -> None:
    with owned.at_a_terminal("run", "owned.yaml", columns=200, VISUAL=editor(owned, program)) as terminal:
        keys(terminal)
        terminal.press(b"e\r")
        terminal.then(words)
        keys(terminal)
        terminal.press(b"l\r")
        assert terminal.ended() == 4


def test_an_editor_that_is_not_there_is_named(owned: Moot) -> None:
    with owned.at_a_terminal("run", "owned.yaml", VISUAL="no-such-editor --wait") as terminal:
        keys(terminal)
        terminal.press(b"e\r")
        terminal.then("$VISUAL names no-such-editor, which is not there")
        terminal.then(OPEN)
        terminal.press(b"\x03")
        assert terminal.ended() == 4


def test_an_edit_that_does_not_fit_is_opened_again_as_it_was_left(owned: Moot) -> None:
    wrote = editor(owned, 'if [ -e once ]; then cp "$1" was; echo fits > "$1"; else : > once; echo > "$1"; fi')
    with owned.at_a_terminal("run", "owned.yaml", VISUAL=wrote) as terminal:
        keys(terminal)
        choose(terminal, "e")
        assert any("it does not fit: it is empty" in line for line in terminal.screen())
        choose(terminal, "")
        terminal.press(b"y\r")
        assert terminal.ended() == 0
    assert (owned.folder / "was").read_text() == ""
    assert "APPROVED with changes:" in terminal.text


@pytest.mark.parametrize("more", [["--no-resume"], []])
def test_somebody_elsewhere_decides_meanwhile(owned: Moot, more: list[str]) -> None:
    with owned.at_a_terminal("run", "owned.yaml") as terminal:
        keys(terminal)
        terminal.press(b"half a dec")
        name = only(owned)["run"]
        done = owned("inbox", "approve", name, "q1", "--by", "eve", *more)
        assert done.code == 0, done.err
        terminal.then("q1 was approved by eve meanwhile")
        assert terminal.ended() == 0
        assert terminal.echoes()
    assert "✔ goal" in terminal.text


def test_the_terminal_is_given_back_when_the_process_is_told_to_end(owned: Moot) -> None:
    with owned.at_a_terminal("run", "owned.yaml") as terminal:
        keys(terminal)
        terminal.press(b"half")
        terminal.popen.send_signal(signal.SIGTERM)
        assert terminal.ended() == 130
        assert terminal.echoes()
    assert terminal.text.count("\x1b[?2004h") == terminal.text.count("\x1b[?2004l")
    assert only(owned)["status"] == "waiting"


def test_a_prompt_follows_the_size_of_the_terminal(owned: Moot) -> None:
    with owned.at_a_terminal("run", "asked.yaml", "--turns", "2", columns=100) as terminal:
        terminal.then(OPEN)
        terminal.press(b"words " * 12)
        terminal.then("words words")
        terminal.resize(12, 40)
        terminal.then("\x1b[?7l")  # drawn anew
        terminal.press(b"end\r")
        assert terminal.ended() == 3
    assert f"{'words ' * 12}end" in owned("export", only(owned)["run"]).out


def test_a_narrow_terminal_without_colours(owned: Moot) -> None:
    with owned.at_a_terminal("run", "owned.yaml", rows=12, columns=40, NO_COLOR="1") as terminal:
        keys(terminal)
        terminal.press(b"a\r")
        assert terminal.ended() == 0
    assert not re.search(r"\x1b\[[0-9;]*(3[0-9]|4[0-9]|9[0-7])m", terminal.text)


def test_a_dumb_terminal_asks_in_plain_lines(owned: Moot) -> None:
    with owned.at_a_terminal("run", "owned.yaml", TERM="dumb") as terminal:
        terminal.then("[l]ater  ?\r\n> ")
        terminal.press(b"w\n")
        terminal.then("answer> ")
        terminal.press(b"one\ntwo\n")
        terminal.then("[l]ater  ?\r\n> ")
        terminal.press(b"a\n")
        assert terminal.ended() == 0
    assert "\x1b" not in terminal.text
    assert "one\ntwo" in owned("runs", "show", only(owned)["run"], "--turn", "2").out


def test_ctrl_c_at_a_dumb_terminal_leaves_the_question_too(owned: Moot) -> None:
    with owned.at_a_terminal("run", "owned.yaml", TERM="dumb") as terminal:
        terminal.then("[l]ater  ?\r\n> ")
        terminal.press(b"\x03")
        assert terminal.ended() == 4


def test_without_a_terminal_a_run_is_left_waiting(owned: Moot) -> None:
    done = owned("run", "owned.yaml")
    assert done.code == 4
    assert "moot inbox approve" in done.err
    assert "to be asked again" not in done.err
    refused = owned("run", "owned.yaml", "--ask", "prompt")
    assert refused.code == 2
    assert "--ask prompt needs a terminal" in refused.err
    with owned.at_a_terminal("run", "owned.yaml", "--ask", "inbox") as terminal:
        assert terminal.ended() == 4
    assert OPEN not in terminal.text


def test_denying_rejects_what_can_be_rejected_and_answers_nothing(owned: Moot) -> None:
    denied = owned("run", "owned.yaml", "--ask", "deny")
    assert denied.code == 3
    assert "nobody was asked (--ask deny)" in denied.err
    assert only(owned)["turns"] == 8
    left = owned("run", "asked.yaml", "--ask", "deny")
    assert left.code == 4
    assert "moot inbox respond" in left.err


@pytest.mark.parametrize("mode", ["auto", "plain", "none", "jsonl"])
def test_hostile_text_is_asked_about_in_every_display_and_reaches_no_terminal(owned: Moot, mode: str) -> None:
    owned.write("owned-play.yaml", PLAY.replace("the first draft", HOSTILE))
    with owned.at_a_terminal("run", "owned.yaml", "--display", mode, "--ask", "prompt", columns=200) as terminal:
        terminal.then("[blink]kept[/blink]")
        terminal.then("it holds characters that are not shown here: v shows all of it")
        keys(terminal)
        terminal.press(b"a\r")
        terminal.then("not all of it was shown")
        terminal.then(OPEN)
        terminal.press(b"v\r")
        terminal.then(r"\u001b]0;owned\u0007")
        terminal.then(OPEN)
        terminal.press(b"a\r")
        assert terminal.ended() == 0
    for danger in DANGERS:
        assert danger not in terminal.text
    assert only(owned)["outcome"] == "goal"


def test_every_event_is_written_once_where_the_journal_is_followed(owned: Moot, tmp_path: Path) -> None:
    with owned.at_a_terminal("run", "owned.yaml", "--display", "jsonl", "--ask", "prompt", columns=5000) as terminal:
        keys(terminal)
        terminal.press(b"a\r")
        assert terminal.ended() == 0
    numbers = [int(found) for found in re.findall(r'"seq": (\d+), "ts"', terminal.text)]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert len(numbers) > 12


def test_a_terminal_that_knows_no_unicode_is_asked_too(owned: Moot) -> None:
    with owned.at_a_terminal("run", "owned.yaml", PYTHONIOENCODING="ascii") as terminal:
        keys(terminal)
        terminal.press(b"a\r")
        assert terminal.ended() == 0
    assert terminal.seen.isascii()


def test_code_is_shown_before_it_runs_and_what_an_editor_makes_of_it_runs_instead(owned: Moot) -> None:
    owned.write(
        "coding.yaml",
        """
version: 1
name: coding
task: "Compute."
model: playbook:coding-play.yaml
participants:
  coder: {role: assistant, instructions: "One python block."}
  runner: {role: executor, runs_code_from: [coder]}
approvals: [{match: {kind: code}}]
limits: {turns: 4}
stop: [{id: ran, code_succeeded: true}]
""",
    )
    owned.write(
        "coding-play.yaml",
        'version: 1\nname: coding\nparts:\n  coder:\n    - say: "```python\\nx = 6\\nprint(x * 7)\\n```"\n',
    )
    wrote = editor(owned, 'printf %s "$1" > path; sed -i s/7/8/ "$1"')
    with owned.at_a_terminal("run", "coding.yaml", VISUAL=wrote) as terminal:
        keys(terminal)
        shown = terminal.text
        choose(terminal, "e")
        terminal.press(b"y\r")
        assert terminal.ended() == 0
    lines = terminal.screen()
    assert "│ x = 6" in lines
    assert re.search(r"\x1b\[[0-9;]*3[0-9]mx", shown) is None
    assert re.search(r"\x1b\[[0-9;]*m6", shown), "the number has a colour of its own"
    assert (owned.folder / "path").read_text().endswith(".py")
    assert "   │ 48" in lines
    assert not [line for line in lines if "not run" in line]


def test_a_long_question_opens_in_the_pager(owned: Moot) -> None:
    owned.write("owned-play.yaml", PLAY.replace("the first draft", "\\n".join(f"line {n}" for n in range(200))))
    pager = owned.write("pager", '#!/bin/sh\ncp "$1" paged; kill -INT 0\n')
    pager.chmod(0o755)
    with owned.at_a_terminal("run", "owned.yaml", PAGER=str(pager)) as terminal:
        terminal.then("200 lines: v shows all of it")
        keys(terminal)
        choose(terminal, "v")
        terminal.press(b"a\r")
        assert terminal.ended() == 0
    paged = (owned.folder / "paged").read_text()
    assert "│ line 199\n" in paged
    assert "\x1b" not in paged


def test_an_answer_can_be_begun_in_the_line_and_ended_in_an_editor(owned: Moot) -> None:
    wrote = editor(owned, 'printf "\\nand more" >> "$1"')
    with owned.at_a_terminal("run", "asked.yaml", "--turns", "2", VISUAL=wrote) as terminal:
        terminal.then(OPEN)
        terminal.press(b"begun")
        terminal.then("begun")
        terminal.press(b"\x18\x05")
        terminal.then("and more")
        terminal.press(b"\x0f")
        terminal.then(OPEN)
        terminal.press(b"!\r")
        assert terminal.ended() == 3
    assert owned("runs", "show", only(owned)["run"], "--turn", "2").out == "begun\nand more!\n"
