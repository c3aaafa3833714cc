"""The image of a sandbox: looking at one, and building ours."""

from __future__ import annotations

import asyncio
import re
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from moot.sandbox import rootfs
from moot.sandbox.docker import DEFAULT_IMAGE
from moot.sandbox.errors import EngineUnavailable, ImageMissing, SandboxError

if TYPE_CHECKING:
    from docker import DockerClient

Base = Literal["auto", "slim", "bootstrap"]
Say = Callable[[str], None]

VERSION = "1"
"""Of what our code expects to find in the image; its label `moot.image`."""

RECIPE = Path(__file__).parent / "image"
"""Dockerfile, locked requirements, and the script that finishes an image from within."""

_BUILD_SECONDS = 900  # between two signs of life from the engine


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the engine has."""

    tag: str
    id: str
    size_bytes: int
    version: str | None
    """`VERSION` when it is ours and fits this release; None for an image of somebody else's."""
    user: str
    """Whom its containers run as: `10001:10001` in ours, empty for root."""


@dataclass(frozen=True, slots=True)
class Built:
    """An image that was just built."""

    tag: str
    id: str
    size_bytes: int
    seconds: float


async def inspect(tag: str = DEFAULT_IMAGE) -> Image:
    """What the engine knows of an image. Raises ImageMissing, or EngineUnavailable."""
    async with _engine() as client:
        return await asyncio.to_thread(_inspect, client, tag)


async def build(*, base: Base = "auto", tag: str = DEFAULT_IMAGE, say: Say, recipe: Path = RECIPE) -> Built:
    """Build the image of a recipe and call it `tag`, saying each step in one line.

    `slim` builds the Dockerfile, whose base must be here or in reach of the engine. `bootstrap` makes the same from
    Debian packages and wheels. `auto` takes the first that is possible. An image of that name is replaced only at the
    end; nothing else is left of a build that fails or is cancelled. Raises SandboxError with what to do.
    """
    started = time.monotonic()
    async with _engine() as client:
        before = await asyncio.to_thread(_find_id, client, tag)
        if base == "slim" or (base == "auto" and await _can_pull(client, recipe, say)):
            await _slim(client, tag, recipe=recipe, say=say)
        else:
            async with rootfs.rootfs(rootfs.find(), recipe, say=say) as root:
                await _import(client, tag, root=root, settings=_settings(recipe))
        await asyncio.to_thread(_drop, client, before)
        image = await asyncio.to_thread(_inspect, client, tag)
    return Built(tag, image.id, image.size_bytes, time.monotonic() - started)


@asynccontextmanager
async def _engine() -> AsyncIterator[DockerClient]:
    """A client in which every failure of the engine is a SandboxError of one line."""
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = await asyncio.to_thread(docker.from_env, timeout=_BUILD_SECONDS)
    except DockerException as error:
        raise EngineUnavailable(f"no Docker engine answers ({_line(error)}); start one, or set DOCKER_HOST") from error
    try:
        yield client
    except (DockerException, RequestException) as error:
        raise SandboxError(f"the Docker engine failed: {_line(error)}") from error
    finally:
        client.close()


def _line(error: Exception) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:300]


def _inspect(client: DockerClient, tag: str) -> Image:
    from docker.errors import ImageNotFound

    try:
        attributes = client.images.get(tag).attrs
    except ImageNotFound:
        raise ImageMissing(
            f"the Docker engine has no image {tag}; `moot sandbox build` makes {DEFAULT_IMAGE}"
        ) from None
    config = attributes["Config"]
    labels = config.get("Labels") or {}
    return Image(tag, attributes["Id"], attributes["Size"], labels.get("moot.image"), config.get("User", ""))


def _find_id(client: DockerClient, tag: str) -> str | None:
    try:
        return _inspect(client, tag).id
    except ImageMissing:
        return None


def _drop(client: DockerClient, image: str | None) -> None:
    """Remove an image that has no name (any more), unless something still uses it."""
    from docker.errors import APIError, ImageNotFound

    try:
        if image is not None:
            names = client.images.get(image).attrs
            if not names.get("RepoTags") and not names.get("RepoDigests"):
                client.images.remove(image)
    except (ImageNotFound, APIError):
        return


async def _can_pull(client: DockerClient, recipe: Path, say: Say) -> bool:
    """Whether the engine has the Dockerfile's base or its registry answers for it; says so when not."""
    from docker.errors import APIError, ImageNotFound

    found = re.search(r"^ARG BASE=(\S+)", (recipe / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    try:
        await asyncio.to_thread(client.images.get, found[1])
    except ImageNotFound:
        try:
            await asyncio.to_thread(client.api.inspect_distribution, found[1])
        except APIError as error:
            say(f"no base image can be pulled ({_line(error)}); Debian packages and wheels instead, about a minute")
            return False
    return True


async def _slim(client: DockerClient, tag: str, *, recipe: Path, say: Say) -> None:
    loop = asyncio.get_running_loop()
    build = _Build(client, lambda line: loop.call_soon_threadsafe(say, line))
    await _stoppable(lambda: build.follow(tag, recipe), build.stop)


class _Build:
    """A build of a Dockerfile that the engine is at; its steps are known only from what the engine prints."""

    def __init__(self, client: DockerClient, say: Callable[[str], object]) -> None:
        self._client = client
        self._say = say
        self._stopped = False
        self._container: str | None = None
        self._layer: str | None = None
        self._step, self._since = "", 0.0

    def follow(self, tag: str, recipe: Path) -> None:
        """Build to the end, saying each step. Blocks."""
        events = self._client.api.build(path=str(recipe), tag=tag, rm=True, forcerm=True, decode=True)
        try:
            with closing(events):
                for event in events:
                    if self._stopped and "status" in event:  # it is pulling, which ends when we go
                        raise SandboxError("the build was cancelled")
                    if "error" in event:
                        raise SandboxError(f"the image could not be built: {' '.join(event['error'].split())}")
                    self._hear(event.get("stream", ""))
        except SandboxError:
            _drop(self._client, self._layer)
            raise
        self._finish_step()

    def _hear(self, text: str) -> None:
        if text.startswith("Step "):
            self._finish_step()
            self._step, self._since = text.strip()[:100], time.monotonic()
        elif found := re.search(r"---> Running in ([0-9a-f]{12,})", text):
            self._container = found[1]
        elif found := re.search(r"---> ([0-9a-f]{12,})\n?$", text):
            self._layer, self._container = found[1], None

    def _finish_step(self) -> None:
        if self._step:
            self._say(f"{self._step}: {time.monotonic() - self._since:.1f} s")

    def stop(self) -> None:
        """Make `follow` return soon, by killing the step that runs; its clean-up is then waited for. Blocks."""
        from docker.errors import APIError

        self._stopped = True
        if self._container is not None:
            with suppress(APIError):  # not started yet, or over: asked again until the build has ended
                self._client.api.kill(self._container)


async def _import(client: DockerClient, tag: str, *, root: Path, settings: list[str]) -> None:
    command = ["tar", "--create", "--numeric-owner", "--directory", str(root), "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:  # noqa: ASYNC220 - read in a thread, by docker-py
        try:
            await _stoppable(lambda: _send(client, tag, tar=tar, settings=settings), tar.kill)
        finally:
            tar.kill()


def _send(client: DockerClient, tag: str, *, tar: subprocess.Popen[bytes], settings: list[str]) -> None:
    from docker.utils import parse_repository_tag

    name, version = parse_repository_tag(tag)
    said = client.api.import_image_from_stream(_pieces(tar), repository=name, tag=version or "latest", changes=settings)
    if '"error"' in said:
        raise SandboxError(f"the image could not be imported: {_line(Exception(said))}")


def _pieces(tar: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """What tar writes. Raises rather than ends when it is cut short, so that no half image is taken for a whole one."""
    assert tar.stdout is not None
    while piece := tar.stdout.read(1 << 20):
        yield piece
    if tar.wait() != 0:
        raise SandboxError(f"tar ended with {tar.returncode}; is the disk full?")


def _settings(recipe: Path) -> list[str]:
    """The lines of the Dockerfile that say how the image is run; both ways of building share them."""
    lines = (recipe / "Dockerfile").read_text().splitlines()
    return [line for line in lines if line.split(" ")[0] in {"ENV", "WORKDIR", "USER", "LABEL", "CMD"}]


async def _stoppable(work: Callable[[], None], stop: Callable[[], None]) -> None:
    """Run blocking work in a thread. When we are cancelled `stop` is called, again and again, until it has ended.

    Within bounds: a daemon thread, so that an engine which hangs does not keep the process alive.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[BaseException | None] = loop.create_future()

    def thread() -> None:
        failure: BaseException | None = None
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where the work was asked for
            failure = error
        with suppress(RuntimeError):  # the loop is gone when nobody waits any more
            loop.call_soon_threadsafe(done.set_result, failure)

    threading.Thread(target=thread, name="moot-image", daemon=True).start()
    try:
        failure = await asyncio.shield(done)
    except asyncio.CancelledError:
        for _ in range(50):
            await asyncio.to_thread(stop)
            await asyncio.wait([done], timeout=0.1)
            if done.done():
                break
        raise
    if failure is not None:
        raise failure
