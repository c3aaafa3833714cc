"""What can be seen of an agent from outside: whether its effects are journalled, whom it asks, which tools it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.base import ChatAgent, Handoff
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StructuredMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.tools import AgentTool
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import BaseTool, StaticStreamWorkbench, StaticWorkbench, Workbench

from moot.agents.models import own_model

_OWN_TURN = ("on_messages", "on_messages_stream", "save_state", "load_state")
_KINDS: Mapping[type[BaseChatAgent], tuple[str, ...]] = {
    AssistantAgent: _OWN_TURN,
    CodeExecutorAgent: (*_OWN_TURN, "execute_code_block"),
    UserProxyAgent: (*_OWN_TURN, "_get_input"),
}
"""What of each kind must be AutoGen's own: where it does not go by what was replaced in it, nothing would be seen."""
_ASKING = ("_model_client", "_team", "_agent")
"""Where AutoGen's agents and tools keep a model, or a team or an agent that has one."""
_ASKING_PROVIDERS = ("_client", "_project_client")
"""Where its extensions keep a provider's own client; elsewhere such a name may mean anything."""
_OWN_CONTEXT = ("add_message", "clear", "save_state", "load_state")


def is_adopted(agent: object) -> bool:
    """Whether each effect of an agent is seen: one of AutoGen's that speaks as AutoGen wrote it."""
    kind = next((kind for kind in _KINDS if isinstance(agent, kind)), None)
    if kind is None or any(getattr(type(agent), method) is not getattr(kind, method) for method in _KINDS[kind]):
        return False
    context = type(getattr(agent, "_model_context", None))
    return not issubclass(context, ChatCompletionContext) or all(
        getattr(context, method) is getattr(ChatCompletionContext, method) for method in _OWN_CONTEXT
    )


def agent_inside(tool: object) -> BaseChatAgent | None:
    """The agent that a tool is, where the agent's own effects are seen."""
    return tool._agent if type(tool) is AgentTool and is_adopted(tool._agent) else None


def tools_of(bench: Workbench) -> list[BaseTool[object, object]] | None:  # type: ignore[type-var]
    """The tools of a workbench that always has the same; None for any other."""
    return bench._tools if type(bench) in (StaticWorkbench, StaticStreamWorkbench) else None  # type: ignore[attr-defined]


def structured(agent: object) -> tuple[type[BaseChatMessage], ...]:
    """What an assistant with an output type answers with: no message factory knows it."""
    kind = agent._output_content_type if isinstance(agent, AssistantAgent) else None
    return () if kind is None else (StructuredMessage[kind],)  # type: ignore[valid-type]


def said_by(tool: object) -> tuple[type[BaseAgentEvent | BaseChatMessage], ...]:
    """What the team or the agent behind a tool may say that no message factory knows."""
    runner = getattr(tool, "_task_runner", None)
    if isinstance(runner, BaseGroupChat):
        return tuple(runner._message_factory._message_types.values())
    return (*runner.produced_message_types, *structured(runner)) if isinstance(runner, BaseChatAgent) else ()


def own_handoffs(agent: AssistantAgent) -> frozenset[str]:
    """The names of hand-off tools that do more than to return a text."""
    pairs = zip(agent._handoff_tools, agent._handoffs.values(), strict=True)
    return frozenset(tool.name for tool, handoff in pairs if type(handoff).handoff_tool is not Handoff.handoff_tool)


def client_of(agent: ChatAgent) -> ChatCompletionClient | None:
    """The model client that speaks for an agent, where its calls are seen."""
    client = getattr(agent, "_model_client", None) if is_adopted(agent) else None
    return client if isinstance(client, ChatCompletionClient) else None


def tool_names(agent: ChatAgent) -> frozenset[str] | None:
    """Every name by which a tool call of an agent can be named in a `ToolPolicy`: its own, those of agents that are its
    tools, and hand-offs with code of their own. None where that is not known before it is asked, as of a server's
    tools. Empty for an agent whose inside is not seen: no policy reaches it.
    """
    if not isinstance(agent, AssistantAgent) or not is_adopted(agent):
        return frozenset()
    names = set(own_handoffs(agent))
    for bench in agent._workbench:
        tools = tools_of(bench)
        if tools is None:
            return None
        overrides = getattr(bench, "_tool_overrides", {}).values()
        names |= {tool.name for tool in tools} | {override.name for override in overrides if override.name}
        for inner in filter(None, map(agent_inside, tools)):
            below = tool_names(inner)
            if below is None:
                return None
            names |= below
    return frozenset(names)


def tools_unseen(agent: ChatAgent) -> list[str]:
    """The tools of an assistant whose inside is not seen, as one is that overrides how AutoGen's speaks: their calls
    are nobody's but its own. Where a workbench has to be asked first, its tools are not among them.
    """
    if not isinstance(agent, AssistantAgent) or is_adopted(agent):
        return []
    return [tool.name for bench in agent._workbench for tool in tools_of(bench) or ()]


def spends_unseen(agent: ChatAgent) -> str:
    """How an agent can ask a model without anybody seeing what that costs; empty where nothing says that it does.

    What an agent of the user's own does inside nobody can know: it is only looked at what it holds.
    """
    if not is_adopted(agent):
        return f"what happens inside {_a(type(agent).__name__)} is not seen" if _asks(agent) else ""
    return next(_unseen_in(agent), "")


def _unseen_in(agent: ChatAgent) -> Iterator[str]:
    return unseen_tools(getattr(agent, "_workbench", ()))


def unseen_tools(workbenches: Iterable[Workbench]) -> Iterator[str]:
    """How a model can be asked through these tools without anybody seeing what that costs."""
    benches = (getattr(bench, "_tools", None) for bench in workbenches)
    for tool in (tool for bench in benches if isinstance(bench, list) for tool in bench):
        inner = agent_inside(tool)
        if inner is None:
            if _asks(tool):
                yield f"its tool {tool.name!r} asks a model of its own"
            continue
        client = client_of(inner)
        if client is not None and own_model(client).price is None:
            yield f"the model of its tool {tool.name!r} has no known price"
        yield from (f"in its tool {tool.name!r}, {how}" for how in _unseen_in(inner))


def _asks(thing: object) -> bool:
    """Whether an agent or a tool holds a model, or somebody who does."""
    held = [getattr(thing, name, None) for name in _ASKING]
    if any(kind.__module__.startswith("autogen_ext.") for kind in type(thing).__mro__):
        held += [getattr(thing, name, None) for name in _ASKING_PROVIDERS]
    return any(each is not None for each in held) or _asks_through(getattr(thing, "_wrapped_agent", None))


def _asks_through(wrapped: object) -> bool:
    return wrapped is not None and _asks(wrapped)


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
