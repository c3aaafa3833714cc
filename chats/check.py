"""Whether the pieces of a chat fit together: asked when a `Chat` is made, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autogen_core.models import ChatCompletionClient

from moot.agents.assistant import Assistant
from moot.agents.executor import Executor
from moot.agents.models import ModelSpec, check_name, own_model
from moot.agents.prices import price_of
from moot.chats.errors import Problem, SpecError, UserError, did_you_mean
from moot.chats.graph import Graph
from moot.chats.graph_check import GraphProblem
from moot.termination.rules import ANYTHING, CODE, Rule

if TYPE_CHECKING:
    from moot.chats.chat import Chat


def check_chat(chat: Chat) -> None:
    """Raises UserError for what the caller must change, SpecError for a graph."""
    _check_names(chat)
    if chat.limits is None:
        raise UserError(
            f"chat {chat.name!r} has no hard limit: give limits=Limits(...) with turns, rounds, tokens, usd or seconds"
        )
    looked_at = _looked_at(chat, chat.stop)
    for name in sorted(looked_at | ({chat.result.participant} if chat.result and chat.result.participant else set())):
        _known(chat, name, "a stop rule or the result looks at")
    if isinstance(chat.speakers, Graph):
        _check_graph(chat, chat.speakers, looked_at)
    _check_models(chat)


def _looked_at(chat: Chat, rule: Rule | None) -> frozenset[str]:
    """The participants whose turns the stop rule, if any, looks at; also names of nobody."""
    watches = rule.watches if rule is not None else frozenset()
    if ANYTHING in watches:
        return frozenset(chat.names) | watches - {ANYTHING, CODE}
    executors = {p.name for p in chat.participants if isinstance(p, Executor)} if CODE in watches else set()
    return watches - {CODE} | executors


def _check_names(chat: Chat) -> None:
    if not chat.participants:
        raise UserError(f"chat {chat.name!r} has no participants")
    seen: set[str] = set()
    for name in chat.names:
        if name in seen:
            raise UserError(f"chat {chat.name!r} has two participants called {name!r}")
        if not name.isidentifier():
            raise UserError(f"participant {name!r}: a name is letters, digits and _, and begins with no digit")
        if name in ("user", "moot"):
            raise UserError(
                f"participant {name!r}: that name is taken by the {'task' if name == 'user' else 'runtime'}"
            )
        seen.add(name)
    for participant in chat.participants:
        if isinstance(participant, Executor):
            for source in participant.runs_code_from:
                _known(chat, source, f"executor {participant.name!r} runs code from")


def _check_graph(chat: Chat, graph: Graph, looked_at: frozenset[str]) -> None:
    problems = graph.validate(chat.names, looked_at)
    if problems:
        raise SpecError(*(_problem(chat, graph, found) for found in problems))


def _problem(chat: Chat, graph: Graph, found: GraphProblem) -> Problem:
    where = f"graph of {chat.name}"
    if found.edge is None:
        return Problem(where, found.message, suggestion=found.suggestion)
    text = graph.edges[found.edge].text or str(graph.edges[found.edge])
    return Problem(where, found.message, found.edge + 1, found.column, f"edge {found.edge + 1}", found.suggestion, text)


def _known(chat: Chat, name: str, who: str) -> None:
    if name not in chat.names:
        hint = did_you_mean(name, chat.names)
        raise UserError(f"{who} {name!r}, who is no participant" + (f" ({hint})" if hint else ""))


def _check_models(chat: Chat) -> None:
    for participant in chat.participants:
        if not isinstance(participant, Assistant):
            continue
        model = participant.model if participant.model is not None else chat.model
        if model is None:
            raise UserError(
                f"assistant {participant.name!r} has no model: give it one, or give the chat one (model=...)"
            )
        if chat.limits is not None and chat.limits.usd is not None and not priced(model):
            raise UserError(
                f"a usd limit needs a price for every model, and {participant.name!r} has an unpriced one: "
                "give a price, or limit tokens instead"
            )


def priced(model: str | ModelSpec | ChatCompletionClient) -> bool:
    """Whether the price of a model is known; a scripted one costs nothing. Raises ModelError for an unknown name."""
    if isinstance(model, ModelSpec):
        return model.price is not None
    if not isinstance(model, str):
        return own_model(model).price is not None
    check_name(model)
    return model.startswith("playbook:") or price_of(model) is not None
