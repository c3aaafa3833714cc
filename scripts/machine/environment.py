"""The project's own environment: .venv with uv in it, everything of requirements.lock, and Moot itself, editable."""

import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from scripts.machine import debian
from scripts.machine.step import StepError, run, step

# The system's certificates, for machines behind a company's own; and never a Python from the network.
UV = {"UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}

CONTENT = ("requirements.lock", "pyproject.toml")
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def prepare(root: Path) -> None:
    """Make .venv what the lock says. Does nothing when the stamp of the last time still fits."""
    venv = root / ".venv"
    python, uv, stamp = venv / "bin" / "python", venv / "bin" / "uv", venv / "moot-ready"
    content = _content(root)
    before = stamp.read_text().splitlines() if stamp.is_file() else []
    if before == [_place(root), content]:
        return
    if before[:1] not in ([], [_place(root)]) or not _is_whole(python, uv):
        _make(venv)
    stamp.write_text(f"{_place(root)}\n")
    lock = root / "requirements.lock"
    if not _works(uv, "--version"):
        _get_uv(python, lock)
    with step(f"installing what {lock.name} holds into .venv"):
        install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
        run([*install, "--require-hashes", "--requirement", lock], environment=UV)
        # The backend is locked too, so nothing is fetched to build the project.
        run([*install, "--no-build-isolation", "--no-deps", "--editable", root], environment=UV)
    stamp.write_text(f"{_place(root)}\n{content}\n")


def _is_whole(python: Path, uv: Path) -> bool:
    """Whether this .venv can be built upon: it may be half made, or have lost its Python to an upgrade."""
    if not _works(python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"):
        return False
    return _works(uv, "--version") or _works(python, "-m", "pip", "--version")


def _place(root: Path) -> str:
    """Where the environment lies and which Python it was made with: its scripts name the one, its folders the other."""
    return f"{root} {(root / '.venv/bin/python').resolve()}"


def _content(root: Path) -> str:
    """Changes with the lock and with the build settings."""
    return hashlib.sha256(b"".join((root / name).read_bytes() for name in CONTENT)).hexdigest()


def _works(program: Path, *arguments: str) -> bool:
    try:
        run([program, *arguments])
    except (StepError, OSError):
        return False
    return True


def _make(venv: Path) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    if importlib.util.find_spec("ensurepip") is None:
        elsewhere = f"install the venv module of Python {version}"
        debian.install("Python's venv module is missing", "python3-venv", elsewhere=elsewhere)
    with step(f"making .venv with Python {version}"):
        if venv.exists():
            shutil.rmtree(venv)
        try:
            run([sys.executable, "-m", "venv", venv])
        except BaseException:
            shutil.rmtree(venv, ignore_errors=True)
            raise


def _get_uv(python: Path, lock: Path) -> None:
    """Install the locked uv with pip, by its hashes."""
    pinned = re.search(r"^uv==.*\n(?:    .*\n)+", lock.read_text(), re.MULTILINE)
    if pinned is None:
        raise StepError(f"{lock} does not hold uv")
    certificates = {} if _knows_certificates(python) else {"PIP_CERT": str(SYSTEM_CERTIFICATES)}
    with step("getting uv into .venv"), tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(pinned.group())
        requirements.flush()
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
        command: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            *quiet,
            "--require-hashes",
            "--requirement",
            requirements.name,
        ]
        run(command, environment=certificates)


def _knows_certificates(python: Path) -> bool:
    """Whether pip is to be left alone: it trusts its own list of authorities unless somebody told it better."""
    told = "PIP_CERT" in os.environ or ".cert=" in run([python, "-m", "pip", "config", "list"])
    return told or not SYSTEM_CERTIFICATES.is_file()
