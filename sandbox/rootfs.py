"""The root file system of the sandbox image, made from Debian packages and Python wheels where none can be pulled.

Needs a Debian machine and root, as debootstrap makes device nodes and changes its root. About 45 s, 700 MB of disk.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from moot.sandbox.errors import SandboxError

SUITE = "bookworm"
PYTHON = "3.11"  # the suite's own
LARGE_FILES = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


@dataclass(frozen=True, slots=True)
class Debian:
    """What this machine gives: a package mirror, and how wheels are installed."""

    mirror: str
    wheels: tuple[str, ...]


def find(apt: Path = Path("/etc/apt")) -> Debian:
    """Look at this machine; raise SandboxError with the first thing it lacks and what to do."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SandboxError("an image is made from Debian packages by root only; run it with sudo, or pull a base image")
    if shutil.which("debootstrap", path=_PATH) is None:
        raise SandboxError("debootstrap is missing; `apt-get install --no-install-recommends debootstrap` brings it")
    mirror = find_mirror(apt)
    if mirror is None:
        raise SandboxError(
            f"no Debian mirror in {apt}/sources.list or {apt}/sources.list.d; this needs a Debian machine"
        )
    return Debian(mirror, _installer())


def find_mirror(apt: Path) -> str | None:
    """The mirror of this machine's own packages, from the one-line or the deb822 format; None if it has none.

    Security and third-party archives do not hold a whole system and are passed over.
    """
    suites = {SUITE}
    with suppress(OSError):
        suites.add(platform.freedesktop_os_release().get("VERSION_CODENAME", SUITE))
    fits = [
        uri
        for uri, suite, components in _sources(apt)
        if suite in suites and "main" in components and uri.startswith(("http://", "https://", "file:/"))
    ]
    # A vendor's archive may use the same suite and component; Debian's own and its mirrors end in /debian.
    return min(fits, key=lambda uri: not uri.rstrip("/").endswith("/debian"), default=None)


def _sources(apt: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Each (uri, suite, components) of binary packages."""
    folder = apt / "sources.list.d"
    for file in [apt / "sources.list", *sorted(folder.glob("*.list"))]:
        for line in file.read_text().splitlines() if file.is_file() else []:
            words = re.sub(r"\[[^]]*\]", " ", line.partition("#")[0]).split()
            if len(words) > 3 and words[0] == "deb":
                yield words[1], words[2], words[3:]
    for file in sorted(folder.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text()):
            text = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
            fields = {
                name.lower(): value.split()
                for name, value in re.findall(r"^([\w-]+):((?:.*\n?)(?:[ \t].*\n?)*)", text, re.MULTILINE)
            }
            if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"])[0].lower() != "no":
                for uri in fields.get("uris", []):
                    for suite in fields.get("suites", []):
                        yield uri, suite, fields.get("components", [])


def _installer() -> tuple[str, ...]:
    """The command that unpacks locked wheels for the image's Python, whatever Python this is."""
    wanted = ("--python-version", PYTHON, "--only-binary", ":all:", "--require-hashes", "--no-deps")
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), _PATH]))
    if uv is not None:
        # Copied, not linked: the image's files are changed, and uv's cache must not be.
        return (uv, "pip", "install", "--quiet", "--python", sys.executable, "--link-mode", "copy", *wanted)
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-input", *wanted)
    raise SandboxError(f"neither uv nor pip is at hand; `{sys.executable} -m ensurepip` brings pip")


@asynccontextmanager
async def rootfs(
    debian: Debian, recipe: Path, *, say: Callable[[str], None], folder: Path = LARGE_FILES
) -> AsyncIterator[Path]:
    """Make the root file system from the recipe's requirements and finish.sh; it is gone when the block is left.

    `folder` must have room and allow device nodes: /tmp is often in memory, or mounted without them.
    """
    work = Path(tempfile.mkdtemp(prefix="moot-image-", dir=folder))
    root = work / "root"
    try:
        with _timed(say, f"Debian packages from {debian.mirror}"):
            await _debootstrap(debian.mirror, root)
        with _timed(say, "Python packages"):
            target = root / f"usr/local/lib/python{PYTHON}/dist-packages"
            requirements = str(recipe / "requirements.txt")
            system = {"UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never"}
            await run([*debian.wheels, "--target", str(target), "--requirement", requirements], environment=system)
            shutil.rmtree(target / "bin", ignore_errors=True)
        with _timed(say, "compiled and cached"):
            (root / "opt/sandbox").mkdir(parents=True)
            for name in ("requirements.txt", "finish.sh"):
                shutil.copy(recipe / name, root / "opt/sandbox" / name)
            inside = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
            await run(["chroot", str(root), "/bin/sh", "/opt/sandbox/finish.sh"], environment=inside)
        yield root
    finally:
        await asyncio.to_thread(shutil.rmtree, work)


async def _debootstrap(mirror: str, root: Path) -> None:
    command = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", SUITE, str(root), mirror]
    # In a mount namespace of its own: what it mounts (/proc) is gone with it, however it ends.
    await run(["unshare", "--mount", *command], environment={})


@contextmanager
def _timed(say: Callable[[str], None], what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - started:.1f} s")


async def run(command: Sequence[str], *, environment: Mapping[str, str]) -> None:
    """Run a program to its end; raise SandboxError with its last line if it fails. All it started dies with us."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "PATH": _PATH, "LC_ALL": "C.UTF-8", **environment},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        await _end(process.pid)
        raise
    if process.returncode != 0:
        lines = output.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise SandboxError(f"{Path(command[0]).name} ended with {process.returncode}: {lines[-1].strip()}")


async def _end(group: int) -> None:
    """Kill a process group and see it gone: what still dies could write into a folder that is being removed."""
    deadline = time.monotonic() + 5.0  # a zombie that nobody reaps stays in its group for ever
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, signal.SIGKILL)
            await asyncio.sleep(0.02)
