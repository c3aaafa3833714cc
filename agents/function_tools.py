"""Functions as tools: AutoGen runs those that are not async in a thread, and forgets there where they were called."""

from __future__ import annotations

import copy
import inspect
from contextvars import copy_context
from functools import partial
from typing import Any

from autogen_core import CancellationToken
from autogen_core.tools import FunctionTool
from pydantic import BaseModel

from moot.agents.threads import for_thread


def told_where(tool: FunctionTool) -> FunctionTool:
    """A twin whose function sees the context variables of its call, so that `idempotency_key()` works in a thread, too,
    and ends no more than its call: what calls `exit`, as readers of command lines do, would end the whole process.
    """
    if type(tool).run is not FunctionTool.run:
        return tool
    in_thread = not inspect.iscoroutinefunction(tool._func)

    async def run(args: BaseModel, cancellation_token: CancellationToken) -> Any:
        called = copy.copy(tool)
        if in_thread:
            called._func = partial(copy_context().run, for_thread(tool._func))
        try:
            return await FunctionTool.run(called, args, cancellation_token)
        except SystemExit as error:
            raise RuntimeError(f"it called exit with {error.code!r}") from error

    twin = copy.copy(tool)
    twin.run = run  # type: ignore[method-assign]
    return twin
