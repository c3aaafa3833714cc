"""An assistant: a participant that a model speaks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ChatCompletionClient
from pydantic import BaseModel

from moot.agents.adopt import adopt
from moot.agents.checked_client import CheckedClient
from moot.agents.errors import ModelError
from moot.agents.models import Model, ModelSpec, resolve
from moot.agents.playbook import Playbook
from moot.agents.seat import Seat
from moot.agents.tool_policy import ToolPolicy
from moot.agents.tools import AnyTool, Given, check_names, known_tools, made_tools, workbenches
from moot.agents.typed_reply import ReplyForm

MOST_CALLS = 10
"""How often in one turn a model may call tools, several at a time, before it has to say something."""
_NO_POLICY = ToolPolicy()


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
    tools: tuple[AnyTool, ...] = ()
    """What its model may call before it says something."""
    reply: ReplyForm | None = None
    """The form of its replies; None where they are free text."""
    notes: tuple[str, ...] = ()
    """What the journal is to warn of when it first speaks, such as a file of tools that has changed."""

    def __post_init__(self) -> None:
        check_names(self.tools)
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

    def seat(
        self,
        model: str | ModelSpec | ChatCompletionClient | None,
        playbooks: Callable[[str], Playbook],
        tools: ToolPolicy = _NO_POLICY,
    ) -> Seat:
        """A seat with its own context and client; `model` is the chat's, and so are the rules about its tools. Raises
        ModelError, ValueError without any model.
        """
        chosen = self.model if self.model is not None else model
        if chosen is None:
            raise ValueError(f"assistant {self.name!r} has no model and the chat has none either")
        resolved = resolve(chosen, part=self.part or self.name, playbooks=playbooks)
        checks = self.tools or self.reply is not None or self.notes
        seat = adopt(self._agent(resolved), resolved, tools, before=self._checked if checks else None)
        if self.reply is not None:
            seat.says = self.reply.said
            seat.messages.register(self.reply.message)
        return seat

    def _checked(self, client: ChatCompletionClient) -> CheckedClient:
        return CheckedClient(client, self.name, form=self.reply, tools=known_tools(self.tools), notes=self.notes)

    def _agent(self, model: Model) -> AssistantAgent:
        info, told = model.client.model_info, self.system_message
        if self.tools and not info["function_calling"]:
            raise ModelError(f"{model.name} calls no tools, and assistant {self.name!r} has some")
        if self.reply is not None and (self.tools or not info.get("structured_output")):
            told = f"{told}\n{self.reply.instructions}"
        return AssistantAgent(
            self.name,
            model.client,
            description=self.description or self.goal or self.instructions,
            system_message=told,
            model_client_stream=True,
            workbench=workbenches(self.tools) or None,
            reflect_on_tool_use=True,
            max_tool_iterations=MOST_CALLS,
            output_content_type=None if self.reply is None else self.reply.kind,
        )


def assistant(  # noqa: PLR0913 - keywords, each of which somebody reads
    name: str,
    instructions: str = "",
    *,
    goal: str = "",
    backstory: str = "",
    model: str | ModelSpec | ChatCompletionClient | None = None,
    tools: Sequence[Given] = (),
    reply: type[BaseModel] | None = None,
    says: str = "",
) -> Assistant:
    """A participant that a model speaks for, told who it is by `instructions`, or by `goal` and `backstory`.

    `tools` are functions (async or not, their parameters with types, their docstring the description), AutoGen tools
    and workbenches, and names: `FILE.py:NAME` in the working directory or below, `MODULE:NAME`. The model may call them
    until it has something to say. With `reply`, a pydantic class, each reply is an instance of it: the message's
    `content`. In the chat it reads as `says`, such as "VERDICT: {decision}", or as JSON. Raises ValueError.
    """
    if says and reply is None:
        raise ValueError(f"assistant {name!r}: says={says!r} needs reply=..., the class that has these fields")
    try:
        made = made_tools(tools, Path.cwd())
        form = None if reply is None else ReplyForm(reply, says)
    except ValueError as error:
        raise type(error)(f"assistant {name!r}: {error}") from error
    return Assistant(
        name=name,
        instructions=instructions,
        goal=goal,
        backstory=backstory,
        model=model,
        tools=made,
        reply=form,
    )
