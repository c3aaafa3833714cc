"""What the publisher may call. `approvals` in chat.yaml has every call approved by the owner first."""

from __future__ import annotations

import os
import re
from pathlib import Path

from moot import idempotency_key

MOST_OF_A_NAME = 99


def publish(folder: str, title: str, paragraphs: list[str]) -> str:
    """Publish a notice as a file named after its title, in `folder` below the working directory.

    Returns where it is. Nothing is ever overwritten: a second notice of the same title gets a number. Raises ValueError
    for a place or a text that will not do.
    """
    kept = [text for text in (" ".join(paragraph.split()) for paragraph in paragraphs) if text]
    if not kept:
        raise ValueError("there is nothing to publish: no paragraph has a word in it")
    # The call's own name, the same however often the call is made again: after a crash it finds that it was made
    # already. A service would get it as its Idempotency-Key.
    key = re.sub(r"[^\w./#-]", "", idempotency_key())
    notice = "\n\n".join([f"# {' '.join(title.split())}", *kept, *([f"<!-- published by {key} -->"] if key else [])])
    first = _place(folder, title)
    first.parent.mkdir(parents=True, exist_ok=True)
    return str(_put(first, notice + "\n"))


def _place(folder: str, title: str) -> Path:
    """Where the notice is to be. ValueError where that is outside of the working directory, or has no name."""
    here = Path.cwd().resolve()
    place = (here / folder).resolve()
    if not place.is_relative_to(here):
        raise ValueError(f"{folder!r} does not lie below {here}")
    name = re.sub(r"[\W_]+", "-", title.casefold()).strip("-")[:60].strip("-")
    if not name:
        raise ValueError(f"the title {title!r} has no letter to name a file after")
    return place / f"{name}.md"


def _put(first: Path, notice: str) -> Path:
    """Write the notice, whole or not at all, under the first name that is free or already holds just this notice."""
    draft = first.with_name(f".{first.name}.{os.getpid()}")
    draft.write_text(notice, encoding="utf-8")
    try:
        for number in range(1, MOST_OF_A_NAME + 1):
            file = first if number == 1 else first.with_name(f"{first.stem}-{number}.md")
            try:
                os.link(draft, file)
            except FileExistsError:
                if file.read_bytes() != notice.encode():
                    continue
            return file
    finally:
        draft.unlink()
    raise ValueError(f"there are {MOST_OF_A_NAME} notices called {first.stem!r} already: choose another title")
