"""The tapes that a chat file is replayed from: found beside it, and kept for whoever resumes its run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from moot.agents.errors import TapeError
from moot.agents.origins import REPLAY
from moot.agents.tape import Tape
from moot.chats.chat_file import ChatFile
from moot.chats.errors import StoreError
from moot.chats.models_named import models_named

KEPT_CHARACTERS = 2_000_000
"""A longer tape is not copied into the first event of each run: only its path is."""


def kept_tapes(chat: ChatFile, base: Path, known: Collection[str] = ()) -> dict[str, dict[str, str]]:
    """What a run's first event says of each tape, by the name that the chat file has for it, but of `known` ones.

    Raises TapeError.
    """
    kept: dict[str, dict[str, str]] = {}
    for who, model, _ in models_named(chat):
        if not isinstance(model, str) or not model.startswith(REPLAY):
            continue
        file = model.removeprefix(REPLAY).partition("#")[0]
        if file not in kept and file not in known:
            try:
                tape = Tape.read((base / Path(file).expanduser()).absolute(), file)
            except TapeError as error:
                raise TapeError(f"{who}: {error}") from None
            said = {"path": str(tape.path)}
            kept[file] = {**said, "text": tape.text} if len(tape.text) <= KEPT_CHARACTERS else said
    return kept


def tapes_of(source: Mapping[str, object]) -> dict[str, Tape]:
    """The tapes of a run's first event, by name: as they are now, since a tape may have been mended meanwhile; as they
    were, where they are gone. Raises TapeError, StoreError.
    """
    kept = source.get("tapes", {})
    if not isinstance(kept, dict) or not all(isinstance(said, dict) and "path" in said for said in kept.values()):
        raise StoreError("the run's first event does not describe its tapes: it is damaged")
    return {name: _tape(name, said) for name, said in kept.items()}


def _tape(name: str, said: Mapping[str, str]) -> Tape:
    path = Path(said["path"])
    if "text" in said and not path.exists():
        return Tape.parse(said["text"], name, path)
    return Tape.read(path, name)
