"""The code executor and the approval function of a `CodeExecutorAgent`, as effects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult

from moot.agents.effects import Codec, Doubt, Effect, Happened, effect
from moot.agents.json_text import digest_of
from moot.agents.threads import for_thread
from moot.termination.ledger import NOTHING, Cost

Approve = Callable[[ApprovalRequest], Awaitable[ApprovalResponse]]
AnyApprove = Approve | Callable[[ApprovalRequest], ApprovalResponse]


STATE_LOST = (
    "This code was under way when its process ended; it may have run, and is not run again: blocks before it had run, "
    "and what they left in variables may be lost. Files are as they are. Run again what is needed."
)
"""What the coder is told of code of which nobody knows what became."""
_STATELESS = ("LocalCommandLineCodeExecutor", "DockerCommandLineCodeExecutor")
"""AutoGen's executors that begin a new process for each block: what they keep are files."""


class JournalledExecutor(CodeExecutor):
    """`execute_code_blocks` is an effect; everything else is the wrapped executor's own.

    Code in doubt is run again where no other had run before it, or where the executor keeps nothing but files.
    """

    component_provider_override = "moot.agents.journalled_code.JournalledExecutor"

    def __init__(self, inner: CodeExecutor) -> None:
        self._inner = inner
        self._stateless = any(
            kind.__name__ in _STATELESS and kind.__module__.startswith("autogen_ext.") for kind in type(inner).__mro__
        )
        self.worked = False
        """Whether it has run anything in this run, in whatever process."""

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        """Run the blocks unless their result is recorded."""

        async def perform() -> CodeResult:
            return await self._inner.execute_code_blocks(code_blocks, cancellation_token)

        digest = digest_of([[block.language, block.code] for block in code_blocks])
        done = await effect(Effect("code", digest, _CODE, _ONE_RUN, _one_run, doubt=self._in_doubt), perform)
        self.worked = True
        return CodeResult(done.exit_code, done.output)  # the agent rewrites `output` in place

    async def _in_doubt(self, key: str) -> Happened[CodeResult] | Doubt:
        return Happened(CodeResult(1, STATE_LOST)) if self.worked and not self._stateless else "retry"

    async def start(self) -> None:
        """Start the wrapped executor."""
        await self._inner.start()

    async def stop(self) -> None:
        """Stop the wrapped executor."""
        await self._inner.stop()

    async def restart(self) -> None:
        """Restart the wrapped executor."""
        await self._inner.restart()


def journalled_approval(function: AnyApprove, *, is_async: bool) -> Approve:
    """The user's own function, asked once: its answer is recorded, so that a repeated attempt does not ask again."""

    async def approve(request: ApprovalRequest) -> ApprovalResponse:
        async def perform() -> ApprovalResponse:
            if is_async:
                return await cast(Approve, function)(request)
            # in a thread: one that waits for a person at the terminal would stop every run of this process
            return await asyncio.to_thread(
                for_thread(cast(Callable[[ApprovalRequest], ApprovalResponse], function)), request
            )

        # bound to the code alone: the context grows, and is what led to the code
        digest = digest_of({"code": request.code})
        return await effect(Effect("approval", digest, _APPROVAL, NOTHING, _nothing), perform)

    return approve


def _dump(done: CodeResult) -> object:
    return {"exit_code": done.exit_code, "output": done.output}


def _load(recorded: object) -> CodeResult:
    if isinstance(recorded, CodeResult):
        return recorded
    if not isinstance(recorded, dict):
        raise TypeError(f"a recorded run of code must be an object, got {type(recorded).__name__}")
    return CodeResult(exit_code=recorded["exit_code"], output=recorded["output"])


def _one_run(done: CodeResult) -> Cost:
    return _ONE_RUN


def _nothing(answer: ApprovalResponse) -> Cost:
    return NOTHING


_ONE_RUN = Cost(code_runs=1)
_CODE: Codec[CodeResult] = Codec(_dump, _load)
_APPROVAL: Codec[ApprovalResponse] = Codec(lambda answer: answer, ApprovalResponse.model_validate)
