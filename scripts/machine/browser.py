"""The browser in which tests open the pages that Moot writes; only tests need it."""

import shutil
from pathlib import Path

from scripts.machine import debian

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Where this machine's browser is, None where it has none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def prepare(root: Path) -> None:
    """Install it from Debian's packages where there is none; `root` is not needed."""
    del root
    if find() is None:
        debian.install("there is no Chromium to open pages in", "chromium", elsewhere="install Chromium")
