"""Debian and Ubuntu: what apt-get has to bring before anything else works."""

import os
import platform
from functools import cache

from scripts.machine.step import BlockedError, StepError, run, step


@cache
def is_debian() -> bool:
    """Whether apt-get is this machine's way to install programs."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return "debian" in {release.get("ID", ""), *release.get("ID_LIKE", "").split()}


def install(problem: str, *packages: str, elsewhere: str) -> None:
    """Install packages, without what they merely recommend (docker.io: 15 packages instead of 71).

    `problem` says what is missing without them; `elsewhere` is the command that helps where apt-get does not exist.
    """
    names = " ".join(packages)
    if not is_debian():
        raise BlockedError(problem, elsewhere)
    if os.geteuid() != 0:
        raise BlockedError(
            problem, f"sudo apt-get update && sudo apt-get install --yes --no-install-recommends {names}"
        )
    with step(f"installing {names} from the system's packages"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
        try:
            # A fresh machine has no lists at all; a broken list of others must not keep us from Debian's packages.
            run([*apt, "update"], environment=quiet)
        except StepError as failed:
            stale = str(failed)
        else:
            stale = ""
        try:
            run([*apt, "install", "--yes", "--no-install-recommends", *packages], environment=quiet)
        except StepError as failed:
            raise StepError("\n".join(filter(None, [stale, str(failed)]))) from None
