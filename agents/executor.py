"""The executor: a participant that runs the code the others write, in a sandbox, and reports what really happened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import get_args

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_core import CancellationToken

from moot.agents.approval import ANYONE, ASKS_ANYONE, Approval
from moot.agents.blocks import Block, Found, find_blocks
from moot.agents.code_approval import Ruled, When, question, ruled
from moot.agents.effects import SCOPE, Codec, Doubt, Effect, Happened, Scope, ask, effect
from moot.agents.ran import RanBlock, StoredFile
from moot.agents.report import BlockReport, render
from moot.agents.seat import Workplace
from moot.sandbox.errors import SandboxError
from moot.sandbox.execution import Execution
from moot.sandbox.spec import LANGUAGES, OpenBox, Sandbox
from moot.termination.ledger import NOTHING, Cost

NO_SANDBOX = "no sandbox"
"""How `skipped` begins where code could not be run for want of a sandbox."""
STATE_LOST = (
    "state lost: this block was under way when its process ended; it may have run, and is not run again: the variables "
    "of the blocks before it went with their interpreter; files kept so far are restored"
)
"""What the coder is told of a block of which nobody knows what became."""
REPORTED_CHARACTERS = 8_000
"""What the chat is told of one stream; the journal keeps all that the sandbox kept."""
_EXPECTED = f"expected: one fenced block, opened by ```python and closed by ```; languages: {', '.join(LANGUAGES)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """What an executor is: an inert value. Without `sandbox` its code steps are skipped; it never runs code on the
    host.
    """

    name: str
    sandbox: Sandbox | None
    runs_code_from: tuple[str, ...] = ()
    """Whose blocks it runs; empty: everybody's."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Input files by the name they have in the workspace."""
    why_not: str = ""
    """Where there is no sandbox: why."""
    approve: When = "never"
    """Which blocks a person must approve: none, all, or, with `first`, each one until they have let one run as it was
    shown. Nobody is asked about code that could not run.
    """
    approval: Approval = ASKS_ANYONE
    """Who is asked then, and what they may decide."""
    description: str = ""
    """What others are told about it; made from what it does unless given."""

    def __post_init__(self) -> None:
        if self.approve not in get_args(When):
            raise ValueError(f"executor {self.name!r}: approve={self.approve!r}: give never, first or always")


def lacks_sandbox(skipped: str | None) -> bool:
    """Whether a block was skipped for want of a sandbox, rather than for any other reason."""
    return skipped is not None and skipped.startswith(NO_SANDBOX)


def executor(  # noqa: PLR0913 - all of it may be said in one line of a chat
    name: str,
    sandbox: Sandbox | None = None,
    *,
    runs_code_from: Sequence[str] = (),
    files: Sequence[str | Path] = (),
    approve: When = "never",
    ask: str = ANYONE,
) -> Executor:
    """A participant that runs the fenced blocks of the named speakers (everybody's, if none is named) in a sandbox.

    `files` are put into its workspace under their own names. `approve` says whether a person (`ask`: a `human(...)` of
    the chat) must approve blocks before they run: `always`, or the `first` until they let one run as it is. Raises
    ValueError for two files of one name.
    """
    from moot.sandbox.docker import Docker

    paths = [Path(f) for f in files]
    named = {p.name: p for p in paths}
    if len(named) != len(paths):
        raise ValueError(f"executor {name!r}: two input files have the same name")
    return Executor(
        name=name, sandbox=sandbox or Docker(), runs_code_from=tuple(runs_code_from), files=named, approve=approve,
        approval=Approval(ask),
    )  # fmt: skip


class ExecutorAgent(BaseChatAgent):
    """The AutoGen agent behind an `Executor`. Each block of code is an effect of its own."""

    def __init__(self, spec: Executor) -> None:
        names = ", ".join(spec.runs_code_from) or "everybody"
        about = f"Runs the code blocks of {names} in a sandbox and reports what they printed."
        super().__init__(spec.name, spec.description or about)
        self._spec = spec
        self._workplace = Workplace("", {})
        self._opening: asyncio.Task[OpenBox] | None = None
        self._exits = AsyncExitStack()
        self._lost = False
        """Whether the interpreter is new although blocks ran before."""
        self._worked = self._touched = False
        """Whether a block has run in this run; whether one was begun in the box that is open."""
        self._let = False
        """Whether a person has let a block run as it was, in an earlier turn or in this one."""
        self._made: dict[str, str] = {}
        """What the blocks left in the workspace since it was opened: name to digest."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """Reports are text."""
        return (TextMessage,)

    def open(self, workplace: Workplace) -> None:
        """Start the sandbox in the background, so that it is ready when the first code comes."""
        self._workplace = workplace
        self._lost = self._worked = workplace.resumed
        if self._spec.sandbox is not None:
            self._begin(workplace.files)

    def _begin(self, files: Mapping[str, bytes]) -> None:
        self._opening = asyncio.get_running_loop().create_task(self._open(files))
        self._opening.add_done_callback(lambda t: t.cancelled() or t.exception())  # raised where it is awaited

    async def _open(self, files: Mapping[str, bytes]) -> OpenBox:
        if self._spec.sandbox is None:
            raise SandboxError(self._spec.why_not or "none was asked for")
        opened = self._spec.sandbox.open(run=self._workplace.run, files=files)
        return await self._exits.enter_async_context(opened)

    async def shut(self) -> None:
        """Remove the sandbox, however the run ended."""
        if self._opening is not None:
            if not self._opening.done():
                self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
            self._opening = None
        await self._exits.aclose()

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Run what each of the named speakers wrote last since this participant's last turn."""
        response: Response | None = None
        async for item in self.on_messages_stream(messages, cancellation_token):
            if isinstance(item, Response):
                response = item
        if response is None:
            raise RuntimeError("the executor gave no response")
        return response

    async def on_messages_stream(  # type: ignore[override]
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncIterator[BaseAgentEvent | BaseChatMessage | Response]:
        """Run the blocks in order, up to the first that fails."""
        here, wrote = SCOPE.get(), self._wrote(messages)
        self._let = here is not None and here.conversation.approved("code")
        ran = await self._run_all(wrote) if any(found.blocks for found in wrote.values()) else [self._nothing(wrote)]
        yield Response(chat_message=TextMessage(content=render(ran), source=self.name))

    def _wrote(self, messages: Sequence[BaseChatMessage]) -> dict[str, Found]:
        """The last word of each speaker whose code is run, in order. Where nobody is named, words without code do not
        take back code: those who only talk are not asked for any.
        """
        wanted = self._spec.runs_code_from
        wrote: dict[str, Found] = {}
        for message in messages:
            source = message.source
            if source in ("user", "moot", self.name) or (wanted and source not in wanted):
                continue
            found = find_blocks(message.to_text())
            if wanted or found.blocks or not wrote.get(source, found).blocks:
                wrote.pop(source, None)  # to the end: the order is that of the last words
                wrote[source] = found
        return wrote

    async def _run_all(self, wrote: Mapping[str, Found]) -> list[BlockReport]:
        ran: list[BlockReport] = []
        for source, found in wrote.items():
            failed = bool(ran) and ran[-1].exit_code != 0
            if failed and lacks_sandbox(ran[-1].skipped):
                break
            if failed and found.blocks:
                ran.append(self._skipped(f"the code of {source} was not run: a block before it failed"))
                continue
            for block in found.blocks:
                ran.append(await self._ruled(block, source))
                if ran[-1].exit_code != 0:
                    break
        return ran

    def _nothing(self, wrote: Mapping[str, Found]) -> BlockReport:
        """That there is nothing to run, and why."""
        if not wrote:
            who = " or ".join(self._spec.runs_code_from) or "anybody"
            return self._skipped(f"no code block found: nothing new was said by {who}; {_EXPECTED}")
        named = wrote if self._spec.runs_code_from else {source: wrote[source] for source in [*wrote][-1:]}
        seen = ", ".join(f"in what {source} said: seen: {found.seen}" for source, found in named.items())
        return self._skipped(f"no code block found {seen}; {_EXPECTED}")

    def _skipped(self, why: str) -> BlockReport:
        return self._skip(why).report(REPORTED_CHARACTERS)

    def _skip(self, why: str, language: str = "none") -> RanBlock:
        ran = RanBlock(language=language, exit_code=-1, skipped=why)
        _note("code.finished", ran.facts(""))
        return ran

    async def _ruled(self, block: Block, source: str) -> BlockReport:
        """Run it, or what a person makes of it, unless they will not have it run."""
        spec, rule = self._spec, Ruled(block)
        if spec.sandbox is not None and self._asks():  # before there is any intent: the run may wait for days
            rule = ruled(block, await ask(question(block, source, spec.sandbox, spec.approval)))
            self._let |= rule.as_it_is
        ran = await self._run(rule.block) if rule.skipped is None else self._skip(rule.skipped, block.language)
        return rule.report(ran, REPORTED_CHARACTERS)

    def _asks(self) -> bool:
        """Whether a person must approve the next block. What cannot run anyway needs nobody's approval."""
        asks = self._spec.approve == "always" or (self._spec.approve == "first" and not self._let)
        opening = self._opening
        failed = opening is not None and opening.done() and not opening.cancelled() and opening.exception() is not None
        return asks and not failed

    async def _run(self, block: Block) -> RanBlock:
        here = SCOPE.get()
        settled = ""

        def propose(key: str) -> None:
            nonlocal settled
            settled = key
            _note("code.proposed", {"key": key, "language": block.language, "code": block.code})

        digest = blake2b(f"{block.language}\n{block.code}".encode(), digest_size=12).hexdigest()
        request = Effect(
            "code", digest, _CODEC, _ONE_RUN, _spent, propose, doubt=lambda _: self._in_doubt(block)
        )  # fmt: skip
        ran = await effect(request, lambda: self._perform(block, here))
        _note("code.finished", ran.facts(settled))
        return ran

    async def _in_doubt(self, block: Block) -> Happened[RanBlock] | Doubt:
        """A block that was cut off runs again only in an interpreter in which no other had run: it may need what they
        left in variables.
        """
        again = not self._worked
        if self._touched:  # what the block itself did before it was cut off must not be there when it runs again
            try:
                await self._give_up()
                self._lost = self._worked
            except Exception as error:  # noqa: BLE001 - it may still be there, and nobody could answer for the block
                logging.getLogger("moot").warning("closing the sandbox of a block that was cut off: %s", error)
                again = False
        if again:
            return "retry"
        return Happened(RanBlock(language=block.language, exit_code=-1, skipped=STATE_LOST, state_lost=True))

    async def _perform(self, block: Block, here: Scope | None) -> RanBlock:
        try:
            box = await self._box(here)
        except SandboxError as error:
            return RanBlock(language=block.language, exit_code=-1, skipped=f"{NO_SANDBOX}: {error}")
        on_output = here.conversation.draft if here is not None else None
        self._touched = True
        try:
            done = await box.run(block.code, block.language, on_output=on_output)
        except SandboxError as error:
            await self._give_up()
            why = (
                f"the sandbox was lost while the block ran ({error}); "
                "files kept so far are restored, variables are lost"
            )
            return RanBlock(language=block.language, exit_code=-1, skipped=why)
        lost, self._lost, self._worked = self._lost, False, True
        files = await _kept(done, here)
        self._made.update((f.name, f.sha256) for f in files)
        return RanBlock.of(block.language, done, files, lost)

    async def _box(self, here: Scope | None) -> OpenBox:
        if self._opening is None:
            made = {n: await here.conversation.kept(d) for n, d in self._made.items()} if here is not None else {}
            self._begin({**self._workplace.files, **made})
        assert self._opening is not None
        return await asyncio.shield(self._opening)

    async def _give_up(self) -> None:
        """The next block gets a new sandbox."""
        try:
            await self.shut()
        except SandboxError as error:
            logging.getLogger("moot").info("closing a lost sandbox: %s", error)
        finally:
            self._exits, self._lost, self._touched = AsyncExitStack(), True, False

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget the sandbox; the next block gets a new one."""
        await self._give_up()
        self._lost, self._worked, self._made = False, False, {}


async def _kept(done: Execution, here: Scope | None) -> tuple[StoredFile, ...]:
    stored = []
    for artifact in done.artifacts:
        if here is not None:
            await here.conversation.keep(artifact.data)
        stored.append(StoredFile(name=artifact.name, size=artifact.size, sha256=artifact.sha256))
    return tuple(stored)


def _note(type: str, data: Mapping[str, object]) -> None:
    if (here := SCOPE.get()) is not None:
        here.conversation.note(type, data)


def _spent(ran: RanBlock) -> Cost:
    return NOTHING if lacks_sandbox(ran.skipped) else _ONE_RUN


_ONE_RUN = Cost(code_runs=1)
_CODEC: Codec[RanBlock] = Codec(lambda ran: ran, RanBlock.read)
