"""A template as a folder of the user's own."""

from __future__ import annotations

from pathlib import Path

from moot.chats.errors import UserError
from moot.cli.chats_named import template_path

_LEFT_OUT = ("__pycache__", "__init__.py")


def copy_template(name: str, folder: Path) -> list[Path]:
    """Copy every file, the chat file first; its playbook becomes the one that lies beside it.

    Raises UserError for an unknown template, and before anything is written when one of the files is there already.
    """
    chat = template_path(name)
    sources = [chat, *(p for p in sorted(chat.parent.rglob("*")) if p.is_file() and p != chat and not _left_out(p))]
    targets = [folder / source.relative_to(chat.parent) for source in sources]
    if there := next((target for target in targets if target.exists() or target.is_symlink()), None):
        raise UserError(f"{there} is there already; nothing was written. Name another folder: moot init {name} DIR")
    try:
        for source, target in zip(sources, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            data = source.read_bytes()
            if source == chat and (chat.parent / "playbook.yaml") in sources:
                data = data.replace(f"playbook:{name}".encode(), b"playbook:playbook.yaml")
            with target.open("xb") as file:
                file.write(data)
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    return targets


def _left_out(path: Path) -> bool:
    return any(part in _LEFT_OUT for part in path.parts)
