"""Fenced blocks of code in a message."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(
    r"^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*\n(.*?)^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL
)
_OPEN = re.compile(r"^ {0,3}(?:`{3,}|~{3,})[ \t]*([\w+#.-]*)", re.MULTILINE)
_NAMES = {"python": "python", "py": "python", "python3": "python", "bash": "bash", "shell": "bash", "sh": "sh"}


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
    others: list[str] = []
    for _, label, code in _FENCE.findall(text.replace("\r\n", "\n")):
        language = _NAMES.get(label.lower()) or ("python" if not label and _is_python(code) else None)
        if language and code.strip():
            blocks.append(Block(language, code))
        else:
            others.append(
                "an empty block"
                if not code.strip()
                else f"a block labelled {label!r}"
                if label
                else "a block without a language that is no Python"
            )
    return Found(tuple(blocks), "" if blocks else _seen(text, others))


def _seen(text: str, others: list[str]) -> str:
    if others:
        return ", ".join(others)
    if _OPEN.search(text):
        return "a fence that is never closed"
    return f"{len(text.strip())} characters of prose without a fence" if text.strip() else "an empty message"


def _is_python(code: str) -> bool:
    try:
        compile(code, "<block>", "exec", flags=0x400)  # PyCF_ONLY_AST: parsed, never run
    except (SyntaxError, ValueError):
        return False
    return True
