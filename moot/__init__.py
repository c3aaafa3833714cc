"""Moot: durable, bounded, safe and explainable group chats of AI agents.

    from moot import Chat, Docker, Limits, assistant, executor, says

Importing this loads neither AutoGen nor Docker: every name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moot.agents.assistant import Assistant, assistant
    from moot.agents.errors import ModelError, PlaybookError
    from moot.agents.executor import Executor, executor
    from moot.agents.models import ModelSpec
    from moot.agents.prices import Price
    from moot.chats.build import load_chat
    from moot.chats.chat import Chat
    from moot.chats.errors import ChatError, Fenced, SpecError, StoreError, UserError
    from moot.chats.graph import graph
    from moot.chats.memory_store import MemoryStore
    from moot.chats.result import ResultSpec
    from moot.chats.run import Artifact, Run, open_run
    from moot.chats.speakers import Choice, SpeakerPolicy, round_robin
    from moot.chats.sqlite_store import SqliteStore
    from moot.sandbox.docker import Docker
    from moot.sandbox.errors import SandboxError
    from moot.sandbox.execution import Execution
    from moot.termination.ledger import Ledger, Usage
    from moot.termination.limits import Limits
    from moot.termination.outcome import Outcome, Stop
    from moot.termination.rules import Rule, code_succeeded, says, when
    from moot.termination.transcript import Transcript, Turn

__version__ = "0.1.0"

_WHERE = {
    "agents.assistant": ("Assistant", "assistant"),
    "agents.errors": ("ModelError", "PlaybookError"),
    "agents.executor": ("Executor", "executor"),
    "agents.models": ("ModelSpec",),
    "agents.prices": ("Price",),
    "chats.build": ("load_chat",),
    "chats.chat": ("Chat",),
    "chats.errors": ("ChatError", "Fenced", "SpecError", "StoreError", "UserError"),
    "chats.graph": ("graph",),
    "chats.memory_store": ("MemoryStore",),
    "chats.result": ("ResultSpec",),
    "chats.run": ("Artifact", "Run", "open_run"),
    "chats.speakers": ("Choice", "SpeakerPolicy", "round_robin"),
    "chats.sqlite_store": ("SqliteStore",),
    "sandbox.docker": ("Docker",),
    "sandbox.errors": ("SandboxError",),
    "sandbox.execution": ("Execution",),
    "termination.ledger": ("Ledger", "Usage"),
    "termination.limits": ("Limits",),
    "termination.outcome": ("Outcome", "Stop"),
    "termination.rules": ("Rule", "code_succeeded", "says", "when"),
    "termination.transcript": ("Transcript", "Turn"),
}
_MODULE_OF = {name: f"moot.{module}" for module, names in _WHERE.items() for name in names}

__all__ = [
    "Artifact",
    "Assistant",
    "Chat",
    "ChatError",
    "Choice",
    "Docker",
    "Execution",
    "Executor",
    "Fenced",
    "Ledger",
    "Limits",
    "MemoryStore",
    "ModelError",
    "ModelSpec",
    "Outcome",
    "PlaybookError",
    "Price",
    "ResultSpec",
    "Rule",
    "Run",
    "SandboxError",
    "SpeakerPolicy",
    "SpecError",
    "SqliteStore",
    "Stop",
    "StoreError",
    "Transcript",
    "Turn",
    "Usage",
    "UserError",
    "__version__",
    "assistant",
    "code_succeeded",
    "executor",
    "graph",
    "load_chat",
    "open_run",
    "round_robin",
    "says",
    "when",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'moot' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
