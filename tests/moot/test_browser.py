"""Pages that Moot writes, opened in a real browser."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from moot.chats.exports.html import html
from moot.chats.exports.pictures import pictures
from moot.chats.memory_store import MemoryStore
from moot.chats.story import Story
from scripts.machine import browser
from tests.pages import Page
from tests.told_runs import COLOR, HOSTILE, everything

Browser = Callable[..., str]
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


class Elsewhere(ThreadingHTTPServer):
    """A server that a page would reach if it could."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Heard)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Heard(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def chromium(tmp_path: Path) -> Browser:
    """Opens an address and returns what the browser printed."""
    program = browser.find()
    if program is None:
        why = "there is no Chromium on this machine (scripts/setup browser)"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return partial(opened, program, tmp_path)


def opened(program: str, folder: Path, *command: str) -> str:
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [program, *QUIET, profile, *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def written(text: str, path: Path) -> str:
    store = MemoryStore()
    story = Story.of("01run", await everything(text, store))
    path.write_text(html(story, await pictures(story, store.blobs)), encoding="utf-8")
    return path.as_uri()


async def test_a_browser_finds_nothing_in_a_page_that_runs_or_asks_others(
    tmp_path: Path, elsewhere: Elsewhere, chromium: Browser
) -> None:
    loads = (
        "<img src={0}/i><link rel=stylesheet href={0}/l><iframe src={0}/f></iframe>![]({0}/m)<style>@import '{0}/s';"
    )
    text = HOSTILE.replace("alert(1)", "document.title='run'") + loads.format(elsewhere.address)
    hostile = await written(text, tmp_path / "page.html")
    beside = tmp_path / "beside.html"  # the server would hear of what is loaded
    beside.write_text(f"<img src='{elsewhere.address}/heard'>")
    read = Page(chromium("--dump-dom", hostile))
    chromium("--dump-dom", beside.as_uri())
    assert elsewhere.asked == ["/heard"]
    assert read.wrong == []
    assert [one["id"] for one in read.all("article")] == ["turn-1", "turn-2", "turn-3"]
    assert (len(read.all("script")), len(read.all("img"))) == (0, 2)


async def test_a_browser_shows_the_pictures_that_are_in_the_page(tmp_path: Path, chromium: Browser) -> None:
    calm, shot = await written("It seems so", tmp_path / "page.html"), tmp_path / "shot.png"
    chromium(f"--screenshot={shot}", "--window-size=800,5000", calm)
    with Image.open(shot) as image:
        assert image.size == (800, 5000)
        colors = image.convert("RGB").getcolors(2**24) or []
        shown = sum(count for count, color in colors if color == COLOR)
    assert shown > 60 * 40 * 0.9  # its corners are round
