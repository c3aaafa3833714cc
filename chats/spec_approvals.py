"""The approvals of a chat file: the first rule that matches says who is asked."""

from __future__ import annotations

from moot.agents.approval import ASKS_ANYONE, Approval
from moot.agents.code_approval import When
from moot.agents.tool_policy import EVERY, ToolPolicy
from moot.chats.chat_file import ApprovalEntry, ChatFile


def of_code(chat: ChatFile, executor: str) -> tuple[When, Approval]:
    """Which blocks of an executor must be approved, and who is asked."""
    for entry in chat.approvals:
        if entry.match.kind == "code" and entry.match.by in (None, executor):
            return ("first" if entry.match.first else "always"), _approval(entry)
    return "never", ASKS_ANYONE


def of_tools(chat: ChatFile) -> ToolPolicy:
    """Which tools must be approved call by call, and who is asked."""
    approvals: dict[str, Approval] = {}
    for entry in chat.approvals:
        if entry.match.kind == "tool":
            approvals.setdefault(entry.match.tool or EVERY, _approval(entry))
    return ToolPolicy(approve=approvals) if approvals else ToolPolicy()


def _approval(entry: ApprovalEntry) -> Approval:
    return Approval(entry.ask, entry.allow)
