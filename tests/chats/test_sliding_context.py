"""A context of the user's own that drops old messages where it stands: what is restored is what was."""

from collections.abc import Callable, Sequence

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import LLMMessage, UserMessage

from moot.chats.chat import Chat
from moot.chats.events import Event
from moot.chats.fork import fork
from moot.chats.fork_edits import Edits
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from tests.fakes import Counting, Scripted, contexts, lines


class Popping(ChatCompletionContext):
    async def get_messages(self) -> list[LLMMessage]:
        while len(self._messages) > 3:
            self._messages.pop(0)
        return list(self._messages)


class Rebinding(ChatCompletionContext):
    async def get_messages(self) -> list[LLMMessage]:
        self._messages = self._messages[-3:]
        return self._messages


class Summing(UnboundedChatCompletionContext):
    """Puts one message in the place of the two oldest, so that there are as many again after the next two."""

    async def get_messages(self) -> list[LLMMessage]:
        if len(self._messages) > 4:
            self._messages[:3] = [UserMessage(content=f"summary of {len(self._messages)}", source="user")]
        return self._messages


Made = Callable[[], ChatCompletionContext]
own_contexts = pytest.mark.parametrize("made", [Popping, Rebinding, Summing])


def answer(messages: Sequence[LLMMessage], number: int) -> str:
    return f"reply to {len(messages)}: {str(messages[-1].content)[:9]}"


def chat(made: Made, model: Counting | None = None) -> Chat:
    agent = AssistantAgent("a", model or Counting(answer), model_context=made())
    return Chat([agent, Scripted("b")], limits=Limits(turns=11))


async def paused_after(turn: int, run: Run) -> Run:
    async for event in run.events():
        if isinstance(event, Event) and event.type == "turn.started" and event.turn == turn:
            run.pause_after_turn()
    return await run.finish()


def requests(*models: Counting) -> list[list[object]]:
    return [[message.content for message in request] for model in models for request in model.requests]


@own_contexts
@pytest.mark.parametrize("turn", [1, 3, 5, 7, 8])
async def test_a_resumed_agent_has_the_messages_it_would_have_had(made: Made, turn: int, store: Store) -> None:
    whole, first, second = Counting(answer), Counting(answer), Counting(answer)
    straight = await chat(made, whole).run("go", store=store)
    run = await paused_after(turn, await chat(made, first).start("go", store=store))
    assert run.status == "paused"
    again = await (await open_run(run.id, chat=chat(made, second), store=store)).finish()
    assert lines(again) == lines(straight)
    assert await contexts(again) == await contexts(straight)
    assert requests(first, second) == requests(whole)
    assert await verify_run(store, run.id) == []


@own_contexts
async def test_an_attempt_that_failed_leaves_no_trace(made: Made, store: Store) -> None:
    failed = 0

    def now_and_then(messages: Sequence[LLMMessage], number: int) -> str:
        nonlocal failed
        if number % 2:
            failed += 1
            raise ConnectionError("provider is down")
        return answer(messages, number)

    straight = await chat(made).run("go", store=store)
    run = await paused_after(9, await chat(made, Counting(now_and_then)).start("go", store=store))
    assert failed == 5
    again = await (await open_run(run.id, chat=chat(made, Counting(now_and_then)), store=store)).finish()
    assert failed > 5
    assert lines(again) == lines(straight)
    assert await contexts(again) == await contexts(straight)


@own_contexts
async def test_a_fork_begins_with_the_messages_of_then(made: Made, store: Store) -> None:
    straight = await chat(made).run("go", store=store)
    new = await fork(straight.id, turn=7, chat=chat(made), store=store)
    forked = await (await open_run(new, chat=chat(made), store=store)).finish()
    assert lines(forked) == lines(straight)
    assert await contexts(forked) == await contexts(straight)


@own_contexts
async def test_a_fork_with_other_words_has_them_in_the_context(made: Made, store: Store) -> None:
    straight = await chat(made).run("go", store=store)
    edits = Edits(message="other words")
    new = await fork(straight.id, turn=7, edits=edits, chat=edits.applied(chat(made)), store=store)
    model = Counting(answer)
    await (await open_run(new, chat=chat(made, model), store=store)).finish()
    (first, *_) = requests(model)
    assert "other words" in first
