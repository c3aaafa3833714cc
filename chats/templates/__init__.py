"""The chats that come with Moot: each a folder with `chat.yaml`, its playbook and its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moot.agents.playbook import Playbook

FOLDER = Path(__file__).parent


def template_names() -> list[str]:
    """The names that `moot init` and `moot run` know."""
    return sorted(path.parent.name for path in FOLDER.glob("*/chat.yaml"))


def template_file(name: str) -> Path | None:
    """The chat file of a template, None where there is none of that name."""
    return FOLDER / name / "chat.yaml" if name in template_names() else None


def find_playbook(name: str) -> Playbook:
    """A playbook by file (relative to the working directory) or by the name of a template. Raises PlaybookError."""
    return find_playbook_from(Path.cwd(), name)


def find_playbook_from(base: Path, name: str) -> Playbook:
    """The same, relative files counting from `base`."""
    from moot.agents.playbook import load_playbook

    return load_playbook(name, base, search=[FOLDER])
