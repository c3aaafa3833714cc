"""The pictures among a run's files, as they can stand inside a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from moot.agents.ran import StoredFile
from moot.chats.errors import StoreError
from moot.chats.store import Blobs
from moot.chats.story import Story

MOST_OF_ONE = 4_000_000
"""Bytes of one picture that is shown in the page."""
MOST_OF_ALL = 24_000_000
"""Bytes of all of them: a page is to be sent to somebody."""
_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")


@dataclass(frozen=True, slots=True)
class Picture:
    """A file as the source of an `img`; empty where it is not shown, and why then."""

    source: str
    why_not: str = ""


async def pictures(story: Story, blobs: Blobs) -> Mapping[str, Picture]:
    """What is known of each picture that code left, by its digest."""
    found: dict[str, Picture] = {}
    room = MOST_OF_ALL
    for file in _files(story):
        if file.sha256 in found:
            continue
        if file.size > min(room, MOST_OF_ONE):
            found[file.sha256] = Picture("", "too large to be shown here")
            continue
        found[file.sha256] = picture = await _read(file, blobs)
        room -= file.size if picture.source else 0
    return found


async def _read(file: StoredFile, blobs: Blobs) -> Picture:
    try:
        data = await blobs.get(file.sha256)
    except StoreError:
        return Picture("", "its content is missing")
    kind = _kind(data)
    if not kind:
        return Picture("", "not a picture, whatever its name says")
    return Picture(f"data:{kind};base64,{base64.b64encode(data).decode()}")


def _files(story: Story) -> Iterator[StoredFile]:
    """In the order in which they were made."""
    ran = [block.ran for _, turn in sorted(story.turns.items()) for block in turn.blocks.values() if block.ran]
    made: Iterable[StoredFile] = (file for block in ran for file in block.files)
    return (file for file in [*made, *story.files.values()] if file.name.lower().endswith(_ENDINGS))


def _kind(data: bytes) -> str:
    """What it is by its first bytes, for names lie. SVG as the source of an `img` runs nothing and loads nothing."""
    for start, kind in ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif")):
        if data.startswith(start):
            return f"image/{kind}"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return "image/svg+xml" if head.startswith((b"<svg", b"<?xml", b"<!")) and b"<svg" in head else ""
