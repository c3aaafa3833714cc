"""An assistant: a participant that a model speaks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ChatCompletionClient

from moot.agents.adopt import adopt
from moot.agents.models import ModelSpec, resolve
from moot.agents.playbook import Playbook
from moot.agents.seat import Seat


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant:
    """What an assistant is: an inert value. Its model, if it has none of its own, is the chat's."""

    name: str
    instructions: str = ""
    goal: str = ""
    backstory: str = ""
    description: str = ""
    model: str | ModelSpec | ChatCompletionClient | None = None
    part: str = ""
    """Which part of a playbook it plays; its name unless given. Real models do not see it."""

    def __post_init__(self) -> None:
        if not (self.instructions or self.goal):
            raise ValueError(f"assistant {self.name!r} needs instructions or a goal")

    @property
    def system_message(self) -> str:
        """What the model is told about itself."""
        said = [f"You are {self.name}, a participant of a group chat. Speak only for yourself."]
        said += [self.backstory] if self.backstory else []
        said += [f"Your goal: {self.goal}"] if self.goal else []
        said += [self.instructions] if self.instructions else []
        return "\n".join(said)

    def seat(self, model: str | ModelSpec | ChatCompletionClient | None, playbooks: Callable[[str], Playbook]) -> Seat:
        """A seat with its own context and client; `model` is the chat's. Raises ModelError, ValueError without any
        model.
        """
        chosen = self.model if self.model is not None else model
        if chosen is None:
            raise ValueError(f"assistant {self.name!r} has no model and the chat has none either")
        resolved = resolve(chosen, part=self.part or self.name, playbooks=playbooks)
        agent = AssistantAgent(
            self.name,
            resolved.client,
            description=self.description or self.goal or self.instructions,
            system_message=self.system_message,
            model_client_stream=True,
        )
        return adopt(agent, resolved)


def assistant(
    name: str,
    instructions: str = "",
    *,
    goal: str = "",
    backstory: str = "",
    model: str | ModelSpec | ChatCompletionClient | None = None,
) -> Assistant:
    """A participant that a model speaks for, told who it is by `instructions`, or by `goal` and `backstory`."""
    return Assistant(name=name, instructions=instructions, goal=goal, backstory=backstory, model=model)
