"""A text in the user's own editor: what they make of it, or nothing. Whatever goes wrong, what they wrote is kept."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from moot.chats.errors import UserError

STDERR = 2
EDITORS = ("sensible-editor", "nano", "vim", "vi")
"""What is tried where neither $VISUAL nor $EDITOR says what to use."""
_SUFFIXES = {"python": ".py", "sh": ".sh", "bash": ".sh", "shell": ".sh", "json": ".json", "markdown": ".md"}


class Ears(Protocol):
    """Whether this process hears Ctrl-C: a program that has the terminal is meant by it."""

    deaf: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A text as an editor left it. `failure`: why it may be unfinished; empty where the editor ended well."""

    text: str
    failure: str = ""


def suffix_of(kind: str, payload: Mapping[str, object]) -> str:
    """The end of a file's name by which an editor knows what is in it: what a question of that kind is about."""
    if kind == "code":
        return _SUFFIXES.get(str(payload.get("language", "")).lower(), ".txt")
    return ".json" if kind == "tool" else ".md"


def editor() -> list[str]:
    """The program to edit with, and its arguments. Raises UserError where there is none."""
    for name in ("VISUAL", "EDITOR"):
        wanted = os.environ.get(name, "").strip()
        if not wanted:
            continue
        try:
            command = shlex.split(wanted)
        except ValueError as error:
            raise UserError(f"${name} cannot be read as a command ({error}): {wanted}") from None
        if shutil.which(command[0]) is None:
            raise UserError(f"${name} names {command[0]}, which is not there")
        return command
    found = next((program for program in EDITORS if shutil.which(program)), None)
    if found is None:
        raise UserError("there is no editor: set VISUAL or EDITOR to one")
    return [found]


async def edited(text: str, *, suffix: str = ".txt", ears: Ears | None = None) -> Written:
    """Open the editor with a text and wait until it ends. Cancelled, the editor is ended too.

    The file is for the user alone and is removed with everything the editor left beside it. Raises UserError where
    there is no editor, or it cannot be started.
    """
    command = editor()
    with tempfile.TemporaryDirectory(prefix="moot-") as folder:  # 0700
        path = Path(folder) / f"edit{suffix}"
        path.touch(mode=0o600)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        code = await run([*command, str(path)], ears)
        try:
            after = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            return Written(text, f"what {command[0]} wrote is not UTF-8 ({error.reason} at byte {error.start})")
        except OSError as error:
            return Written(text, f"{command[0]} left no file ({error.strerror})")
    if after.endswith("\n") and not text.endswith("\n"):
        after = after[:-1]  # editors end the last line
    return Written(after, f"{command[0]} ended with {code}" if code else "")


async def run(command: list[str], ears: Ears | None = None) -> int:
    """A program that has the terminal to itself; its exit code. It draws on stderr: stdout may lead elsewhere. Raises
    UserError.
    """
    if ears is not None:
        ears.deaf = True
    try:
        try:
            program = await asyncio.create_subprocess_exec(*command, stdout=STDERR)
        except OSError as error:
            raise UserError(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            return await program.wait()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                program.terminate()
            await program.wait()
            raise
    finally:
        if ears is not None:
            ears.deaf = False


async def edit_until_fits(
    text: str,
    edit: Callable[[str], Awaitable[Written]],
    fits: Callable[[str], str | None],
    again: Callable[[str], Awaitable[bool]],
) -> Written:
    """What a person makes of a text so that it `fits` (says why not; None: it does).

    One that does not is told to `again`, with the editor to be opened on it once more where that says so. Handed back
    with a `failure` where it was left unchanged, unfinished or unfit: then it is no edit, and its text is what to go on
    with.
    """
    now = text
    while True:
        written = await edit(now)
        if written.failure:
            return written
        if written.text == text:
            return Written(text, "nothing was changed")
        now, wrong = written.text, fits(written.text)
        if not wrong:
            return written
        if not await again(wrong):
            return Written(now, wrong)
