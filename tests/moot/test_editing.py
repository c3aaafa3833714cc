"""A text in the user's editor: nothing that was written is lost, and nothing is left lying about."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from moot.chats.errors import UserError
from moot.cli.editing import Written, edit_until_fits, edited, editor


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a shell script the user's editor: the file is its last argument. It runs in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def become(script: str) -> None:
        path = tmp_path / "ed it.sh"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("VISUAL", f"'{path}' --wait")
        monkeypatch.setenv("EDITOR", "never-asked")

    return become


async def test_the_file_is_for_the_user_alone_and_goes_with_all_that_lies_beside_it(
    program: Callable[[str], None], tmp_path: Path
) -> None:
    program('printf %s "$2" > path; stat -c %a "$2" "$(dirname "$2")" > modes; cp "$2" "$2~"; echo more >> "$2"')
    assert await edited("one\n", suffix=".py") == Written("one\nmore\n")
    path = tmp_path / (tmp_path / "path").read_text()
    assert path.suffix == ".py"
    assert (tmp_path / "modes").read_text() == "600\n700\n"
    assert not path.parent.exists()


async def test_a_line_end_that_an_editor_adds_is_no_change(program: Callable[[str], None]) -> None:
    program('echo >> "$2"')
    assert await edited("one\ntwo") == Written("one\ntwo")
    assert await edited("中文 \u202e") == Written("中文 \u202e")


async def test_what_was_written_is_kept_when_the_editor_fails(program: Callable[[str], None]) -> None:
    program('echo half > "$2"; exit 7')
    written = await edited("one")
    assert written.text == "half"
    assert "ended with 7" in written.failure


async def test_an_edit_that_is_given_up_ends_the_editor(program: Callable[[str], None], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    pipe, said = os.open(tmp_path / "begun", os.O_RDWR | os.O_NONBLOCK), asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe, said.set)
    program('echo $$ "$2" > begun; exec tail -f /dev/null')
    editing = asyncio.ensure_future(edited("one"))
    begun = asyncio.ensure_future(said.wait())
    await asyncio.wait({editing, begun}, return_when=asyncio.FIRST_COMPLETED)
    asyncio.get_running_loop().remove_reader(pipe)
    process, _, path = os.read(pipe, 1000).decode().strip().partition(" ")
    os.close(pipe)
    editing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await editing
    assert not Path(f"/proc/{process}").exists()
    assert not Path(path).parent.exists()


@pytest.mark.parametrize(
    ("visual", "words"),
    [("no-such-editor", "which is not there"), ("'vi", "cannot be read as a command")],
)
def test_an_editor_that_cannot_be_started_is_named(visual: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", visual)
    with pytest.raises(UserError, match=words):
        editor()


def test_without_any_editor_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="set VISUAL or EDITOR"):
        editor()


def hand(*texts: str) -> Callable[[str], Awaitable[Written]]:
    """An editor that makes these of what it is given, one after another."""
    left = list(texts)

    async def edit(text: str) -> Written:
        return Written(left.pop(0) or text)

    return edit


async def test_what_does_not_fit_is_opened_again_until_it_does() -> None:
    told: list[str] = []

    async def again(wrong: str) -> bool:
        told.append(wrong)
        return True

    written = await edit_until_fits("{}", hand("[", "[]", "{1}"), lambda text: None if "1" in text else text, again)
    assert written == Written("{1}")
    assert told == ["[", "[]"]


async def test_who_gives_up_gets_back_what_was_written() -> None:
    async def never(_: str) -> bool:
        return False

    unfit = await edit_until_fits("{}", hand("["), lambda _: "no JSON", never)
    assert unfit == Written("[", "no JSON")
    same = await edit_until_fits("{}", hand(""), lambda _: None, never)
    assert same == Written("{}", "nothing was changed")
