"""The Docker engine: checking, starting and removing containers. The only file that meets docker-py.

docker-py blocks everywhere, even in its constructor, so every call runs in one thread of our own; one, because its
session is not made for several. Each call has a time limit.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from moot.sandbox.docker import DEFAULT_IMAGE, Docker
from moot.sandbox.errors import EngineUnavailable, ImageMissing, ImageUnusable, RuntimeMissing, SandboxError
from moot.sandbox.hardening import ENVIRONMENT, USER, hardened
from moot.sandbox.owner import LABEL_OWNER, LABEL_RUN, this_process
from moot.sandbox.runner import program

if TYPE_CHECKING:
    import docker

T = TypeVar("T")
_CALL_SECONDS = 30
_REMOVAL_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Attached:
    """A started container and the stream to its PID 1."""

    name: str
    stream: socket.socket
    raw: Any
    """docker-py's object around the stream."""

    def close(self) -> None:
        """End the stream, which PID 1 notices at once, and let go of it."""
        # Each of the three is needed: somebody else may hold the socket, and docker-py's object counts as a user of it.
        with suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)
        self.stream.close()
        self.raw.close()


@dataclass(frozen=True, slots=True)
class Found:
    """A container that carries our labels."""

    id: str
    name: str
    owner: str
    run: str
    state: str


class Engine:
    """A connection to one Docker engine, for as long as the `async with` block lasts."""

    def __init__(self, address: str | None = None) -> None:
        """`address` as in DOCKER_HOST; None is what the docker command would use."""
        self._address = address
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="moot-engine")
        self._client: docker.APIClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection and the thread."""
        if self._client is not None:
            await self._do(self._client.close)
            self._client = None
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def check(self, spec: Docker) -> None:
        """EngineUnavailable, RuntimeMissing or ImageMissing, if that is how it is."""
        await self._do(lambda: self._inspect(spec))

    async def start(self, spec: Docker, *, run: str) -> Attached:
        """Start a hardened container with our runner as PID 1, and the stream to it. Nothing is left if this fails."""
        starting = asyncio.ensure_future(self._do(lambda: self._start(spec, run)))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread cannot be cancelled. What it has started is ours to remove before we go.
            await see_through(starting)
            if starting.exception() is None:
                started = starting.result()
                started.close()
                await see_through(asyncio.ensure_future(self.remove(started.name)))
            raise

    async def remove(self, container: str) -> bool:
        """Remove a container, running or not, and wait until it is gone; False if there is none of that name or id."""
        return await self._do(lambda: self._remove(container))

    async def ours(self) -> list[Found]:
        """All containers with our labels, in whatever state."""
        return await self._do(self._ours)

    # -- in the thread

    async def _do(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: _translated(self._where, call))

    @property
    def _where(self) -> str:
        return self._address or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"

    def _api(self) -> docker.APIClient:
        if self._client is None:
            import docker
            from docker.utils import kwargs_from_env

            options: dict[str, Any] = {"base_url": self._address} if self._address else {**kwargs_from_env()}
            self._client = docker.APIClient(version="auto", timeout=_CALL_SECONDS, **options)
        return self._client

    def _inspect(self, spec: Docker) -> Mapping[str, Any]:
        """What the engine knows of the image, after everything else has been found to be there."""
        import docker

        api = self._api()
        if spec.runtime is not None:
            known = sorted(api.info().get("Runtimes", {}))
            if spec.runtime not in known:
                raise RuntimeMissing(
                    f"the engine has no runtime {spec.runtime!r}, only {', '.join(known)}; install it and name it in "
                    "the engine's daemon.json, or leave `runtime` out"
                )
        try:
            image: Mapping[str, Any] = api.inspect_image(spec.image)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            raise _missing(spec.image) from None
        return image

    def _start(self, spec: Docker, run: str) -> Attached:
        import docker

        image = self._inspect(spec)
        api = self._api()
        name = f"moot-{re.sub(r'[^a-zA-Z0-9_.-]+', '-', run)[:40] or 'box'}-{secrets.token_hex(4)}"
        attached: Attached | None = None
        try:
            api.create_container(
                spec.image,
                entrypoint=["python3", "-I", "-c", program()],
                name=name,
                user=USER,
                hostname="sandbox",
                working_dir="/workspace",
                environment=ENVIRONMENT,
                # stdin_open without detach is StdinOnce: when the first stream ends, PID 1 reads end of file
                stdin_open=True,
                tty=False,
                healthcheck={"test": ["NONE"]},
                labels={LABEL_OWNER: str(this_process()), LABEL_RUN: run},
                host_config=hardened(api, spec, volumes=tuple((image.get("Config") or {}).get("Volumes") or ())),
            )
            # before start: the stream must not miss a byte, and its end must be noticed from the first moment
            raw = api.attach_socket(name, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            attached = Attached(name, _socket_of(raw), raw)
            api.start(name)
            return attached
        except BaseException as error:
            if attached is not None:
                attached.close()
            self._remove(name)
            if isinstance(error, docker.errors.APIError):
                raise _cannot_start(spec.image, error) from None
            raise

    def _remove(self, container: str) -> bool:
        import docker

        api = self._api()
        try:
            api.remove_container(container, force=True, v=True)
        except docker.errors.NotFound:
            return False
        except docker.errors.APIError as error:
            if error.status_code != 409:
                raise
            # it is being removed already, by itself: wait for the end of that
            with suppress(docker.errors.NotFound):
                api.wait(container, timeout=_REMOVAL_SECONDS, condition="removed")
        return True

    def _ours(self) -> list[Found]:
        return [
            Found(
                id=each["Id"],
                name=each["Names"][0].lstrip("/"),
                owner=each["Labels"][LABEL_OWNER],
                run=each["Labels"].get(LABEL_RUN, ""),
                state=each["State"],
            )
            for each in self._api().containers(all=True, filters={"label": LABEL_OWNER})
        ]


async def see_through(work: asyncio.Future[T]) -> None:
    """Wait until something is done that must not be left half done, however often the waiting task is cancelled.

    Only for work that ends by itself in bounded time, and where the caller raises CancelledError afterwards.
    """
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({work})


def _socket_of(raw: Any) -> socket.socket:
    """The socket under docker-py's attach object. It is private there; this is the one place that reaches for it."""
    found = getattr(raw, "_sock", None)
    if not isinstance(found, socket.socket):
        raise EngineUnavailable("this kind of engine address cannot carry a sandbox; use unix:// or plain tcp://")
    return found


def _translated(where: str, call: Callable[[], T]) -> T:
    """Do a call; what docker-py and requests raise becomes a SandboxError that says what to do."""
    import docker
    import requests

    try:
        return call()
    except SandboxError:
        raise
    except docker.errors.APIError as error:
        raise SandboxError(f"the Docker engine refused: {_line(error.explanation or str(error))}") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, ValueError) as error:
        # ValueError: an address that is none
        reason = _reason(error)
        what = (
            "may not be used by this user; add the user to the group `docker`, or run as root"
            if "ermission denied" in reason
            else "does not answer; start it (for instance `systemctl start docker`), or set DOCKER_HOST"
        )
        raise EngineUnavailable(f"the Docker engine at {where} {what} ({reason})") from error


def _reason(error: BaseException) -> str:
    """The operating system's words, deep inside what its callers have wrapped around them; else the first sentence."""
    import requests

    seen: list[BaseException] = []
    inside: list[object] = [error]
    while inside:
        at = inside.pop(0)
        if not isinstance(at, BaseException) or at in seen:
            continue
        seen.append(at)
        if isinstance(at, requests.exceptions.Timeout | TimeoutError):
            return "no answer in time"
        if isinstance(at, OSError) and at.strerror:
            return at.strerror.lower()
        inside += [at.__cause__, at.__context__, getattr(at, "reason", None), *at.args]
    return _line(error).partition("(")[0].rstrip(": ") or type(error).__name__


def _missing(image: str) -> ImageMissing:
    how = "`moot sandbox build`" if image == DEFAULT_IMAGE else f"`docker pull {image}`, or build it"
    return ImageMissing(f"the engine has no image {image!r}; get it with {how}")


def _cannot_start(image: str, error: docker.errors.APIError) -> SandboxError:
    reason = _line(error.explanation or str(error))
    if "executable file not found" in reason or "no such file or directory" in reason:
        return ImageUnusable(
            f"image {image!r} has no python3; use one with Python 3.9 or newer, such as {DEFAULT_IMAGE}"
        )
    return SandboxError(f"no container of image {image!r} could be started: {reason}")


def _line(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 300 else line[:299] + "…"
