"""What the repository may and may not hold."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from moot.sandbox import images
from moot.sandbox.docker import DEFAULT_IMAGE
from scripts.machine import image as setup_image

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "sandbox/image/requirements.txt"]


def tracked() -> list[str]:
    """What git would commit here, by name: tracked files, and new ones that no rule ignores."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    return [name for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0") if name]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--index|--find-links|--extra|file:|^-", text, re.MULTILINE)
    pins = re.split(r"^(?=\S)", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    assert len(pins) > 10
    for pin in pins:
        assert re.match(r"[a-z0-9._-]+==\S+", pin), pin
        assert "--hash=sha256:" in pin, pin


def test_the_lock_that_holds_addresses_is_not_kept() -> None:
    assert "uv.lock" not in {Path(name).name for name in tracked()}


def test_no_file_names_the_hosts_of_a_package_registry() -> None:
    hosts = re.compile(
        r"(pypi|pythonhosted|npmjs|registry-1\.docker)\.(org|com|io)|//(deb|security|archive)\.(debian|ubuntu)"
    )
    named = []
    for name in tracked():
        file = ROOT / name
        if file.is_file() and not file.is_symlink() and file != Path(__file__):
            named += [name for line in file.read_text(errors="ignore").splitlines() if hosts.search(line)]
    assert sorted(set(named)) == []


@pytest.mark.parametrize("script", ["setup", "demo", "test", "check", "lock", "crash", "../.ci/run"])
def test_every_script_can_be_run_and_is_bash_without_mistakes(script: str) -> None:
    file = ROOT / "scripts" / script
    assert os.access(file, os.X_OK)
    assert subprocess.run(["bash", "-n", file], check=False).returncode == 0


def test_setup_looks_for_the_image_that_the_code_uses() -> None:
    assert f"{setup_image.NAME}:{setup_image.VERSION}" == DEFAULT_IMAGE
    assert setup_image.VERSION == images.VERSION


def test_git_keeps_the_links_as_links() -> None:
    modes = subprocess.check_output(["git", "ls-files", "-s", "moot"], cwd=ROOT, text=True).splitlines()
    links = {line.split("\t")[1] for line in modes if line.startswith("120000")}
    assert links == {"moot/agents", "moot/chats", "moot/sandbox", "moot/termination"}
