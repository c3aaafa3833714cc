"""Tools by name: `tools.py:publish`, a function in a file, and `acme.web:search`, one in an installed module.

To load one is to run its file: that is done when a chat is checked or made, and when its run is resumed. A file is
imported by itself, under a name that nobody else uses; `sys.path` is left alone, so it can import what is installed
and not what lies beside it.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class ToolError(ValueError):
    """Something cannot be a tool, or cannot be found. The message says which and why."""


@dataclass(frozen=True, slots=True)
class LoadedTool:
    """What a name stands for. `path` and `digest` (SHA-256, in hex) are those of the file, where it came from one."""

    name: str
    found: object
    path: Path | None = None
    digest: str = ""

    def then(self, make: Callable[[object], T]) -> T:
        """What is made of it. Raises ToolError with the name."""
        try:
            return make(self.found)
        except ToolError as error:
            raise ToolError(f"{self.name}: {error}") from None


def load_object(name: str, base: Path) -> LoadedTool:
    """What `FILE.py:NAME` or `MODULE:NAME` stands for. A file must lie in the folder `base`, or in one below it, so
    that whoever is given the folder has all of it. Raises ToolError.
    """
    place, colon, called = name.rpartition(":")
    if not (colon and place and called.isidentifier()):
        raise ToolError(f"{name!r} names no tool: expected FILE.py:NAME or MODULE:NAME")
    if not place.endswith(".py"):
        return LoadedTool(name, _member(_module(name, place), called, name))
    return load_from(name, _below(name, place, base))


def load_from(name: str, path: Path) -> LoadedTool:
    """The same of a file that is known already, wherever `name` says that it is. Raises ToolError."""
    data = _read(name, path)
    found = _member(_imported(name, path, data), name.rpartition(":")[2], name)
    return LoadedTool(name, found, path, sha256(data).hexdigest())


def _below(name: str, place: str, base: Path) -> Path:
    if Path(place).is_absolute():
        raise ToolError(f"{name}: a file of tools lies beside the chat file: give its path from there")
    path = (base / place).resolve()
    if not path.is_relative_to(base.resolve()):
        raise ToolError(f"{name}: {path} lies outside of {base.resolve()}: only files in it and below are taken")
    if not path.is_file():
        near = _nearest(Path(place).name, sorted(each.name for each in path.parent.glob("*.py")))
        raise ToolError(f"{name}: there is no file {path}{near}")
    return path


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ToolError(f"{name}: cannot read {path}: {error.strerror}") from error


def _imported(name: str, path: Path, data: bytes) -> ModuleType:
    """The file as a module: once for each content, and from exactly this one."""
    private = f"_moot_tools_{sha256(str(path).encode() + data).hexdigest()[:24]}"
    if private in sys.modules:
        return sys.modules[private]
    module = ModuleType(private)
    module.__file__ = str(path)
    sys.modules[private] = module  # dataclasses and pydantic look their module up while it runs
    try:
        with redirect_stdout(sys.stderr):  # what is printed meanwhile is no result of a command
            exec(compile(data, str(path), "exec"), module.__dict__)  # noqa: S102 - no stale bytecode, and none left
    except BaseException as error:
        del sys.modules[private]
        if not isinstance(error, Exception | SystemExit):
            raise
        raise ToolError(f"{name}: {_where(error, path)}: {_words(error, path)}") from error
    return module


def _module(name: str, module: str) -> ModuleType:
    if not _MODULE.fullmatch(module):
        raise ToolError(f"{name!r} names no tool: expected FILE.py:NAME or MODULE:NAME")
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise ToolError(f"{name}: there is no module {error.name!r}: it must be installed where moot is") from None
        raise ToolError(f"{name}: cannot be imported: {_words(error, None)}") from error
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise ToolError(f"{name}: cannot be imported: {_words(error, None)}") from error


def _member(module: ModuleType, called: str, name: str) -> object:
    if not hasattr(module, called):
        known = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise ToolError(f"{name}: there is no {called!r} in it{_nearest(called, known)}")
    found: object = getattr(module, called)
    return found


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _where(error: BaseException, path: Path) -> str:
    """The line of the file at which it went wrong."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"line {lines[-1]}" if lines else "cannot be imported"


def _words(error: BaseException, path: Path | None) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    said = " ".join(f"{type(error).__name__}: {text}".rstrip(": ").split())[:300]
    if path is None or not isinstance(error, ModuleNotFoundError) or error.name is None:
        return said
    beside = path.parent / error.name.partition(".")[0]
    if beside.is_dir() or beside.with_suffix(".py").is_file():
        return f"{said}; it lies beside the file, which is imported by itself: put both in one file, or install them"
    return said
