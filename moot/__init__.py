"""Moot: durable, bounded, safe and explainable group chats of AI agents.

    from moot import Chat, Docker, Limits, assistant, executor, says

Importing this loads neither AutoGen nor Docker: every name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moot.agents.approval import Approval
    from moot.agents.assistant import Assistant, assistant
    from moot.agents.effects import idempotency_key
    from moot.agents.errors import ModelError, ModelFault, ModelRefused, PlaybookError, TapeError, UnusableReply
    from moot.agents.executor import Executor, executor
    from moot.agents.human import Human, human
    from moot.agents.models import ModelSpec
    from moot.agents.people import ask_approval, ask_person
    from moot.agents.prices import Price
    from moot.agents.replay_client import replayed
    from moot.agents.tape_client import record
    from moot.agents.tool_files import ToolError
    from moot.agents.tool_policy import ToolPolicy
    from moot.agents.typed_reply import TypedReply
    from moot.chats.build import load_chat
    from moot.chats.chat import Chat
    from moot.chats.commands import Decide, End, Pause, Say
    from moot.chats.compare import Comparison, compare
    from moot.chats.errors import ChatError, Fenced, SpecError, StoreError, UserError
    from moot.chats.fork import fork
    from moot.chats.fork_edits import Edits
    from moot.chats.graph import graph
    from moot.chats.memory_store import MemoryStore
    from moot.chats.outside import post, requests, watch
    from moot.chats.replay import Replay, replay
    from moot.chats.requests import Request
    from moot.chats.result import ResultSpec
    from moot.chats.run import Artifact, Run, open_run
    from moot.chats.selector import Selector, selector
    from moot.chats.speakers import Choice, SpeakerPolicy, round_robin
    from moot.chats.sqlite_store import SqliteStore
    from moot.sandbox.docker import Docker
    from moot.sandbox.errors import SandboxError
    from moot.sandbox.execution import Execution
    from moot.termination.decisions import approved_by, rejections
    from moot.termination.ledger import Ledger, Usage
    from moot.termination.limits import Limits
    from moot.termination.outcome import Outcome, Stop
    from moot.termination.rules import Rule, code_succeeded, says, spoke, when
    from moot.termination.transcript import Aside, Transcript, Turn

__version__ = "0.1.0"

_WHERE = {
    "agents.approval": ("Approval",),
    "agents.assistant": ("Assistant", "assistant"),
    "agents.effects": ("idempotency_key",),
    "agents.errors": ("ModelError", "ModelFault", "ModelRefused", "PlaybookError", "TapeError", "UnusableReply"),
    "agents.executor": ("Executor", "executor"),
    "agents.human": ("Human", "human"),
    "agents.models": ("ModelSpec",),
    "agents.people": ("ask_approval", "ask_person"),
    "agents.prices": ("Price",),
    "agents.replay_client": ("replayed",),
    "agents.tape_client": ("record",),
    "agents.tool_files": ("ToolError",),
    "agents.tool_policy": ("ToolPolicy",),
    "agents.typed_reply": ("TypedReply",),
    "chats.build": ("load_chat",),
    "chats.chat": ("Chat",),
    "chats.commands": ("Decide", "End", "Pause", "Say"),
    "chats.compare": ("Comparison", "compare"),
    "chats.errors": ("ChatError", "Fenced", "SpecError", "StoreError", "UserError"),
    "chats.fork": ("fork",),
    "chats.fork_edits": ("Edits",),
    "chats.graph": ("graph",),
    "chats.memory_store": ("MemoryStore",),
    "chats.outside": ("post", "requests", "watch"),
    "chats.replay": ("Replay", "replay"),
    "chats.requests": ("Request",),
    "chats.result": ("ResultSpec",),
    "chats.run": ("Artifact", "Run", "open_run"),
    "chats.selector": ("Selector", "selector"),
    "chats.speakers": ("Choice", "SpeakerPolicy", "round_robin"),
    "chats.sqlite_store": ("SqliteStore",),
    "sandbox.docker": ("Docker",),
    "sandbox.errors": ("SandboxError",),
    "sandbox.execution": ("Execution",),
    "termination.decisions": ("approved_by", "rejections"),
    "termination.ledger": ("Ledger", "Usage"),
    "termination.limits": ("Limits",),
    "termination.outcome": ("Outcome", "Stop"),
    "termination.rules": ("Rule", "code_succeeded", "says", "spoke", "when"),
    "termination.transcript": ("Aside", "Transcript", "Turn"),
}
_MODULE_OF = {name: f"moot.{module}" for module, names in _WHERE.items() for name in names}

__all__ = [
    "Approval",
    "Artifact",
    "Aside",
    "Assistant",
    "Chat",
    "ChatError",
    "Choice",
    "Comparison",
    "Decide",
    "Docker",
    "Edits",
    "End",
    "Execution",
    "Executor",
    "Fenced",
    "Human",
    "Ledger",
    "Limits",
    "MemoryStore",
    "ModelError",
    "ModelFault",
    "ModelRefused",
    "ModelSpec",
    "Outcome",
    "Pause",
    "PlaybookError",
    "Price",
    "Replay",
    "Request",
    "ResultSpec",
    "Rule",
    "Run",
    "SandboxError",
    "Say",
    "Selector",
    "SpeakerPolicy",
    "SpecError",
    "SqliteStore",
    "Stop",
    "StoreError",
    "TapeError",
    "ToolError",
    "ToolPolicy",
    "Transcript",
    "Turn",
    "TypedReply",
    "UnusableReply",
    "Usage",
    "UserError",
    "__version__",
    "approved_by",
    "ask_approval",
    "ask_person",
    "assistant",
    "code_succeeded",
    "compare",
    "executor",
    "fork",
    "graph",
    "human",
    "idempotency_key",
    "load_chat",
    "open_run",
    "post",
    "record",
    "rejections",
    "replay",
    "replayed",
    "requests",
    "round_robin",
    "says",
    "selector",
    "spoke",
    "watch",
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
