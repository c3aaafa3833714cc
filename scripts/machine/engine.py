"""The Docker engine: found where DOCKER_HOST says, started where it sleeps, installed where Debian can."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scripts.machine import debian
from scripts.machine.step import BlockedError, StepError, run, step

DEFAULT_HOST = "unix:///var/run/docker.sock"
GET_DOCKER = {
    "darwin": "brew install --cask docker && open -a Docker",
    "linux": "curl -fsSL https://get.docker.com | sudo sh",
}.get(sys.platform, "install Docker Engine")
LOG = Path("/var/log/dockerd.log")
PID_FILES = {Path("/var/run/docker.pid"): "dockerd", Path("/var/run/docker/containerd/containerd.pid"): "containerd"}
# Programs of the administrator are often not on the path of a plain shell, and dockerd needs iptables.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class Answer:
    """What the engine said: an HTTP status and a body."""

    status: int
    body: bytes


class _OverSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def host() -> str:
    """Where the engine is looked for, as docker-py does."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def ask(path: str, *, timeout_seconds: float = 10.0) -> Answer:
    """One GET to the engine. Raises OSError when nothing answers, PermissionError when we may not ask."""
    where = urlsplit(host())
    if where.scheme == "unix":
        connection: http.client.HTTPConnection = _OverSocket(where.path, timeout_seconds)
    elif where.scheme in {"tcp", "http"} and not os.environ.get("DOCKER_TLS_VERIFY"):
        connection = http.client.HTTPConnection(where.hostname or "", where.port or 2375, timeout=timeout_seconds)
    else:
        raise BlockedError(f"setup cannot ask an engine at {host()}", "use a unix:// or tcp:// address in DOCKER_HOST")
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def answers() -> bool:
    """Whether an engine is there for us. Raises BlockedError when it is, but for others only."""
    try:
        return ask("/_ping").status == http.HTTPStatus.OK
    except PermissionError:
        command = 'sudo usermod --append --groups docker "$USER" && newgrp docker'
        raise BlockedError(f"a Docker engine is there, but you may not use {host()}", command) from None
    except OSError:
        return False


def prepare(root: Path) -> None:
    """Make sure that an engine answers; `root` is not needed."""
    del root
    if answers():
        return
    if host() != DEFAULT_HOST:
        raise BlockedError(
            f"no Docker engine answers at DOCKER_HOST={host()}", "start that engine, or: unset DOCKER_HOST"
        )
    for own in _of_this_user():
        if own.is_socket():  # an engine without root; docker-py does not look there by itself
            raise BlockedError(
                f"no Docker engine answers at {host()}, but you have your own", f"export DOCKER_HOST=unix://{own}"
            )
    if shutil.which("dockerd", path=PATH) is None:
        debian.install("there is no Docker engine", "docker.io", "iptables", elsewhere=GET_DOCKER)
    if answers():  # on some machines the package starts it
        return
    if Path("/run/systemd/system").is_dir():
        _start_service()
    else:
        _start_by_hand()


def _of_this_user() -> list[Path]:
    """Where rootless Docker and Docker Desktop keep their sockets."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    return [Path(runtime, "docker.sock"), Path.home() / ".docker" / "run" / "docker.sock"]


def _start_service() -> None:
    if os.geteuid() != 0:
        raise BlockedError("the Docker engine is not running", "sudo systemctl start docker")
    with step("starting the Docker service"):
        run(["systemctl", "start", "docker"])
        _wait(None)


def _start_by_hand() -> None:
    """Start dockerd in a session of its own where no init system would. It stays when we end, as a service would."""
    if os.geteuid() != 0:
        raise BlockedError("the Docker engine is not running", "sudo service docker start")
    with step(f"starting dockerd (it stays; its log is {LOG})"):
        dockerd = None
        if not _clear_stale_pids():
            with LOG.open("ab") as log:
                dockerd = subprocess.Popen(
                    ["dockerd"],
                    cwd="/",
                    env={**os.environ, "PATH": PATH},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        _wait(dockerd)


def _clear_stale_pids() -> bool:
    """Remove pid files left by a crash: dockerd refuses to start over one whose number some process has.

    Returns whether a real dockerd lives: it may just be coming up.
    """
    alive = False
    for file, name in PID_FILES.items():
        try:
            comm = Path("/proc", file.read_text().strip(), "comm").read_text().strip()
        except OSError:
            comm = ""
        if comm != name:
            file.unlink(missing_ok=True)
        elif name == "dockerd":
            alive = True
    return alive


def _wait(dockerd: "subprocess.Popen[bytes] | None", *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not answers():
        if dockerd is not None and dockerd.poll() is not None and not _clear_stale_pids():
            raise StepError(f"dockerd ended with {dockerd.returncode}; {_last_words()}")
        if time.monotonic() > deadline:
            raise StepError(f"the Docker engine did not answer at {host()} within {seconds:.0f} s; {_last_words()}")
        time.sleep(0.1)


def _last_words() -> str:
    try:
        lines = LOG.read_text(errors="replace").splitlines()
    except OSError:
        return "`journalctl -u docker` says why"
    telling = [line for line in lines[-40:] if "level=info" not in line and "level=warning" not in line]
    return "\n".join([f"{LOG} says:", *telling[-3:]])
