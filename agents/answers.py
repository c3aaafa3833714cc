"""What is seen of an answer before a client library makes something of it: a server that answers with a web page is no
model, one that sends its callers to another server would have the key and the words sent there too, and one that never
ends would fill the memory.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from autogen_core.models import ChatCompletionClient

MOST_BYTES = 64 * 1024 * 1024
"""Of a reply, unpacked: a longest one of a model that thinks, streamed word by word, stays below."""
MOST_OF_AN_ERROR = 1024 * 1024
"""What is read of an error: its status says enough."""


class Answered(Protocol):
    """The part of an `httpx` response (or `httpx2`: OpenAI's library has its own) that is looked at."""

    aiter_bytes: Callable[..., AsyncGenerator[bytes, None]]
    """The body, unpacked. Whatever else reads it reads it from here."""

    async def aclose(self) -> None:
        """Read no more of it."""

    @property
    def headers(self) -> Headers:
        """Of the response."""

    @property
    def status_code(self) -> int:
        """Of the response."""

    @property
    def url(self) -> object:
        """What was asked for; its `str` is the address."""


class Headers(Protocol):
    """Names are found in any case."""

    def get(self, key: str, default: str, /) -> str:
        """The value, or the default."""


class WebPage(Exception):
    """What answered is not a model. Whoever knows which was asked says so."""


class SentElsewhere(Exception):
    """What answered says that another server is to be asked instead."""


class TooLong(Exception):
    """What answered sends more than any reply is."""


async def stay(response: Answered) -> None:
    """For a client's response hooks. Raises SentElsewhere; another path of the same server is followed."""
    to = response.headers.get("location", "")
    if 300 <= response.status_code < 400 and to:
        here = str(response.url)
        if urlsplit(urljoin(here, to))[:2] != urlsplit(here)[:2]:
            raise SentElsewhere("sends its callers to another server")


async def refuse_pages(response: Answered) -> None:
    """For a client's response hooks. Raises WebPage; errors keep their own status."""
    kind = response.headers.get("content-type", "")
    if response.status_code < 400 and kind.lstrip().lower().startswith("text/html"):
        raise WebPage("answered with a web page")


async def bound(response: Answered) -> None:
    """For a client's response hooks. Reading the body raises TooLong; an error's just ends."""
    response.aiter_bytes = partial(_bounded, response, response.aiter_bytes)


async def _bounded(
    response: Answered, body: Callable[..., AsyncGenerator[bytes, None]], chunk_size: int | None = None
) -> AsyncGenerator[bytes, None]:
    left = MOST_BYTES if response.status_code < 400 else MOST_OF_AN_ERROR
    async with aclosing(body(chunk_size)) as pieces:
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            yield piece
    if left < 0:
        await response.aclose()
        if response.status_code < 400:
            raise TooLong("sends more than any reply is")


def watch(client: ChatCompletionClient) -> None:
    """From now on a page is a WebPage, another server SentElsewhere and a reply without end TooLong, in whatever the
    client's library wraps them. For a client over HTTP; once.
    """
    http = getattr(getattr(client, "_client", None), "_client", None)
    hooks = getattr(http, "event_hooks", {}).get("response")
    if isinstance(hooks, list):
        hooks += [hook for hook in (stay, refuse_pages, bound) if hook not in hooks]
