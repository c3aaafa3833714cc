"""A person at the table: when their turn comes the run waits for them, holding nothing, and anybody may answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_core import CancellationToken

from moot.agents.effects import ask
from moot.agents.json_text import digest_of, whole_characters
from moot.agents.questions import Decision, Question, Verdict
from moot.termination.transcript import DECISION

_WORDS = {"approve": "APPROVED", "reject": "REJECTED"}
_ALLOW: tuple[Verdict, ...] = ("approve", "edit", "reject", "respond")


@dataclass(frozen=True, slots=True, kw_only=True)
class Human:
    """What a person at the table is: an inert value."""

    name: str
    approves: str = ""
    """Whose latest message they approve, edit or reject; empty: they simply answer."""
    prompt: str = ""
    """What they are asked; made from what they are to do unless given."""
    description: str = ""


def human(name: str, *, approves: str = "", prompt: str = "", description: str = "") -> Human:
    """A person who speaks when their turn comes: they answer, or decide about the latest message of `approves`."""
    return Human(name=name, approves=approves, prompt=prompt, description=description)


class HumanAgent(BaseChatAgent):
    """The AutoGen agent behind a `Human`. Each turn is one durable question."""

    def __init__(self, spec: Human) -> None:
        about = f"A person who approves what {spec.approves} says." if spec.approves else "A person."
        super().__init__(spec.name, spec.description or about)
        self._spec = spec

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """People write text."""
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Ask, and say what was answered."""
        return Response(chat_message=self._said(await ask(self._question(messages))))

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """The same."""
        yield await self.on_messages(messages, cancellation_token)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """There is nothing to forget."""

    def _question(self, messages: Sequence[BaseChatMessage]) -> Question:
        spec = self._spec
        shown = next((m for m in reversed(messages) if m.source == spec.approves), None) if spec.approves else None
        if shown is None:
            silent = f"{spec.approves} has said nothing new. " if spec.approves else ""
            payload = {"prompt": silent + (spec.prompt or "What do you say?")}
            return Question("input", digest_of(payload), payload, ("respond",), spec.name)
        asked = {"from": shown.source, "message": shown.to_text()}
        payload = {**asked, "prompt": spec.prompt} if spec.prompt else asked
        return Question("message", digest_of(asked), payload, _ALLOW, spec.name)

    def _said(self, decided: Decision) -> TextMessage:
        known = {DECISION: decided.decision, "by": decided.by}
        remark = decided.text.strip()
        if decided.decision == "respond":
            text = decided.text
        elif decided.decision == "edit":
            text = f"APPROVED with changes{f' ({remark})' if remark else ''}:\n{decided.edited}"
        else:
            text = _WORDS[decided.decision] + (f": {remark}" if remark else "")
        return TextMessage(content=whole_characters(text), source=self.name, metadata=known)
