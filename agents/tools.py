"""What an assistant's model may call: Python functions, AutoGen's tools and workbenches, and names of them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from autogen_core.tools import BaseTool, FunctionTool, StaticStreamWorkbench, Workbench

from moot.agents.tool_files import ToolError, load_object

AnyTool: TypeAlias = BaseTool[Any, Any] | Workbench
"""A tool that can be called, or a place that has some."""
Given: TypeAlias = Callable[..., object] | BaseTool[Any, Any] | Workbench | str
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def made_tools(given: Iterable[Given], base: Path) -> tuple[AnyTool, ...]:
    """Each as a tool; texts name some, see `load_object`. Raises ToolError for what is none, and two of one name."""
    tools = tuple(load_object(each, base).then(as_tool) if isinstance(each, str) else as_tool(each) for each in given)
    check_names(tools)
    return tools


def as_tool(given: object) -> AnyTool:
    """A function as a tool: described by its docstring, or else by its name. AutoGen's own stay as they are.

    Raises ToolError for what cannot be a tool, such as a function whose parameters have no types.
    """
    tool = given if isinstance(given, BaseTool | Workbench) else _of_function(given)
    if isinstance(tool, BaseTool):
        if not _NAME.fullmatch(tool.name):
            raise ToolError(f"{tool.name!r} cannot be a tool's name: models take letters, digits, '_' and '-'")
        try:
            _ = tool.schema  # made only when it is first asked for, which would be in the middle of a turn
        except Exception as error:
            raise ToolError(f"{tool.name!r} cannot be a tool: {' '.join(str(error).split())}") from error
    return tool


def names_of(tools: Iterable[AnyTool]) -> frozenset[str] | None:
    """The names by which the tools are called; None where a workbench has to be asked first."""
    names: set[str] = set()
    for tool in tools:
        below = _names(tool)
        if below is None:
            return None
        names.update(below)
    return frozenset(names)


def check_names(tools: Sequence[AnyTool]) -> None:
    """Raises ToolError for two of one name: a model could call only one of them."""
    seen: set[str] = set()
    for name in (name for tool in tools for name in _names(tool) or ()):
        if name in seen:
            raise ToolError(f"two tools are called {name!r}")
        seen.add(name)


def workbenches(tools: Sequence[AnyTool]) -> list[Workbench]:
    """The places where an agent finds these tools."""
    plain = [tool for tool in tools if isinstance(tool, BaseTool)]
    places = [tool for tool in tools if isinstance(tool, Workbench)]
    return [StaticStreamWorkbench(plain), *places] if plain else places


def known_tools(tools: Iterable[AnyTool]) -> dict[str, BaseTool[Any, Any]]:
    """By name, those whose parameters are known here."""
    return {tool.name: tool for tool in tools if isinstance(tool, BaseTool)}


def _names(tool: AnyTool) -> list[str] | None:
    if isinstance(tool, BaseTool):
        return [tool.name]
    from moot.agents.seen import tools_of

    inside = tools_of(tool)
    if inside is None:
        return None
    own = {named: name for name, named in getattr(tool, "_override_name_to_original", {}).items()}
    return [own.get(each.name, each.name) for each in inside]


def _of_function(given: object) -> FunctionTool:
    if isinstance(given, type) or not callable(given):
        what = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
        raise ToolError(f"{what} is no tool: give a function, or an AutoGen tool or workbench")
    name = given.func.__name__ if isinstance(given, functools.partial) else getattr(given, "__name__", "")
    if not name:
        raise ToolError(f"a {type(given).__name__} is no tool: give a function, or an AutoGen tool or workbench")
    _check_parameters(given, name)
    described = "" if isinstance(given, functools.partial) else " ".join((inspect.getdoc(given) or "").split())
    try:
        return FunctionTool(given, description=described or name.replace("_", " ").strip())
    except Exception as error:  # whatever AutoGen and pydantic make of a signature
        raise ToolError(f"{name!r} cannot be a tool: {' '.join(str(error).split())}") from error


def _check_parameters(function: Callable[..., object], name: str) -> None:
    """A model is told of each parameter what to give."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise ToolError(f"{name!r} cannot be a tool: nobody can say what it takes") from error
    for one in parameters:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            raise ToolError(f"{name!r} cannot be a tool: its parameter {one.name!r} cannot be given by name")
        if one.annotation is one.empty:
            raise ToolError(
                f"{name!r} cannot be a tool: its parameter {one.name!r} has no type, such as {one.name}: str"
            )
