"""Agents that ask somebody: by way of the run, or by a function of the user's own, which is asked once."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest
from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.messages import BaseChatMessage, CodeExecutionEvent, HandoffMessage, TextMessage
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_ext.code_executors._common import CommandLineCodeResult
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor

from moot.agents.adopt import adopt
from moot.agents.journalled_code import STATE_LOST
from moot.agents.people import ask_approval, ask_person
from moot.agents.questions import Decision
from moot.agents.seat import Seat
from tests.fakes import IN_DOUBT, Counting, FakeConversation, in_turn

CODE = TextMessage(content="```python\nprint(1)\n```", source="coder")


async def speak(seat: Seat, said: BaseChatMessage = CODE) -> str:
    return (await seat.speak([said], CancellationToken(), lambda _: None)).to_text()


class Terminal(CodeExecutor):
    """Notes what it runs."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.result = CodeResult(0, "")

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        self.ran += [block.code for block in code_blocks]
        return self.result

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


@pytest.mark.parametrize("agent", [UserProxyAgent("u"), UserProxyAgent("u", input_func=ask_person)])
async def test_a_user_proxy_asks_a_person_by_way_of_the_run(agent: UserProxyAgent) -> None:
    conversation = FakeConversation(decisions={"ask-input/0": Decision("respond", "a pony")})
    in_turn(conversation)
    assert await speak(adopt(agent)) == "a pony"
    (question,) = conversation.questions.values()
    assert (question.kind, question.allow) == ("input", ("respond",))
    assert question.payload == {"prompt": "Enter your response: "}
    assert conversation.effects == {}


async def test_who_is_handed_over_to_is_asked_with_the_prompt_that_says_so() -> None:
    conversation = FakeConversation(decisions={"ask-input/0": Decision("respond", "back to you")})
    in_turn(conversation)
    await speak(adopt(UserProxyAgent("u")), HandoffMessage(content="help", source="a", target="u"))
    (question,) = conversation.questions.values()
    assert question.payload == {"prompt": "Handoff received from a. Enter your response: "}


async def test_a_function_of_the_users_own_is_asked_once_with_what_it_expects() -> None:
    seen: list[tuple[str, object]] = []
    request_id = UserProxyAgent.InputRequestContext.request_id

    async def waits(prompt: str, token: CancellationToken | None) -> str:
        seen.append((prompt, type(token)))
        return f"{len(request_id())} characters"

    def blocks(prompt: str) -> str:
        seen.append((prompt, None))
        return f"{len(request_id())} characters"  # AutoGen itself forgets it in the thread

    for function, given in ((waits, CancellationToken), (blocks, None)):
        in_turn(first := FakeConversation())
        said = await speak(adopt(UserProxyAgent("u", input_func=function)))
        in_turn(FakeConversation(first.journalled()))
        again = await speak(adopt(UserProxyAgent("u", input_func=function)))
        assert said == again == "36 characters"
        assert list(first.results) == ["input/0"]
        assert seen.pop() == ("Enter your response: ", given)
        assert seen == []


async def test_half_a_character_that_somebody_typed_is_mended(conversation: FakeConversation) -> None:
    in_turn(conversation)
    assert await speak(adopt(UserProxyAgent("u", input_func=lambda _: "\ud83d"))) == "\ufffd"


def coder(approve: Callable[..., Any], terminal: Terminal) -> Seat:
    return adopt(CodeExecutorAgent("x", terminal, approval_func=approve))


@pytest.mark.parametrize(
    ("decision", "ran", "words"),
    [
        (Decision("approve"), ["print(1)\n"], "The script ran but produced no output"),
        (Decision("reject", "no prints", "ann"), [], "Code execution was not approved. Reason: no prints"),
        (Decision("reject", "", "ann"), [], "Code execution was not approved. Reason: reject by ann"),
    ],
)
async def test_code_is_approved_by_way_of_the_run(decision: Decision, ran: list[str], words: str) -> None:
    conversation, terminal = FakeConversation(decisions={"ask-code/0": decision}), Terminal()
    in_turn(conversation)
    assert (await speak(coder(ask_approval, terminal))).startswith(words)
    (question,) = conversation.questions.values()
    assert (question.kind, question.allow) == ("code", ("approve", "reject"))
    assert question.payload == {"code": "```python\nprint(1)\n\n```"}
    assert terminal.ran == ran


async def test_an_approval_is_bound_to_the_code_and_not_to_what_led_to_it() -> None:
    digests: list[str] = []
    for words in ("please", "now"):
        conversation = FakeConversation(decisions={"ask-code/0": Decision("approve")})
        in_turn(conversation)
        model = Counting(lambda messages, n: "```python\nprint(1)\n```" if n == 1 else "done")
        agent = CodeExecutorAgent("x", Terminal(), model_client=model, approval_func=ask_approval)
        await speak(adopt(agent), TextMessage(content=words, source="user"))
        digests += [question.digest for question in conversation.questions.values()]
    assert len(digests) == 2
    assert len(set(digests)) == 1


async def test_an_approval_function_of_the_users_own_is_asked_once_and_holds_up_nobody() -> None:
    loop, asked = asyncio.get_running_loop(), list[str]()
    gone_on = asyncio.Event()

    async def waits(request: ApprovalRequest) -> ApprovalResponse:
        asked.append(request.code)
        return ApprovalResponse(approved=True, reason="")

    def blocks(request: ApprovalRequest) -> ApprovalResponse:
        asked.append(request.code)
        asyncio.run_coroutine_threadsafe(gone_on.wait(), loop).result(10)  # hangs where the loop stands still
        return ApprovalResponse(approved=True, reason="")

    loop.call_soon(gone_on.set)
    for function in (waits, blocks):
        terminal = Terminal()
        in_turn(first := FakeConversation())
        await speak(coder(function, terminal))
        in_turn(FakeConversation(first.journalled()))
        await speak(coder(function, terminal))
        assert list(first.results) == ["approval/0", "code/0"]
        assert (asked.pop(), asked, terminal.ran) == ("```python\nprint(1)\n\n```", [], ["print(1)\n"])


async def test_what_the_agent_writes_into_a_result_is_not_recorded(conversation: FakeConversation) -> None:
    terminal = Terminal()
    in_turn(conversation)
    said = await speak(coder(ask_nobody, terminal))
    assert said.startswith("The script ran but produced no output")
    assert terminal.result.output == ""
    assert conversation.journalled()["code/0"] == {"exit_code": 0, "output": ""}


class Shell(LocalCommandLineCodeExecutor):
    """Keeps nothing but files."""

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CommandLineCodeResult:
        return CommandLineCodeResult(exit_code=0, output="ran", code_file=None)


@pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor")
async def test_code_in_doubt_is_run_again_unless_variables_may_have_been_lost() -> None:
    for terminal, before, words in (
        (Terminal(), False, "The script ran but produced no output"),
        (Terminal(), True, f"Its output was:\n{STATE_LOST}"),
        (Shell(), True, "ran"),
    ):
        seat = adopt(CodeExecutorAgent("x", terminal, approval_func=ask_nobody))
        if before:
            await seat.restore({}, [], {"approval/0": None, "code/0": None})
        in_turn(FakeConversation({"code/0": IN_DOUBT}))
        assert words in await speak(seat)


async def test_code_that_ran_before_in_the_same_turn_counts(conversation: FakeConversation) -> None:
    ran = {"exit_code": 1, "output": "boom"}
    conversation.recorded = {"code/0": ran, "code/1": IN_DOUBT}
    terminal = Terminal()
    model = Counting(lambda messages, n: '{"retry": true, "reason": ""}' if n == 2 else "```python\nx\n```")
    agent = CodeExecutorAgent("x", terminal, model_client=model, approval_func=ask_nobody, max_retries_on_error=1)
    in_turn(conversation)
    heard: list[object] = []
    await adopt(agent).speak([CODE], CancellationToken(), heard.append)
    told = [item.result.output for item in heard if isinstance(item, CodeExecutionEvent)]
    assert [STATE_LOST in output for output in told] == [False, True]
    assert terminal.ran == []


async def ask_nobody(request: ApprovalRequest) -> ApprovalResponse:
    return ApprovalResponse(approved=True, reason="")


async def test_outside_a_run_there_is_nobody_to_ask_later() -> None:
    async def outside() -> None:
        with pytest.raises(RuntimeError, match=r"ask_person asks a person .* give the agent to a moot.Chat"):
            await ask_person("well?")
        with pytest.raises(RuntimeError, match=r"ask_approval asks a person .* give the agent to a moot.Chat"):
            await ask_approval(ApprovalRequest(code="x", context=[]))

    await asyncio.create_task(outside(), context=contextvars.Context())


async def test_a_person_cannot_be_asked_in_the_middle_of_an_effect(conversation: FakeConversation) -> None:
    async def asks(prompt: str, token: object) -> str:
        return await ask_person(prompt)

    in_turn(conversation)
    with pytest.raises(RuntimeError, match="cannot be asked in the middle of run/1/input/0"):
        await speak(adopt(UserProxyAgent("u", input_func=asks)))
