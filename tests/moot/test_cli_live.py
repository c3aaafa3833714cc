"""The live display at a real terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Model, Moot

UP = re.compile(rb"(?:\x1b\[1A\x1b\[2K)+")
"""How Rich goes back to the first line of what it draws anew."""


def heights(sent: bytes) -> set[int]:
    """How many lines were ever drawn anew at once."""
    return {1 + found[0].count(b"\x1b[1A") for found in UP.finditer(sent)}


def test_words_are_shown_while_they_come_with_what_is_left(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.at_a_terminal("run", "slow.yaml") as terminal:
        model.was_asked()
        terminal.until("thinking")
        terminal.until("left 6 turns")
        model.answers.put("one two three")
        model.was_asked()
        terminal.until("one two three")
        terminal.until("left 5 turns")
        model.answers.put("DONE: four")
        assert terminal.ended() == 0
    assert "✔ goal" in terminal.text
    assert "four\r\n" in terminal.text
    assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h") == 1


@pytest.mark.parametrize(("rows", "columns"), [(10, 40), (24, 80), (50, 200)])
def test_the_drawing_stays_within_the_terminal(moot: Moot, model: Model, rows: int, columns: int) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.at_a_terminal("run", "slow.yaml", rows=rows, columns=columns) as terminal:
        model.was_asked()
        model.answers.put("a line that is rather long for a narrow terminal\n" * 200)
        model.was_asked()
        terminal.press(b"\x03")
        terminal.until("stopping after this")
        model.answers.put("DONE: yes")
        assert terminal.ended() == 0
    drawn = heights(terminal.seen)
    assert drawn
    assert max(drawn) < rows


def test_hostile_text_does_not_reach_the_terminal(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    hostile = "\x1b]0;owned\x07\x1b[2J\x1b[8mgone \u202ereversed [blink]kept[/blink]"
    with moot.at_a_terminal("run", "slow.yaml") as terminal:
        for _ in range(2):
            model.was_asked()
            model.answers.put(f"DONE: {hostile}" if _ else hostile)
        assert terminal.ended() == 0
    assert "[blink]kept[/blink]" in terminal.text
    for danger in ("\x1b]0;", "\x1b[2J", "\x1b[8m", "\u202e", "\x07"):
        assert danger not in terminal.text


def test_no_color_takes_the_colours_and_a_dumb_terminal_the_drawing(moot: Moot) -> None:
    with moot.at_a_terminal("run", "duet.yaml", NO_COLOR="1") as terminal:
        assert terminal.ended() == 0
    assert not re.search(r"\x1b\[[0-9;]*(3[0-9]|4[0-9]|9[0-7])m", terminal.text)
    with moot.at_a_terminal("run", "duet.yaml", TERM="dumb") as terminal:
        assert terminal.ended() == 0
    assert "\x1b" not in terminal.text
    assert "hello from ann" in terminal.text


def test_forced_colours_reach_a_pipe_but_nothing_is_drawn_anew(moot: Moot) -> None:
    done = moot("run", "duet.yaml", FORCE_COLOR="1")
    assert "\x1b[" in done.err
    assert not UP.search(done.err.encode())
    assert "\x1b[?25l" not in done.err
    assert done.out == "agreed\n"


def test_the_drawing_follows_the_size_of_the_terminal(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.at_a_terminal("run", "slow.yaml", rows=50, columns=100) as terminal:
        model.was_asked()
        terminal.then("thinking")
        terminal.resize(10, 40)
        model.answers.put("a line that is rather long for a narrow terminal\n" * 200)
        model.was_asked()
        terminal.then("left 5 turns")
        before = len(terminal.seen)
        model.answers.put("a line that is rather long for a narrow terminal\n" * 200)
        model.was_asked()
        terminal.then("left 4 turns")
        model.answers.put("nothing")
        model.was_asked()
        model.answers.put("DONE: yes")
        assert terminal.ended() == 0
    assert max(heights(terminal.seen[before:])) < 10


def test_what_is_drawn_leaves_nothing_behind_whatever_is_said(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    wide = "\u4e2d\u6587\u5b57" * 30 + " e\u0301\u0301 " + "w" * 300
    with moot.at_a_terminal("run", "slow.yaml", rows=12, columns=40) as terminal:
        many = "\n".join(f"{number} {wide[:50]}" for number in range(10_000))
        for said in (wide, many, "nothing", "DONE: yes"):
            model.was_asked()
            terminal.then("thinking")
            model.answers.put(said)
        assert terminal.ended() == 0
    lines = terminal.screen(12, 40)
    assert not [line for line in lines if "left " in line or "thinking" in line]
    assert "10000 lines" in "".join(lines)
    assert "\u4e2d" in "".join(lines)


def test_keys_that_are_pressed_meanwhile_do_not_fall_into_the_drawing(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.at_a_terminal("run", "slow.yaml") as terminal:
        model.was_asked()
        terminal.then("thinking")
        assert not terminal.echoes()
        terminal.press(b"ls -la\r")
        model.answers.put("one")
        model.was_asked()
        model.answers.put("DONE: two")
        assert terminal.ended() == 0
        assert terminal.echoes()
    assert "ls -la" not in terminal.text


@pytest.mark.parametrize("by", ["keys", "signal"])
def test_the_terminal_is_given_back_however_a_run_is_left(moot: Moot, model: Model, by: str) -> None:
    moot.write("slow.yaml", model.chat_file)
    with moot.at_a_terminal("run", "slow.yaml") as terminal:
        model.was_asked()
        terminal.then("thinking")
        if by == "keys":
            terminal.press(b"\x03")
            terminal.then("stopping after this turn")
            terminal.press(b"\x03")
        else:
            terminal.popen.terminate()
        assert terminal.ended() == 130
        assert terminal.echoes()
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
