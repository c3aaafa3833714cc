"""What is told when there is no sandbox to be had. Each message is one line and says what to do."""

import io
import tarfile
import uuid
from collections.abc import Iterator

import docker
import pytest
import requests
from urllib3.exceptions import ProtocolError

from moot.sandbox.check import _probed, _user, check
from moot.sandbox.docker import DEFAULT_IMAGE, Docker
from moot.sandbox.engine import _missing, _translated
from moot.sandbox.errors import EngineUnavailable, ImageMissing, ImageUnusable, RuntimeMissing, SandboxError
from moot.sandbox.prune import prune

NOWHERE = "unix:///nonexistent/docker.sock"


def tarred(path: str, text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(text), 0o755
        tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.fixture
def tag(client: docker.DockerClient) -> Iterator[str]:
    """Names an image of this test alone, which is removed afterwards."""
    tag = uuid.uuid4().hex[:12]
    yield tag
    client.images.remove(f"moot-test/fault:{tag}")


async def opening(spec: Docker) -> SandboxError:
    with pytest.raises(SandboxError) as caught:
        async with spec.open(run="fault"):
            pytest.fail("it was opened")
    assert "\n" not in str(caught.value)
    return caught.value


async def checking(spec: Docker) -> SandboxError:
    with pytest.raises(SandboxError) as caught:
        await spec.check()
    return caught.value


async def test_no_engine() -> None:
    spec = Docker(engine=NOWHERE)
    for error in (await opening(spec), await checking(spec)):
        assert isinstance(error, EngineUnavailable)
        assert str(error).startswith(f"the Docker engine at {NOWHERE} does not answer; start it")
    with pytest.raises(EngineUnavailable):
        await prune(NOWHERE)
    assert [(found.name, found.ok) for found in await check(spec)] == [("EngineUnavailable", False)]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (NOWHERE, "no such file or directory"),
        ("tcp://127.0.0.1:1", "connection refused"),
        ("tcp://127.0.0.1:99999", "Port out of range 0-65535"),
        ("nonsense://x", "Invalid bind address protocol: nonsense://x"),
    ],
)
async def test_no_engine_is_told_in_the_words_of_the_operating_system_alone(address: str, reason: str) -> None:
    error = str(await checking(Docker(engine=address)))
    what = "does not answer; start it (for instance `systemctl start docker`), or set DOCKER_HOST"
    assert error.startswith(f"the Docker engine at {address} {what} (")
    assert error.endswith(f"{reason})")
    assert len(error) < 200


async def test_an_engine_that_may_not_be_used_says_who_may() -> None:
    def refuse() -> None:
        raise requests.exceptions.ConnectionError(
            ProtocolError("Connection aborted.", PermissionError(13, "Permission denied"))
        )

    with pytest.raises(EngineUnavailable) as caught:
        _translated("unix:///run/docker.sock", refuse)
    assert str(caught.value) == (
        "the Docker engine at unix:///run/docker.sock may not be used by this user; "
        "add the user to the group `docker`, or run as root (permission denied)"
    )


async def test_an_engine_that_does_not_answer_in_time_says_so() -> None:
    def wait() -> None:
        raise requests.exceptions.ReadTimeout("HTTPConnectionPool(host='x', port=1): Read timed out. (read timeout=30)")

    with pytest.raises(EngineUnavailable, match=r"\(no answer in time\)$"):
        _translated("tcp://x:1", wait)


async def test_docker_host_is_honoured_when_no_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    assert isinstance(await checking(Docker()), EngineUnavailable)


async def test_an_address_that_is_none_is_an_unavailable_engine() -> None:
    assert isinstance(await checking(Docker(engine="nonsense://x")), EngineUnavailable)
    assert isinstance(await checking(Docker(engine="tcp://127.0.0.1:1")), EngineUnavailable)


async def test_an_image_that_is_missing_says_how_to_get_it() -> None:
    spec = Docker(image="no/such:1")
    for error in (await opening(spec), await checking(spec)):
        assert isinstance(error, ImageMissing)
        assert str(error) == "the engine has no image 'no/such:1'; get it with `docker pull no/such:1`, or build it"


def test_our_own_image_is_built_with_our_own_command() -> None:
    assert str(_missing(DEFAULT_IMAGE)).endswith("get it with `moot sandbox build`")


async def test_a_name_that_cannot_be_an_image_is_refused_in_one_line() -> None:
    assert isinstance(await opening(Docker(image="No Such Image!")), SandboxError)


async def test_an_image_without_python(client: docker.DockerClient, tag: str) -> None:
    client.api.import_image_from_data(tarred("bin/note", "no python here"), repository="moot-test/fault", tag=tag)
    error = await opening(Docker(image=f"moot-test/fault:{tag}"))
    assert isinstance(error, ImageUnusable)
    assert "has no python3; use one with Python 3.9 or newer, such as moot/python:1" in str(error)


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo 'python 3.6 is too old' >&2", "python 3.6 is too old"), ("exit 0", "it ended without a word")],
)
async def test_an_image_whose_python_does_not_carry_our_program(
    client: docker.DockerClient, image: str, tag: str, script: str, reason: str
) -> None:
    made = client.containers.create(image, "true")
    made.put_archive("/usr/local/bin", tarred("python3", f"#!/bin/sh\n{script}\n"))
    made.commit("moot-test/fault", tag)
    made.remove()
    error = await opening(Docker(image=f"moot-test/fault:{tag}"))
    assert isinstance(error, ImageUnusable)
    assert reason in str(error)


async def test_a_volume_that_the_image_declares_is_no_place_to_write(
    client: docker.DockerClient, image: str, tag: str
) -> None:
    """It would be a folder on the host's disk, without any limit."""
    made = client.containers.create(image, "true")
    made.commit("moot-test/fault", tag, changes=["VOLUME /data"])
    made.remove()
    async with Docker(image=f"moot-test/fault:{tag}").open() as box:
        done = await box.run("open('/data/x', 'w')")
        assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr
        mounts = client.api.inspect_container(box.name)["Mounts"]
        assert [mount for mount in mounts if mount["Type"] == "volume"] == []


async def test_a_runtime_that_the_engine_does_not_know(image: str) -> None:
    spec = Docker(image=image, runtime="no-such-runtime")
    for error in (await opening(spec), await checking(spec)):
        assert isinstance(error, RuntimeMissing)
        assert "the engine has no runtime 'no-such-runtime', only " in str(error)


async def test_the_runtime_of_the_engine_itself_is_accepted(image: str) -> None:
    async with Docker(image=image, runtime="runc").open() as box:
        assert (await box.run("1 + 1")).value == "2"


async def test_a_sound_image_passes_the_check(image: str) -> None:
    found = await check(Docker(image=image))
    assert [each for each in found if not each.ok] == []
    assert [each.name for each in found] == [
        "engine and image",
        "python",
        "user",
        "privileges",
        "file system",
        "network",
        "memory",
        "processes",
        "files",
        "figures",
        "timeout",
    ]


async def test_the_check_tells_which_promise_an_image_breaks(image: str) -> None:
    """An interpreter that lies about its user is enough to see that answers are looked at."""
    async with Docker(image=image).open() as box:
        await box.run("import os\nos.getuid = lambda: 0")
        assert (await _probed("user", _user, box)).ok is False
        await box.run("os.getgid = None")
        found = await _probed("user", _user, box)
        assert (found.ok, found.detail) == (
            False,
            "could not be looked at: TypeError: 'NoneType' object is not callable",
        )
