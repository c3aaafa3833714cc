"""What is seen of an answer before a client library makes something of it: a server that answers with a web page is no
model, and one that sends its callers to another server would have the key and the words sent there too.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urljoin, urlsplit

from autogen_core.models import ChatCompletionClient


class Answered(Protocol):
    """The part of an `httpx` response (or `httpx2`: OpenAI's library has its own) that is looked at."""

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


def watch(client: ChatCompletionClient) -> None:
    """From now on a page is a WebPage and another server SentElsewhere, in whatever the client's library wraps them.
    For a client over HTTP; once.
    """
    http = getattr(getattr(client, "_client", None), "_client", None)
    hooks = getattr(http, "event_hooks", {}).get("response")
    if isinstance(hooks, list):
        hooks += [hook for hook in (stay, refuse_pages) if hook not in hooks]
