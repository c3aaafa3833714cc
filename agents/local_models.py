"""What servers say they have: an Ollama on this machine, or any that speaks OpenAI's protocol. Nothing is asked of a
model.
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from http.client import HTTPException
from typing import TypeAlias
from urllib.parse import urlsplit

from moot.agents.errors import ModelError

PATIENCE_SECONDS = 2.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
USUAL_PORTS = {11434: "Ollama", 1234: "LM Studio", 8000: "vLLM", 8080: "llama.cpp", 4000: "LiteLLM", 30000: "SGLang"}
"""Where servers of models listen unless they are told otherwise."""
_OLLAMA_PORT = 11434
_MOST_BYTES = 4_000_000
_USUAL = {"http": 80, "https": 443}
Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | bool | None"


def ollama_url() -> str:
    """Where Ollama is to be reached: the local one unless OLLAMA_HOST names another, read as Ollama reads it.

    Raises ModelError where that is no address.
    """
    given = os.environ.get("OLLAMA_HOST", "").strip()
    scheme, has_scheme, rest = given.partition("://")
    if not has_scheme:
        scheme, rest = "http", given
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        own_port = parts.port
    except ValueError:  # not repeated: a password may be in it
        raise ModelError("OLLAMA_HOST is no address: expected HOST, HOST:PORT or http://HOST:PORT") from None
    port = own_port or (_USUAL.get(scheme, _OLLAMA_PORT) if has_scheme else _OLLAMA_PORT)
    host = parts.hostname or "127.0.0.1"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path.rstrip('/')}"


async def ollama_models() -> tuple[str, ...] | None:
    """The models that the Ollama server has; None where none answers."""
    found = await fetched(f"{ollama_url()}/api/tags")
    models = found.get("models") if isinstance(found, dict) else None
    if not isinstance(models, list):
        return None
    return tuple(name for one in models if isinstance(one, dict) and isinstance(name := one.get("name"), str))


async def served_models(base_url: str, key: str = "") -> tuple[str, ...] | None:
    """The models that a server of OpenAI's protocol lists at this address; None where it lists none."""
    found = await fetched(f"{base_url.rstrip('/')}/models", key)
    models = found.get("data") if isinstance(found, dict) else None
    if not isinstance(models, list):
        return None
    return tuple(name for one in models if isinstance(one, dict) and isinstance(name := one.get("id"), str))


async def found_nearby(base_url: str) -> tuple[str, str] | None:
    """Another address on this machine where a server of models answers, and what usually listens there.

    Only where `base_url` is of this machine: no port of another is tried.
    """
    place = urlsplit(base_url)
    if place.hostname not in LOOPBACK:
        return None
    ports = [port for port in USUAL_PORTS if port != place.port]
    urls = [f"http://{place.hostname if place.hostname != '::1' else '[::1]'}:{port}/v1" for port in ports]
    lists = await asyncio.gather(*(served_models(url) for url in urls))
    there = [
        (url, USUAL_PORTS[port]) for url, port, models in zip(urls, ports, lists, strict=True) if models is not None
    ]
    return there[0] if there else None


class _Stays(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: the key would be sent there too."""

    def redirect_request(self, *_: object) -> None:
        """No request is made of a redirection."""


async def fetched(url: str, key: str = "") -> Json:
    """What is at an address, as JSON; None where nothing like it is. The key is sent, and never told."""
    return await asyncio.to_thread(_get, url, key)


def _get(url: str, key: str) -> Json:
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    local = urlsplit(url).hostname in LOOPBACK  # no proxy is between this machine and itself
    opener = urllib.request.build_opener(_Stays, *([urllib.request.ProxyHandler({})] if local else []))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - addresses of models begin with http
            found: Json = json.loads(answer.read(_MOST_BYTES))
            return found
    except (OSError, HTTPException, ValueError, RecursionError):
        return None
