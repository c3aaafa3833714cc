"""The code executor and the approval function of a `CodeExecutorAgent`, as effects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult

from moot.agents.effects import Codec, Effect, effect
from moot.agents.json_text import digest_of
from moot.termination.ledger import NOTHING, Cost

Approve = Callable[[ApprovalRequest], Awaitable[ApprovalResponse]]
AnyApprove = Approve | Callable[[ApprovalRequest], ApprovalResponse]


class JournalledExecutor(CodeExecutor):
    """`execute_code_blocks` is an effect; everything else is the wrapped executor's own.

    AutoGen's executors keep files on disk and no variables, so a block in doubt is run again.
    """

    component_provider_override = "moot.agents.journalled_code.JournalledExecutor"

    def __init__(self, inner: CodeExecutor) -> None:
        self._inner = inner

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        """Run the blocks unless their result is recorded."""

        async def perform() -> CodeResult:
            return await self._inner.execute_code_blocks(code_blocks, cancellation_token)

        digest = digest_of([[block.language, block.code] for block in code_blocks])
        done = await effect(Effect("code", digest, _CODE, _ONE_RUN, _one_run), perform)
        return CodeResult(done.exit_code, done.output)  # the agent rewrites `output` in place

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
            return await asyncio.to_thread(cast(Callable[[ApprovalRequest], ApprovalResponse], function), request)

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
