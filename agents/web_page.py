"""A server that answers with a web page is no model: said at once, before a client library makes something of it."""

from __future__ import annotations

from typing import Protocol

from autogen_core.models import ChatCompletionClient


class Answered(Protocol):
    """The part of an `httpx` response (or `httpx2`: OpenAI's library has its own) that tells a page from a reply."""

    @property
    def headers(self) -> Headers:
        """Of the response."""

    @property
    def status_code(self) -> int:
        """Of the response."""


class Headers(Protocol):
    """Names are found in any case."""

    def get(self, key: str, default: str, /) -> str:
        """The value, or the default."""


class WebPage(Exception):
    """What answered is not a model. Whoever knows which was asked says so."""


async def refuse_pages(response: Answered) -> None:
    """For a client's response hooks. Raises WebPage; errors keep their own status."""
    kind = response.headers.get("content-type", "")
    if response.status_code < 400 and kind.lstrip().lower().startswith("text/html"):
        raise WebPage("answered with a web page")


def watch_for_pages(client: ChatCompletionClient) -> None:
    """From now on a page is a WebPage, in whatever the client's library wraps it. For a client over HTTP; once."""
    http = getattr(getattr(client, "_client", None), "_client", None)
    hooks = getattr(http, "event_hooks", {}).get("response")
    if isinstance(hooks, list) and refuse_pages not in hooks:
        hooks.append(refuse_pages)
