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


def told_where(tool: FunctionTool) -> FunctionTool:
    """A twin whose function sees the context variables of its call, so that `idempotency_key()` works in a thread,
    too. An async function does anyway: its tool is given back as it is.
    """
    if inspect.iscoroutinefunction(tool._func) or type(tool).run is not FunctionTool.run:
        return tool

    async def run(args: BaseModel, cancellation_token: CancellationToken) -> Any:
        called = copy.copy(tool)
        called._func = partial(copy_context().run, tool._func)
        return await FunctionTool.run(called, args, cancellation_token)

    twin = copy.copy(tool)
    twin.run = run  # type: ignore[method-assign]
    return twin
