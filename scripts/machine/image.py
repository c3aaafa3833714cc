"""The sandbox image, built once."""

import http
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.machine import debian, engine
from scripts.machine.step import StepError

NAME, VERSION = "moot/python", "1"


def prepare(root: Path) -> None:
    """Build the image unless the engine has it in our version."""
    if _present():
        return
    if not _registry_answers() and debian.is_debian() and os.geteuid() == 0 and shutil.which("debootstrap") is None:
        debian.install("no registry is in reach, and debootstrap is missing", "debootstrap", elsewhere="")
    # Its result goes where its progress goes: stdout belongs to what comes after the setup.
    command: list[str | Path] = [root / ".venv/bin/python", "-m", "moot", "sandbox", "build"]
    built = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if built.returncode != 0:
        raise StepError("the sandbox image could not be built; `.venv/bin/moot sandbox build` tries again")


def _present() -> bool:
    answer = engine.ask(f"/images/{NAME}:{VERSION}/json", timeout_seconds=60)
    if answer.status != http.HTTPStatus.OK:
        return False
    labels = json.loads(answer.body)["Config"].get("Labels") or {}
    return bool(labels.get("moot.image") == VERSION)


def _registry_answers() -> bool:
    """Whether a base image could be pulled: the engine asks the registry, nothing is fetched."""
    try:
        return engine.ask("/distribution/python:3.12-slim/json", timeout_seconds=30).status == http.HTTPStatus.OK
    except OSError:
        return False
