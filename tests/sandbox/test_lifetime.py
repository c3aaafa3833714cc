"""A container lives as long as somebody needs it, and not longer, however the end comes."""

import asyncio
import gc
import os
import signal
import sys
import threading
from pathlib import Path

import docker
import pytest

from moot.sandbox.box import Box
from moot.sandbox.docker import Docker
from moot.sandbox.engine import Engine
from moot.sandbox.errors import FileRefused, SandboxGone
from moot.sandbox.owner import LABEL_OWNER, LABEL_RUN


def names(client: docker.DockerClient) -> set[str]:
    return {name.lstrip("/") for each in client.api.containers(all=True) for name in each["Names"]}


def mine(client: docker.DockerClient, run: str) -> list[str]:
    found = client.api.containers(all=True, filters={"label": f"{LABEL_RUN}={run}"})
    return [each["Id"] for each in found]


async def test_the_container_is_hardened_and_labelled(box: Box, client: docker.DockerClient) -> None:
    seen = client.api.inspect_container(box.name)
    host, config = seen["HostConfig"], seen["Config"]
    assert config["User"] == "10001:10001"
    assert (config["OpenStdin"], config["StdinOnce"], config["Tty"]) == (True, True, False)
    assert config["Labels"][LABEL_RUN] == "test"
    assert config["Labels"][LABEL_OWNER].split(":")[2] == str(os.getpid())
    expected = {
        "CapDrop": ["ALL"],
        "ReadonlyRootfs": True,
        "NetworkMode": "none",
        "IpcMode": "private",
        "PidsLimit": 128,
        "Memory": 512 << 20,
        "MemorySwap": 512 << 20,
        "NanoCpus": 1_000_000_000,
        "ShmSize": 64 << 20,
        "AutoRemove": True,
        "Init": False,
        "Privileged": False,
        "Binds": None,
    }
    assert {key: host[key] for key in expected} == expected
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["LogConfig"]["Type"] == "none"
    assert set(host["Tmpfs"]) == {"/workspace", "/tmp"}
    assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]} == {
        "nofile": 1024,
        "fsize": 256 << 20,
        "core": 0,
    }
    assert (await box.run("import resource; resource.getrlimit(resource.RLIMIT_FSIZE)[1]")).value == str(128 << 20)


async def test_the_container_is_removed_at_the_end_of_the_block(spec: Docker, client: docker.DockerClient) -> None:
    async with spec.open() as box:
        assert box.name in names(client)
    assert box.name not in names(client)
    for use in (box.run("1"), box.put("a", b""), box.get("a"), box.list()):
        with pytest.raises(SandboxGone, match="has been closed"):
            await use
    await box.close()


async def test_the_container_is_removed_when_the_block_is_left_by_an_error(
    spec: Docker, client: docker.DockerClient
) -> None:
    with pytest.raises(LookupError):
        async with spec.open() as box:
            raise LookupError
    assert box.name not in names(client)


async def test_the_container_is_removed_when_the_task_is_cancelled_twice(
    spec: Docker, client: docker.DockerClient
) -> None:
    inside = asyncio.Event()

    async def use() -> None:
        async with spec.open(run="cancelled") as box:
            inside.set()
            await box.run("import time; time.sleep(60)")

    running = asyncio.create_task(use())
    await inside.wait()
    running.cancel()
    await asyncio.sleep(0)  # it is now on its way out
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert mine(client, "cancelled") == []


async def test_cancelling_while_the_container_starts_leaves_none(spec: Docker, client: docker.DockerClient) -> None:
    async def use() -> None:
        async with spec.open(run="early"):
            pytest.fail("the cancellation came too late")

    running = asyncio.create_task(use())
    seen: list[str] = []
    while not seen:  # until it is made, and about to be started
        seen = await asyncio.to_thread(mine, client, "early")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert seen
    assert mine(client, "early") == []


async def test_a_bad_input_file_found_late_leaves_no_container(spec: Docker, client: docker.DockerClient) -> None:
    with pytest.raises(FileRefused):
        async with spec.open(run="late", files={"a": b"", "a/b": b""}):
            pytest.fail("a file cannot be a folder as well")
    assert mine(client, "late") == []


async def test_a_killed_host_takes_its_container_along(image: str, client: docker.DockerClient) -> None:
    program = (
        "import asyncio, sys\nfrom moot.sandbox.docker import Docker\n"
        "async def main():\n    async with Docker(image=sys.argv[1]).open(run='killed') as box:\n"
        "        await box.run('x = 1')\n        print(box.name, flush=True)\n"
        "        await box.run('import time; time.sleep(600)', timeout_seconds=600)\nasyncio.run(main())"
    )
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, image, stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    assert host.stdout is not None
    name = (await host.stdout.readline()).decode().strip()
    assert name in names(client)
    gone = asyncio.create_task(asyncio.to_thread(_wait_until_removed, name))
    host.send_signal(signal.SIGKILL)
    assert await host.wait() == -signal.SIGKILL
    await asyncio.wait_for(gone, 10)
    assert name not in names(client)


def _wait_until_removed(name: str) -> None:
    engine = docker.from_env(timeout=20)
    try:
        engine.api.wait(name, condition="removed")
    except docker.errors.NotFound:
        return
    finally:
        engine.close()


async def test_a_container_removed_under_a_running_block_is_an_error_and_no_hang(
    spec: Docker, client: docker.DockerClient
) -> None:
    async with spec.open() as box:
        seen = asyncio.Event()
        code = "print('on')\nimport time; time.sleep(60)"
        running = asyncio.create_task(box.run(code, on_output=lambda stream, text: seen.set()))
        await seen.wait()
        await asyncio.to_thread(client.api.remove_container, box.name, force=True)
        with pytest.raises(SandboxGone, match=f"container {box.name} is gone"):
            await running
        with pytest.raises(SandboxGone):
            await box.run("1")


async def test_a_container_killed_between_blocks_is_an_error_at_the_next(
    spec: Docker, client: docker.DockerClient
) -> None:
    async with spec.open() as box:
        await asyncio.to_thread(client.api.kill, box.name)
        with pytest.raises(SandboxGone):
            await box.run("1")


async def test_a_lost_engine_is_an_error_and_no_hang_and_the_container_goes_by_itself(
    image: str, client: docker.DockerClient, tmp_path: Path
) -> None:
    """The box reaches the engine through a relay, which is then cut."""
    relay = Relay(str(tmp_path / "relay.sock"))
    await relay.open()
    async with Docker(image=image, engine=f"unix://{relay.path}").open() as box:
        seen = asyncio.Event()
        code = "print('on')\nimport time; time.sleep(60)"
        running = asyncio.create_task(box.run(code, on_output=lambda stream, text: seen.set()))
        await seen.wait()
        gone = asyncio.create_task(asyncio.to_thread(_wait_until_removed, box.name))
        await relay.cut()
        with pytest.raises(SandboxGone):
            await running
    await asyncio.wait_for(gone, 10)
    assert box.name not in names(client)


class Relay:
    """A socket that passes everything on to the engine, until it is cut."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_unix_connection("/var/run/docker.sock")
        task = asyncio.create_task(self._pass_on((reader, writer), onward))
        self._tasks.add(task)

    async def _pass_on(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        try:
            await asyncio.gather(pump(here[0], there[1]), pump(there[0], here[1]))
        finally:
            here[1].close()
            there[1].close()

    async def cut(self) -> None:
        self._server.close()
        assert self._tasks
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_closing_leaves_no_thread_no_socket_and_no_task(spec: Docker) -> None:
    async with spec.open():  # the first one imports docker-py, which opens files of its own
        pass
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    async with spec.open() as box:
        await box.run("1")
        engine_threads = [each for each in threading.enumerate() if each.name.startswith("moot-engine")]
        assert engine_threads
    for thread in engine_threads:
        thread.join(5)
        assert not thread.is_alive()
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_several_boxes_share_nothing(spec: Docker) -> None:
    async with spec.open() as one, spec.open() as other:
        await asyncio.gather(one.run("x = 1\nopen('f', 'w')"), other.run("x = 2"))
        assert [(await box.run("x")).value for box in (one, other)] == ["1", "2"]
        assert (await one.list(), await other.list()) != ([], [])
        assert await other.list() == []


async def test_removing_what_is_not_there_is_no_error(spec: Docker) -> None:
    async with Engine() as engine:
        assert await engine.remove("moot-no-such-container") is False
