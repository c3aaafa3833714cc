"""WHERE code runs: a hardened Docker sandbox with a live interpreter.

    async with Docker().open(files={"table.csv": data}) as box:
        execution = await box.run("open('table.csv').read()")

Names are loaded when they are first used, so importing this package costs nothing and never imports docker-py.
`moot.sandbox.check.check` (the self-test of an image) and `moot.sandbox.prune.prune` are imported from their files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moot.sandbox.box import Box as Box
    from moot.sandbox.docker import Docker as Docker
    from moot.sandbox.errors import EngineUnavailable as EngineUnavailable
    from moot.sandbox.errors import FileRefused as FileRefused
    from moot.sandbox.errors import ImageMissing as ImageMissing
    from moot.sandbox.errors import ImageUnusable as ImageUnusable
    from moot.sandbox.errors import InputTooLarge as InputTooLarge
    from moot.sandbox.errors import ProtocolViolation as ProtocolViolation
    from moot.sandbox.errors import RuntimeMissing as RuntimeMissing
    from moot.sandbox.errors import SandboxError as SandboxError
    from moot.sandbox.errors import SandboxGone as SandboxGone
    from moot.sandbox.errors import WorkspaceFull as WorkspaceFull
    from moot.sandbox.execution import Artifact as Artifact
    from moot.sandbox.execution import Execution as Execution
    from moot.sandbox.execution import File as File
    from moot.sandbox.execution import NotKept as NotKept
    from moot.sandbox.fake import Fake as Fake
    from moot.sandbox.spec import LANGUAGES as LANGUAGES
    from moot.sandbox.spec import OnOutput as OnOutput
    from moot.sandbox.spec import OpenBox as OpenBox
    from moot.sandbox.spec import Sandbox as Sandbox

_HOMES = {
    "Artifact": "execution",
    "Box": "box",
    "Docker": "docker",
    "EngineUnavailable": "errors",
    "Execution": "execution",
    "Fake": "fake",
    "File": "execution",
    "FileRefused": "errors",
    "ImageMissing": "errors",
    "ImageUnusable": "errors",
    "InputTooLarge": "errors",
    "LANGUAGES": "spec",
    "NotKept": "execution",
    "OnOutput": "spec",
    "OpenBox": "spec",
    "ProtocolViolation": "errors",
    "RuntimeMissing": "errors",
    "Sandbox": "spec",
    "SandboxError": "errors",
    "SandboxGone": "errors",
    "WorkspaceFull": "errors",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the table above is the one list


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
