"""The host's end of the attach stream: requests out, events in, and a clear word when the container is gone.

Docker wraps what the container writes into packets of its own (8 bytes: stream, length). Packets of stdout carry our
frames; stderr only ever has something when our program could not start, and its last line then says why.
"""

from __future__ import annotations

import asyncio
import codecs
import itertools
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from moot.sandbox.engine import Attached
from moot.sandbox.errors import ImageUnusable, ProtocolViolation, SandboxError, SandboxGone
from moot.sandbox.protocol import MOST_FILES, Done, Files, Hello, Note, Out, Reply, parse_event
from moot.sandbox.runner.capture import HEAD
from moot.sandbox.runner.frames import BadFrame, Unpacker, pack
from moot.sandbox.spec import OnOutput

_PACKET = struct.Struct(">B3xI")
_MOST_PACKET = 1 << 24
_STDOUT, _STDERR = 1, 2
_BUFFER = 256 << 10

Entry = tuple[str, int, Note]


@dataclass(slots=True)
class Answer:
    """The last event of a request, its body, and the files it told of on the way."""

    event: Done | Reply
    body: bytes
    files: list[Entry]


@dataclass(slots=True)
class _Pending:
    """A request that has not been answered. Once abandoned, its words are still heard, and nobody waits for it."""

    kind: type[Done] | type[Reply]
    future: asyncio.Future[Answer]
    on_output: OnOutput | None = None
    shown: int = 0
    files: list[Entry] = field(default_factory=list)
    decoders: dict[str, codecs.IncrementalDecoder] = field(default_factory=dict)


class Wire:
    """One attach stream. `ask` sends a request and waits for its answer; everything fails at once when it ends."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached
        self._writer: asyncio.StreamWriter | None = None
        self._pump: asyncio.Task[None] | None = None
        self._unpacker = Unpacker()
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._stderr = b""
        self._failure: SandboxError | None = None
        self._hello: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self.on_abandoned: Callable[[Done, list[Entry]], None] = lambda done, files: None
        """Told of blocks that ended after nobody waited for them any more."""

    async def open(self) -> None:
        """Take the stream over into the event loop, and begin to listen."""
        self._attached.stream.setblocking(False)
        reader, self._writer = await asyncio.open_connection(sock=self._attached.stream, limit=_BUFFER)
        self._pump = asyncio.create_task(self._read(reader), name=f"moot-wire-{self._attached.name}")

    async def hello(self, timeout_seconds: float) -> Hello:
        """The first words of the container; ImageUnusable or SandboxGone when they do not come."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await asyncio.shield(self._hello)
        except TimeoutError:
            raise SandboxGone(f"container {self._attached.name} did not answer within {timeout_seconds:g} s") from None

    async def ask(
        self,
        head: dict[str, object],
        body: bytes = b"",
        *,
        timeout_seconds: float,
        on_output: OnOutput | None = None,
        number: int | None = None,
    ) -> Answer:
        """Send a request and wait for its answer. SandboxGone or ProtocolViolation when there will be none."""
        writer = self._need_alive()
        number = self.next_id() if number is None else number
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = _Pending(Done if head["op"] == "exec" else Reply, future, on_output)
        try:
            async with asyncio.timeout(timeout_seconds):
                writer.write(pack({**head, "id": number}, body))
                await self._drain(writer)
                return await future
        except TimeoutError:
            raise SandboxGone(
                f"container {self._attached.name} did not answer within {timeout_seconds:g} s; open a new sandbox"
            ) from None

    def tell(self, head: dict[str, object]) -> None:
        """Send something that is not answered, if there is still anybody there."""
        if self._failure is None and self._writer is not None:
            self._writer.write(pack(head))

    def next_id(self) -> int:
        """A number that no request has had yet."""
        return next(self._ids)

    async def close(self) -> None:
        """End the stream, and with it PID 1; wait for the task that reads."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            with suppress(OSError):
                await self._writer.wait_closed()
        self._attached.close()

    def _need_alive(self) -> asyncio.StreamWriter:
        if self._failure is not None:
            raise type(self._failure)(*self._failure.args)
        assert self._writer is not None
        return self._writer

    async def _drain(self, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.drain()
        except OSError:
            self._need_alive()
            raise self._gone() from None

    def _gone(self) -> SandboxError:
        why = self._stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        if not self._hello.done():
            reason = why[0][:300] if why else "it ended without a word"
            return ImageUnusable(f"the sandbox's program cannot run in container {self._attached.name}: {reason}")
        reason = f" ({why[0][:300]})" if why else ""
        return SandboxGone(
            f"container {self._attached.name} is gone: removed, killed or out of memory{reason}; open a new sandbox"
        )

    # -- what comes in

    async def _read(self, reader: asyncio.StreamReader) -> None:
        failure: SandboxError | None = None
        try:
            while True:
                stream, size = _PACKET.unpack(await reader.readexactly(_PACKET.size))
                if stream not in (_STDOUT, _STDERR) or size > _MOST_PACKET:
                    raise ProtocolViolation("the attach stream of the container is not in Docker's format")
                data = await reader.readexactly(size)
                if stream == _STDERR:
                    self._stderr = (self._stderr + data)[-4096:]
                    continue
                for head, body in self._unpacker.feed(data):
                    self._hear(head, body)
        except (asyncio.IncompleteReadError, OSError):
            pass
        except BadFrame:
            failure = ProtocolViolation(f"container {self._attached.name} sent bytes that are no frame; it is removed")
        except ProtocolViolation as violation:
            failure = ProtocolViolation(f"container {self._attached.name}: {violation}; it is removed")
        finally:
            self._end(failure or self._gone())

    def _end(self, failure: SandboxError) -> None:
        self._failure = failure
        if not self._hello.done():
            self._hello.set_exception(failure)
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(failure)
        self._pending.clear()
        if not self._hello.cancelled():
            self._hello.exception()  # looked at, so that an unused one is not reported when it is collected
        assert self._writer is not None
        self._writer.close()

    def _hear(self, head: bytes, body: bytes) -> None:
        event = parse_event(head)
        if isinstance(event, Hello):
            if self._hello.done():
                raise ProtocolViolation("the container said hello twice")
            self._hello.set_result(event)
            return
        pending = self._pending.get(event.id)
        if pending is None:
            raise ProtocolViolation("the container answered a question that was not asked")
        if isinstance(event, Out):
            self._output(pending, event.stream, body)
        elif isinstance(event, Files):
            pending.files += event.files
            if len(pending.files) > MOST_FILES:
                raise ProtocolViolation("the container listed more files than it can have")
        elif not isinstance(event, pending.kind):
            raise ProtocolViolation("the container gave an answer of the wrong kind")
        else:
            del self._pending[event.id]
            self._settle(pending, Answer(event, body, pending.files))

    def _settle(self, pending: _Pending, answer: Answer) -> None:
        if not pending.future.done():
            pending.future.set_result(answer)
        elif isinstance(answer.event, Done):
            self.on_abandoned(answer.event, answer.files)

    def _output(self, pending: _Pending, stream: str, body: bytes) -> None:
        pending.shown += len(body)
        if pending.shown > 2 * HEAD:
            raise ProtocolViolation("the container showed more output than it keeps")
        if pending.on_output is None or pending.future.done():
            return
        decoder = pending.decoders.get(stream)
        if decoder is None:  # characters may be cut in two between frames
            decoder = pending.decoders[stream] = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(body)
        if not text:
            return
        try:
            pending.on_output(stream, text)
        except Exception as error:  # noqa: BLE001 - the caller's mistake ends the caller's wait, not the sandbox
            pending.future.set_exception(error)
