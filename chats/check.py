"""Whether the pieces of a chat fit together: asked when a `Chat` is made, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from autogen_agentchat.base import ChatAgent
from autogen_core.models import ChatCompletionClient
from pydantic import BaseModel

from moot.agents.approval import ANYONE
from moot.agents.assistant import Assistant
from moot.agents.executor import Executor
from moot.agents.human import Human
from moot.agents.model_names import check_name
from moot.agents.models import ModelSpec, own_model
from moot.agents.prices import FREE, Price, price_of
from moot.agents.seen import client_of, spends_unseen, structured, tool_names, tools_unseen, unseen_tools
from moot.agents.tape_client import RecordingClient
from moot.agents.tool_policy import ToolPolicy
from moot.agents.tools import names_of, workbenches
from moot.chats.edges import name_refusal
from moot.chats.errors import Problem, SpecError, UserError, did_you_mean
from moot.chats.graph import Graph
from moot.chats.graph_check import GraphProblem, undecided
from moot.chats.selector import Selector
from moot.chats.speakers import AskingPolicy
from moot.termination.limits import Limits
from moot.termination.rules import ANYTHING, CODE, Rule

if TYPE_CHECKING:
    from moot.chats.chat import Chat, Participant

AnyModel: TypeAlias = str | ModelSpec | ChatCompletionClient


def check_chat(chat: Chat) -> None:
    """Raises UserError for what the caller must change, SpecError for a graph."""
    _check_kinds(chat.participants, chat.stop, chat.limits, chat.speakers)
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
    if isinstance(chat.speakers, Selector) and not callable(chat.speakers.candidates):
        for name in chat.speakers.candidates or ():
            _known(chat, name, "the selector may pick")
    _check_tools(chat)
    _check_replies(chat)
    _check_people(chat)
    _check_models(chat, chat.limits)


def _check_kinds(participants: object, stop: object, limits: object, speakers: object) -> None:
    """A wrong kind of value is named here, where it was given, rather than wherever it would first fail."""
    if isinstance(participants, str) or not isinstance(participants, Sequence):
        raise UserError("participants must be a list of assistant(...), executor(...), human(...) and AutoGen agents")
    for number, given in enumerate(participants, 1):
        if not isinstance(given, Assistant | Executor | Human | ChatAgent):
            kind = type(given).__name__
            wanted = "assistant(...), executor(...), human(...) or an AutoGen ChatAgent"
            raise UserError(f"participant {number} is a {kind}: give {wanted}")
    if stop is not None and not isinstance(stop, Rule):
        raise UserError(f"stop={stop!r} is no stop rule: give one such as says('critic', starts='APPROVE')")
    if limits is not None and not isinstance(limits, Limits):
        raise UserError(f"limits={limits!r}: give Limits(turns=..., usd=..., ...)")
    if not callable(getattr(speakers, "choose", None)) and not isinstance(speakers, AskingPolicy):
        raise UserError(f"speakers={speakers!r} is no speaker policy: give round_robin(), selector(...) or graph(...)")


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
        if refusal := name_refusal(name):
            raise UserError(refusal[0] + (f" ({refusal[1]})" if refusal[1] else ""))
        seen.add(name)
    for participant in chat.participants:
        if isinstance(participant, Executor):
            for source in participant.runs_code_from:
                _known(chat, source, f"executor {participant.name!r} runs code from")


def _check_graph(chat: Chat, graph: Graph, looked_at: frozenset[str]) -> None:
    people = [p.name for p in chat.participants if isinstance(p, Human)]
    never = undecided(graph.edges, people, [name for name in chat.names if name not in people])
    problems = [*graph.validate(chat.names, looked_at), *never]
    if problems:
        raise SpecError(*(_problem(chat, graph, found) for found in problems))


def _problem(chat: Chat, graph: Graph, found: GraphProblem) -> Problem:
    where = f"graph of {chat.name}"
    if found.edge is None:
        return Problem(where, found.message, path=found.participant or "", suggestion=found.suggestion)
    text = graph.edges[found.edge].text or str(graph.edges[found.edge])
    return Problem(where, found.message, found.edge + 1, found.column, f"edge {found.edge + 1}", found.suggestion, text)


def _known(chat: Chat, name: str, who: str) -> None:
    if name not in chat.names:
        hint = did_you_mean(name, chat.names)
        raise UserError(f"{who} {name!r}, who is no participant" + (f" ({hint})" if hint else ""))


def _check_people(chat: Chat) -> None:
    """Who is asked, and who decides, must be a person; whose words they approve, somebody who speaks."""
    people = {p.name: p for p in chat.participants if isinstance(p, Human)}
    for person in people.values():
        if person.approves:
            _known(chat, person.approves, f"{person.name!r} approves what is said by")
        if person.approves == person.name:
            raise UserError(f"{person.name!r} cannot approve what they say themselves")
    for name in sorted(chat.stop.people) if chat.stop is not None else ():
        if name not in people:
            raise UserError(f"a stop rule waits for a decision of {name!r}, who is no human(...) and decides nothing")
        if not people[name].approves:
            raise UserError(
                f"a stop rule waits for a decision of {name!r}: say whose words they approve (approves=...)"
            )
    asked = {p.name: p.approval.ask for p in chat.participants if isinstance(p, Executor) and p.approve != "never"}
    asked |= {f"the tool {name}": approval.ask for name, approval in chat.tools.approvals.items()}
    for what, who in asked.items():
        if who != ANYONE and who not in people:
            hint = did_you_mean(who, (*people, ANYONE)) or f"one of {', '.join((*people, ANYONE))}"
            raise UserError(f"{what} is to ask {who!r}, who is no human(...) of this chat ({hint})")


def _check_tools(chat: Chat) -> None:
    """What is said of a tool that nobody has would be taken for a promise."""
    if not isinstance(chat.tools, ToolPolicy):
        raise UserError(f"tools={chat.tools!r}: give ToolPolicy(approve={{...}}, side_effects={{...}}, lookup={{...}})")
    _check_asked_about(chat)
    if not chat.tools.named:
        return
    agents = [p for p in chat.participants if not isinstance(p, Executor | Human)]
    known = [names for names in map(_tools_had, agents) if names is not None]
    if len(known) < len(agents):  # some workbench has to be asked first
        return
    have = frozenset[str]().union(*known)
    for name in sorted(chat.tools.named - have):
        hint = did_you_mean(name, sorted(have))
        raise UserError(
            f"tools: no participant has a tool {name!r}"
            + (f" ({hint})" if hint else "; what a team or an agent of your own does inside is not asked about")
        )


def _check_asked_about(chat: Chat) -> None:
    """A call that nobody sees is made without anybody being asked."""
    for one in chat.participants:
        for name in tools_unseen(one) if isinstance(one, ChatAgent) else ():
            if chat.tools.approval({name}) is not None:
                raise UserError(
                    f"tools: {one.name!r} is an agent of your own, {type(one).__name__}: what it does inside is not "
                    f"seen, and nobody could be asked before it calls {name!r}"
                )


def _tools_had(participant: Assistant | ChatAgent) -> frozenset[str] | None:
    return names_of(participant.tools) if isinstance(participant, Assistant) else tool_names(participant)


def _check_replies(chat: Chat) -> None:
    """A message is read back from the journal by the name of its class."""
    forms: dict[str, type[BaseModel]] = {}
    for participant in chat.participants:
        for message, kind in _forms(participant):
            if forms.setdefault(message, kind) is not kind:
                called = message.removesuffix("]").rpartition("[")[2].rpartition(".")[2]
                raise UserError(f"the reply of {participant.name!r} is of a second class called {called!r}")


def _forms(participant: Participant) -> list[tuple[str, type[BaseModel]]]:
    """The class of its typed replies, or that of the messages that hold them, by what the journal calls those."""
    if isinstance(participant, Assistant):
        form = participant.reply
        return [] if form is None else [(form.message.__name__, form.kind)]
    return [(message.__name__, message) for message in structured(participant)]


def _check_models(chat: Chat, limits: Limits) -> None:
    if limits.usd is not None:
        _check_seen(chat)
    asked = {p.name: model for p in chat.participants if (model := _model_of(chat, p)) is not None}
    prices = {name: _price(model) for name, model in asked.items()}
    picks = _price_of_picking(chat)
    unpriced = [repr(name) for name, price in prices.items() if price is None]
    unpriced += ["the selector"] if picks is None else []
    if limits.usd is not None and unpriced:
        raise UserError(
            f"a usd limit needs a price for every model, and {unpriced[0]} has an unpriced one: "
            "give a price, or limit tokens instead"
        )
    costs = any(price is not None and price.cost(1, 1) for price in prices.values())
    reached = {"tokens": bool(asked), "usd": costs}
    if not [name for name in limits.hard() if reached.get(name, True)]:
        never = " and ".join(f"limits.{name}" for name in limits.hard())
        raise UserError(
            f"chat {chat.name!r} cannot end: nobody in it is known to spend anything that counts against {never}; "
            "give turns, rounds or seconds as well"
        )


def _price_of_picking(chat: Chat) -> Price | None:
    """What the model costs that picks the speakers; it does not make a chat end, since it may never be asked."""
    if not isinstance(chat.speakers, Selector):
        return FREE
    model = chat.speakers.model if chat.speakers.model is not None else chat.model
    if model is None:
        raise UserError("the selector has no model: give it one, or give the chat one (model=...)")
    return _price(model)


def _check_seen(chat: Chat) -> None:
    """A limit in dollars holds only where every model call passes by."""
    for participant in chat.participants:
        if not isinstance(participant, Executor | Human) and (how := _unseen(participant)):
            raise UserError(
                f"a usd limit cannot hold for {participant.name!r}: {how}; "
                "use assistant(...) or an AssistantAgent as it is, or limit turns, tokens or seconds instead"
            )


def _unseen(participant: Assistant | ChatAgent) -> str:
    if isinstance(participant, Assistant):
        return next(unseen_tools(workbenches(participant.tools)), "")
    return spends_unseen(participant)


def _model_of(chat: Chat, participant: Participant) -> AnyModel | None:
    """The model that speaks for a participant, as far as that can be seen."""
    if isinstance(participant, Executor | Human):
        return None
    if not isinstance(participant, Assistant):
        return client_of(participant)
    model = participant.model if participant.model is not None else chat.model
    if model is None:
        raise UserError(f"assistant {participant.name!r} has no model: give it one, or give the chat one (model=...)")
    return model


def priced(model: AnyModel) -> bool:
    """Whether the price of a model is known; a scripted or replayed one costs nothing. Raises ModelError for an unknown
    name.
    """
    return _price(model) is not None


def _price(model: AnyModel) -> Price | None:
    if isinstance(model, RecordingClient):
        return _price(model.given)
    if isinstance(model, ModelSpec):
        return model.price
    if not isinstance(model, str):
        return own_model(model).price
    check_name(model)
    return FREE if model.startswith(("playbook:", "replay:")) else price_of(model)
