"""What does not fit together is refused when a chat is made, before anything is spent."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import (
    AssistantAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken

from moot.agents.assistant import assistant
from moot.agents.errors import ModelError
from moot.agents.executor import executor
from moot.agents.models import ModelSpec
from moot.agents.prices import Price
from moot.agents.tool_policy import ToolPolicy
from moot.chats.chat import Chat
from moot.chats.errors import SpecError, UserError
from moot.chats.graph import graph
from moot.chats.memory_store import MemoryStore
from moot.chats.result import ResultSpec
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.rules import code_succeeded, says, when
from tests.fakes import Counting, Scripted
from tests.fakes import OpenAIChatCompletionClient as Priced

SIX = Limits(turns=6)
UNSEEN = "a usd limit cannot hold for 'anna': "
INSTEAD = "use assistant(...) or an AssistantAgent as it is, or limit turns, tokens or seconds instead"


class Loud(AssistantAgent):
    """Speaks in its own way."""

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        return await super().on_messages(messages, cancellation_token)


def inner() -> AssistantAgent:
    return AssistantAgent("inner", Priced())


def with_tool() -> AssistantAgent:
    return AssistantAgent("anna", Counting(), tools=[one_more, AgentTool(inner())])


def team() -> RoundRobinGroupChat:
    return RoundRobinGroupChat([inner()], max_turns=1)


async def one_more(number: int) -> int:
    """A tool that asks nobody."""
    return number + 1


def chat(*participants: Any, **parts: Any) -> Chat:
    return Chat(participants, **{"limits": SIX, "name": "talk", **parts})


def two(**parts: Any) -> Chat:
    return chat(Scripted("anna"), Scripted("ben"), **parts)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (chat, "chat 'talk' has no participants"),
        (lambda: chat(Scripted("a"), Scripted("a")), "chat 'talk' has two participants called 'a'"),
        (
            lambda: chat(assistant("no spaces", "x", model=Counting())),
            "'no spaces' cannot be a participant's name: only letters, digits and _, not a digit first"
            " (did you mean 'no_spaces'?)",
        ),
        (lambda: chat(Scripted("user")), "'user' cannot be a participant's name: it stands for whoever gives the task"),
        (lambda: chat(Scripted("moot")), "'moot' cannot be a participant's name: it stands for the runtime"),
        (
            lambda: two(limits=None),
            "chat 'talk' has no hard limit: give limits=Limits(...) with turns, rounds, tokens, usd or seconds",
        ),
        (
            lambda: two(stop=says("ana", "x")),
            "a stop rule or the result looks at 'ana', who is no participant (did you mean 'anna'?)",
        ),
        (
            lambda: two(stop=code_succeeded() & says("zzz", "x")),
            "a stop rule or the result looks at 'zzz', who is no participant",
        ),
        (
            lambda: two(result=ResultSpec("bne")),
            "a stop rule or the result looks at 'bne', who is no participant (did you mean 'ben'?)",
        ),
        (
            lambda: chat(Scripted("coder"), executor("runner", Fake(), runs_code_from=["codr"])),
            "executor 'runner' runs code from 'codr', who is no participant (did you mean 'coder'?)",
        ),
        (
            lambda: chat(assistant("anna", "x")),
            "assistant 'anna' has no model: give it one, or give the chat one (model=...)",
        ),
        (
            lambda: chat(assistant("anna", "x", model=Counting()), limits=Limits(usd=1)),
            "a usd limit needs a price for every model, and 'anna' has an unpriced one: "
            "give a price, or limit tokens instead",
        ),
        (
            lambda: chat(AssistantAgent("anna", Counting()), limits=Limits(usd=1, turns=3)),
            "a usd limit needs a price for every model, and 'anna' has an unpriced one: "
            "give a price, or limit tokens instead",
        ),
        (
            lambda: chat(assistant("a", "x"), model=ModelSpec("http://localhost:1/v1", "qwen"), limits=Limits(usd=1)),
            "a usd limit needs a price for every model, and 'a' has an unpriced one: "
            "give a price, or limit tokens instead",
        ),
        (
            lambda: chat(Loud("anna", Priced()), limits=Limits(usd=1, turns=3)),
            f"{UNSEEN}what happens inside a Loud is not seen; {INSTEAD}",
        ),
        (
            lambda: chat(SocietyOfMindAgent("anna", team(), Priced()), limits=Limits(usd=1, turns=3)),
            f"{UNSEEN}what happens inside a SocietyOfMindAgent is not seen; {INSTEAD}",
        ),
        (
            lambda: chat(MessageFilterAgent("anna", inner(), MessageFilterConfig(per_source=[])), limits=Limits(usd=1)),
            f"{UNSEEN}what happens inside a MessageFilterAgent is not seen; {INSTEAD}",
        ),
        (
            lambda: chat(
                AssistantAgent("anna", Priced(), tools=[AgentTool(AssistantAgent("inner", Counting()))]),
                limits=Limits(usd=1),
            ),
            f"{UNSEEN}the model of its tool 'inner' has no known price; {INSTEAD}",
        ),
        (
            lambda: chat(
                AssistantAgent("anna", Priced(), tools=[AgentTool(Loud("inner", Priced()))]), limits=Limits(usd=1)
            ),
            f"{UNSEEN}its tool 'inner' asks a model of its own; {INSTEAD}",
        ),
        (
            lambda: chat(
                AssistantAgent("anna", Priced(), tools=[TeamTool(team(), "crew", "asks")]), limits=Limits(usd=1)
            ),
            f"{UNSEEN}its tool 'crew' asks a model of its own; {INSTEAD}",
        ),
        (
            lambda: chat(Loud("anna", Priced()), limits=Limits(tokens=1000)),
            "chat 'talk' cannot end: nobody in it is known to spend anything that counts against limits.tokens; "
            "give turns, rounds or seconds as well",
        ),
        (
            lambda: chat(assistant("anna", "x"), model="playbook:p", limits=Limits(usd=1)),
            "chat 'talk' cannot end: nobody in it is known to spend anything that counts against limits.usd; "
            "give turns, rounds or seconds as well",
        ),
        (
            lambda: two(limits=Limits(usd=1, tokens=10, code_runs=3)),
            "chat 'talk' cannot end: nobody in it is known to spend anything that counts against limits.tokens and "
            "limits.usd; give turns, rounds or seconds as well",
        ),
        (
            lambda: chat(with_tool(), tools=ToolPolicy(approve=frozenset({"one_mor"}))),
            "tools: no participant has a tool 'one_mor' (did you mean 'one_more'?)",
        ),
        (
            lambda: two(tools=ToolPolicy(side_effects=frozenset({"deploy"}))),
            "tools: no participant has a tool 'deploy'; what a team or an agent of your own does inside is not asked "
            "about",
        ),
        (
            lambda: two(tools={"approve": {"deploy"}}),
            "tools={'approve': {'deploy'}}: give ToolPolicy(approve={...}, side_effects={...}, lookup={...})",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make: Callable[[], Chat], message: str) -> None:
    with pytest.raises(UserError) as refused:
        make()
    assert str(refused.value) == refused.value.one_line == message


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="unknown model 'gpt-4o'"):
        chat(assistant("anna", "x"), model="gpt-4o", limits=Limits(usd=1))


@pytest.mark.parametrize(
    ("edges", "problem"),
    [
        (("anna -> zoe", "zoe -> anna"), "zoe"),
        (("anna -> anna",), "ben"),
        (("anna -> ben",), "ben"),
    ],
)
def test_a_graph_that_leads_nowhere_is_refused_with_its_edge(edges: tuple[str, ...], problem: str) -> None:
    with pytest.raises(SpecError) as refused:
        two(speakers=graph(*edges))
    assert problem in refused.value.one_line
    assert "graph of talk" in refused.value.one_line


@pytest.mark.parametrize(
    "make",
    [
        two,
        lambda: two(stop=says("anna", "x") | when(lambda said, spent: None)),
        lambda: two(speakers=graph("anna -> ben"), stop=says("ben", "x")),
        lambda: chat(Scripted("coder"), executor("runner", Fake(), runs_code_from=["coder"]), stop=code_succeeded()),
        lambda: chat(assistant("anna", "x"), model="playbook:p", limits=Limits(usd=1, turns=3)),
        lambda: chat(assistant("anna", "x"), model="playbook:p", limits=Limits(tokens=1000)),
        lambda: chat(AssistantAgent("anna", Priced()), limits=Limits(usd=1)),
        lambda: chat(AssistantAgent("anna", Priced(), tools=[AgentTool(inner())]), limits=Limits(usd=1)),
        lambda: chat(with_tool(), tools=ToolPolicy(approve=frozenset({"one_more", "inner"}))),
        lambda: chat(
            assistant("a", "x"),
            model=ModelSpec("http://localhost:1/v1", "qwen", price=Price(1.0, 1.0, "mine")),
            limits=Limits(usd=1),
        ),
        lambda: two(limits=Limits(seconds=5)),
        lambda: two(limits=Limits(usd=1, turns=3)),
        lambda: chat(Loud("anna", Priced()), limits=Limits(turns=3, tokens=1000)),
        lambda: chat(AssistantAgent("anna", Priced(), tools=[one_more]), limits=Limits(usd=1)),
        lambda: chat(UserProxyAgent("anna"), Scripted("ben"), limits=Limits(usd=1, turns=3)),
    ],
)
def test_what_fits_is_accepted_and_nothing_is_started(make: Callable[[], Chat]) -> None:
    assert make().names


def test_a_chat_is_a_value_that_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        two().limits = None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"participants": [1]}, "participant 1 is a int: give assistant"),
        ({"participants": "ab"}, "participants must be a list"),
        ({"stop": "APPROVE"}, "stop='APPROVE' is no stop rule"),
        ({"limits": {"turns": 3}}, "limits={'turns': 3}: give Limits"),
        ({"speakers": "round_robin"}, "speakers='round_robin' is no speaker policy"),
    ],
)
def test_a_value_of_a_wrong_kind_is_named_where_it_was_given(wrong: dict[str, Any], said: str) -> None:
    right: dict[str, Any] = {
        "participants": [assistant("ann", "Be brief.")], "limits": Limits(turns=3), "model": "playbook:x",
    }  # fmt: skip
    with pytest.raises(UserError) as refused:
        Chat(**{**right, **wrong})
    assert said in str(refused.value)


async def test_run_sync_says_what_to_do_where_a_loop_runs_already() -> None:
    chat = Chat([assistant("ann", "Be brief.")], limits=Limits(turns=3), model="playbook:x")
    with pytest.raises(UserError, match=r"await chat\.run"):
        chat.run_sync("go")


async def test_a_task_that_is_empty_or_missing_is_refused() -> None:
    chat = Chat([assistant("ann", "Be brief.")], limits=Limits(turns=3), model="playbook:x")
    for task in ("  ", None):
        with pytest.raises(UserError, match="the task is empty"):
            await chat.start(task, store=MemoryStore())  # type: ignore[arg-type]
