"""What a container may say, and that everything else ends it."""

import asyncio
import itertools
import json
import socket
import struct
from collections.abc import AsyncIterator

import docker
import pytest

from moot.sandbox.docker import Docker
from moot.sandbox.engine import Attached
from moot.sandbox.errors import ImageUnusable, ProtocolViolation, SandboxGone
from moot.sandbox.protocol import Done, parse_event, split_body
from moot.sandbox.runner.frames import MAGIC, MAX_FRAME, PREFIX, BadFrame, Unpacker, pack
from moot.sandbox.wire import Wire

DONE: dict[str, object] = {
    "ev": "done",
    "id": 1,
    "exit_code": 0,
    "stopped": "",
    "has_value": False,
    "value_cut": False,
    "parts": [1, 0, 0, 0, 0],
    "totals": [1, 0],
    "state_lost": False,
    "oom": False,
    "strays": 0,
    "cut": False,
    "seconds": 0.1,
}
HELLO: dict[str, object] = {"ev": "hello", "version": 1, "python": "3.12.1"}


def test_frames_survive_being_cut_anywhere() -> None:
    frames: list[tuple[dict[str, object], bytes]] = [({"a": 1}, b""), ({}, b"x" * 100), ({"b": "é"}, b"\0\1")]
    stream = b"".join(pack(head, body) for head, body in frames)
    for size in (1, 2, 7, 50, len(stream)):
        unpacker = Unpacker()
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        got = list(itertools.chain.from_iterable(unpacker.feed(piece) for piece in pieces))
        assert [(json.loads(head), body) for head, body in got] == frames


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\n\r\n", PREFIX.pack(MAGIC, MAX_FRAME, 1), PREFIX.pack(MAGIC, 0xFFFFFFFF, 0xFFFFFFFF)]
)
def test_what_is_no_frame_or_too_long_is_refused_before_it_is_read(data: bytes) -> None:
    with pytest.raises(BadFrame):
        Unpacker().feed(data)


def test_a_frame_that_is_too_long_is_not_made() -> None:
    with pytest.raises(BadFrame):
        pack({}, bytes(MAX_FRAME))


@pytest.mark.parametrize(
    "change",
    [
        {"exit_code": "0"},
        {"exit_code": 256},
        {"exit_code": -1},
        {"exit_code": True},
        {"stopped": "because"},
        {"seconds": -1},
        {"parts": [1, 2, 3]},
        {"parts": [-1, 0, 0, 0, 0]},
        {"surprise": 1},
        {"ev": "don"},
        {"id": 0},
    ],
)
def test_an_event_that_is_not_exactly_ours_is_a_violation(change: dict[str, object]) -> None:
    assert isinstance(parse_event(json.dumps(DONE).encode()), Done)
    with pytest.raises(ProtocolViolation):
        parse_event(json.dumps({**DONE, **change}).encode())


@pytest.mark.parametrize("head", [b"", b"[]", b"{", b"[" * 100_000, b'{"ev": "hello", "version": NaN}', b"\xff\xfe"])
def test_a_head_that_is_no_object_is_a_violation(head: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse_event(head)


@pytest.mark.parametrize("parts", [[2, 0, 0, 0, 0], [0, 0, 0, 0, 0], [70_000, 0, 0, 0, 0]])
def test_parts_that_do_not_add_up_are_a_violation(parts: list[int]) -> None:
    done = parse_event(json.dumps({**DONE, "parts": parts}).encode())
    assert isinstance(done, Done)
    with pytest.raises(ProtocolViolation):
        split_body(done, b"x" * (70_000 if parts[0] > 2 else 1))


class Container:
    """The other end of an attach stream, played by the test."""

    def __init__(self) -> None:
        ours, self.stream = socket.socketpair()
        self._ours = ours

    def say(self, data: bytes, stream: int = 1) -> None:
        self._ours.sendall(struct.pack(">B3xI", stream, len(data)) + data)

    def event(self, head: dict[str, object], body: bytes = b"") -> None:
        self.say(pack(head, body))

    def hang_up(self) -> None:
        self._ours.close()

    def close(self) -> None:
        self._ours.close()
        self.stream.close()


@pytest.fixture
async def container() -> AsyncIterator[Container]:
    container = Container()
    yield container
    container.close()


@pytest.fixture
async def wire(container: Container) -> AsyncIterator[Wire]:
    wire = Wire(Attached("moot-x", container.stream, container.stream))
    await wire.open()
    yield wire
    await wire.close()


LIES: dict[str, list[tuple[dict[str, object], bytes]]] = {
    "hello twice": [(HELLO, b"")],
    "an answer to nothing": [({**DONE, "id": 7}, b"x")],
    "output of nothing": [({"ev": "out", "id": 7, "stream": "stdout"}, b"x")],
    "an answer of the wrong kind": [({"ev": "reply", "id": 1}, b"")],
    "more files than there can be": [({"ev": "files", "id": 1, "files": [["f", 1, ""]] * 6000}, b"")] * 2,
    "more output than is kept": [({"ev": "out", "id": 1, "stream": "stdout"}, bytes(70_000))] * 2,
    "an answer twice": [(DONE, b"x"), (DONE, b"x")],
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_ends_the_conversation_for_all_who_wait(wire: Wire, container: Container, lie: str) -> None:
    container.event(HELLO)
    await wire.hello(5)
    waiting = asyncio.create_task(wire.ask({"op": "exec"}, timeout_seconds=5))
    await asyncio.sleep(0)
    for head, body in LIES[lie]:
        container.event(head, body)
    if lie == "an answer twice":
        await waiting
        waiting = asyncio.create_task(wire.ask({"op": "exec"}, timeout_seconds=5))
    with pytest.raises(ProtocolViolation, match="container moot-x"):
        await waiting
    with pytest.raises(ProtocolViolation):
        await wire.ask({"op": "exec"}, timeout_seconds=5)


@pytest.mark.parametrize("raw", [b"plain text", PREFIX.pack(MAGIC, 1 << 30, 0)])
async def test_bytes_that_are_no_frame_end_the_conversation(wire: Wire, container: Container, raw: bytes) -> None:
    container.event(HELLO)
    container.say(raw.ljust(64))
    with pytest.raises(ProtocolViolation):
        await wire.ask({"op": "list"}, timeout_seconds=5)


async def test_an_end_before_the_first_word_gives_the_last_line_of_stderr(wire: Wire, container: Container) -> None:
    container.say(b"Traceback\npython 3.6 is too old: 3.9 or newer is needed\n", stream=2)
    container.hang_up()
    with pytest.raises(ImageUnusable, match=r"moot-x: python 3\.6 is too old: 3\.9 or newer is needed"):
        await wire.hello(5)


async def test_silence_is_an_error_after_its_time(wire: Wire) -> None:
    with pytest.raises(SandboxGone, match=r"did not answer within 0\.01 s"):
        await wire.hello(0.01)
    with pytest.raises(SandboxGone, match=r"did not answer within 0\.01 s"):
        await wire.ask({"op": "list"}, timeout_seconds=0.01)


async def test_a_container_that_breaks_the_protocol_is_removed(image: str, client: docker.DockerClient) -> None:
    """Our program in the container is made to believe that another host speaks, and answers what nobody asked."""
    async with Docker(image=image).open() as box:
        box._wire.tell({"op": "ping", "id": 999})
        with pytest.raises(ProtocolViolation, match=r"answered a question that was not asked; it is removed"):
            await box.run("1")
        assert client.api.containers(all=True, filters={"name": box.name}) == []
