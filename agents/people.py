"""Asking a person from inside AutoGen's agents: give these where an agent wants a function that asks somebody."""

from __future__ import annotations

from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse
from autogen_core import CancellationToken

from moot.agents.effects import SCOPE, ask
from moot.agents.json_text import digest_of
from moot.agents.questions import Question


async def ask_person(prompt: str, cancellation_token: CancellationToken | None = None) -> str:
    """What a person answers to the prompt: `UserProxyAgent(..., input_func=ask_person)`.

    The question is journalled and the run left waiting; whoever answers, from whatever process, is heard when the run
    goes on. A `UserProxyAgent` without a function of its own asks so anyway. Raises RuntimeError outside a run.
    """
    _need_run("ask_person")
    payload = {"prompt": prompt}
    return (await ask(Question("input", digest_of(payload), payload, ("respond",)))).text


async def ask_approval(request: ApprovalRequest) -> ApprovalResponse:
    """Whether a person approves this code: `CodeExecutorAgent(..., approval_func=ask_approval)`.

    The decision is bound to the code alone, not to the conversation that led to it. Raises RuntimeError outside a run.
    """
    _need_run("ask_approval")
    payload = {"code": request.code}
    decided = await ask(Question("code", digest_of(payload), payload, ("approve", "reject")))
    approved = decided.decision == "approve"
    return ApprovalResponse(
        approved=approved, reason=decided.text or f"{decided.decision} by {decided.by or 'someone'}"
    )


def _need_run(name: str) -> None:
    if SCOPE.get() is None:
        raise RuntimeError(
            f"{name} asks a person who may answer days later, which needs a run: give the agent to a moot.Chat"
        )
