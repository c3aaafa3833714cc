"""Fenced blocks of code in a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moot.agents.fences import Fence, fences

_NAMES = {
    "python": "python",
    "python3": "python",
    "py": "python",
    "ipython": "python",
    "bash": "bash",
    "shell": "bash",
    "sh": "sh",
}
_MOST_SEEN = 5
_LONGEST_LABEL = 40


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code in one of the supported languages."""

    language: str
    code: str


@dataclass(frozen=True, slots=True)
class Found:
    """The blocks of a message in order, and, where there is none to run, what was seen instead."""

    blocks: tuple[Block, ...]
    seen: str = ""


def find_blocks(text: str) -> Found:
    """The fenced blocks that can be run. A block without a language is Python where it parses as Python."""
    blocks: list[Block] = []
    others: dict[str, None] = {}  # each once, in order
    for fence in fences(text):
        language = _language(fence)
        if language is None:
            others.setdefault(_other(fence))
        else:
            blocks.append(Block(language, fence.code))
    return Found(tuple(blocks), "" if blocks else _seen(text, list(others)))


def _language(fence: Fence) -> str | None:
    """What it is to be run as; None where it is not to be run."""
    if fence.flaw or not fence.code.strip():
        return None
    if fence.label:
        return _NAMES.get(fence.label.lower())
    return "python" if _is_python(fence.code) else None


def _other(fence: Fence) -> str:
    if fence.flaw:
        return fence.flaw
    if not fence.code.strip():
        return "an empty block"
    return (
        f"a block labelled {fence.label[:_LONGEST_LABEL]!r}"
        if fence.label
        else "a block without a language that is no Python"
    )


def _seen(text: str, others: Sequence[str]) -> str:
    if others:
        more = [f"and {len(others) - _MOST_SEEN} more kinds"] if len(others) > _MOST_SEEN else []
        return ", ".join([*others[:_MOST_SEEN], *more])
    return f"{len(text.strip())} characters of prose without a fence" if text.strip() else "an empty message"


def _is_python(code: str) -> bool:
    try:
        compile(code, "<block>", "exec", flags=0x400)  # PyCF_ONLY_AST: parsed, never run
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deeply for the parser
        return False
    return True
