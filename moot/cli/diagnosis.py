"""What `doctor` looks at. Names of keys are told, never their values."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from moot.agents.providers import PROVIDERS
from moot.chats.home import DATABASE, home
from moot.chats.sqlite_faults import cannot_open
from moot.chats.sqlite_schema import SCHEMA_VERSION, reading
from moot.cli.exit_codes import ExitCode
from moot.cli.words import size
from moot.sandbox.errors import SandboxError

NEEDED = ("autogen-agentchat", "autogen-core", "autogen-ext", "docker", "pydantic", "pyyaml", "rich", "typer")
PINNED = {"autogen-agentchat": "0.7.5", "autogen-ext": "0.7.5"}
ENOUGH_BYTES = 1_000_000_000
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. A `code` of 0 says that Moot works without it."""

    name: str
    ok: bool
    detail: str
    code: ExitCode = ExitCode.GOAL


async def diagnose() -> list[Finding]:
    """Everything, in the order in which it is needed."""
    return [_python(), *_packages(), _home(), *_journals(), _disk(), await _image(), *_keys()]


def _python() -> Finding:
    where = f"{platform.python_version()} at {sys.executable}"
    return Finding("python", sys.version_info >= (3, 11), where, ExitCode.FAILED)


def _packages() -> Iterator[Finding]:
    wrong = []
    for name in NEEDED:
        found = _version(name)
        if found is None:
            wrong.append(f"{name} is missing")
        elif found != PINNED.get(name, found):
            wrong.append(f"{name} is {found}, {PINNED[name]} is needed")
    detail = "; ".join(wrong) or f"autogen {_version('autogen-agentchat')}, docker {_version('docker')}"
    yield Finding("packages", not wrong, detail, ExitCode.FAILED)
    lacking = {one.kind: one.install for one in PROVIDERS.values() if one.missing_package}
    detail = "; ".join(f"{kind}/ models are not installed: {install}" for kind, install in lacking.items())
    yield Finding("models", not lacking, detail or f"{', '.join(PROVIDERS)} installed; moot models list says more")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _home() -> Finding:
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding("data", True, str(folder))
    except OSError as error:
        detail = f"{folder} cannot be written ({error.strerror}): set MOOT_HOME to a writable folder"
        return Finding("data", False, detail, ExitCode.FAILED)


def _journals() -> Iterator[Finding]:
    """The file that runs are kept in, where there is one; it is not changed."""
    path = home() / DATABASE
    if not os.path.lexists(path):
        return
    try:
        with closing(reading(path)) as db:
            wrong = _flaw(db)
    except sqlite3.Error as error:
        wrong = str(cannot_open(path, error))
    yield Finding("journals", not wrong, f"{path}: {wrong}" if wrong else str(path), ExitCode.FAILED)


def _flaw(db: sqlite3.Connection) -> str:
    """What is wrong with a file of journals; empty where nothing is. Raises sqlite3.Error."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version > SCHEMA_VERSION:
        return f"it was written by a newer Moot (schema {version}, this one knows {SCHEMA_VERSION}): upgrade Moot"
    if (tables or version) and not {"run", "event"} <= tables:
        return "it is a database of something else: set MOOT_HOME to another folder"
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else f"it is damaged ({' '.join(str(found).split())}): put a backup in its place"


def _disk() -> Finding:
    folder: Path = home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return Finding("disk", free > ENOUGH_BYTES, f"{size(free)} free", ExitCode.GOAL)


async def _image() -> Finding:
    from moot.sandbox.images import VERSION, inspect

    try:
        image = await asyncio.wait_for(inspect(), PATIENCE_SECONDS)
    except TimeoutError:
        detail = f"the Docker engine did not answer in {PATIENCE_SECONDS:g} seconds"
        return Finding("sandbox", False, detail, ExitCode.NO_SANDBOX)
    except SandboxError as error:
        return Finding("sandbox", False, str(error), ExitCode.NO_SANDBOX)
    if image.version != VERSION:
        detail = f"{image.tag} is version {image.version or 'unknown'}, {VERSION} is needed: moot sandbox build"
        return Finding("sandbox", False, detail, ExitCode.NO_SANDBOX)
    return Finding("sandbox", True, f"{image.tag}, {size(image.size_bytes)}")


def _keys() -> Iterator[Finding]:
    keys = [one.key for one in PROVIDERS.values() if one.key]
    there = [key for key in keys if os.environ.get(key)]
    detail = f"{', '.join(there)} set" if there else f"none of {', '.join(keys)} is set"
    yield Finding("keys", bool(there), detail + ("" if there else " (playbook and local models need none)"))
