"""What is changed in a fork is heard from there on, by everybody whom it concerns."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from autogen_agentchat.agents import ApprovalResponse, AssistantAgent, CodeExecutorAgent
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, MultiModalMessage, TextMessage
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.models import LLMMessage

from moot.agents.assistant import assistant
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.errors import UserError
from moot.chats.fork import fork
from moot.chats.fork_edits import Edits, reworded
from moot.chats.graph import graph
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.termination.rules import says
from tests.fakes import Counting, Scripted, Words, call, contexts, data_of, lines

FOUR = Limits(turns=4)


def two(model: Counting | None = None, *, limits: Limits = FOUR) -> Chat:
    """Two who talk by one model."""
    return Chat([assistant("ann", "Talk."), assistant("bob", "Talk.")], limits=limits, model=model or Counting())


async def go_on(run: str, chat: Chat | None, store: Store) -> Run:
    return await (await open_run(run, chat=chat, store=store)).finish()


async def test_everybody_hears_what_was_said_instead_the_speaker_too(store: Store) -> None:
    run = await two().run("go", store=store)
    model = Counting()
    edits = Edits(message="I was wrong")
    new = await fork(run.id, turn=2, edits=edits, chat=two(), store=store)
    (forked,) = [e.data for e in await store.load(new) if isinstance(e.data, ev.RunForked)]
    assert forked.edits == {"turn 2": "I was wrong"}
    again = await go_on(new, two(model), store)
    assert lines(again)[1] == "bob: I was wrong"
    ann, bob = model.requests
    assert [m.content for m in ann[-1:]] == ["I was wrong"]
    said = [m for m in bob if m.type == "AssistantMessage"]
    assert [m.content for m in said] == ["I was wrong"]
    assert "I was wrong" not in "".join(lines(run))
    assert await verify_run(store, new) == []


async def test_a_summary_of_tool_results_that_is_edited_is_put_after_them(store: Store) -> None:
    async def look() -> str:
        """Look something up."""
        return "found"

    def chat(model: Counting) -> Chat:
        return Chat([AssistantAgent("a", model, tools=[look])], limits=Limits(turns=2))

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call("look", {}, "c1")]

    run = await chat(Counting(answer)).run("go", store=store)
    assert lines(run) == ["a: found", "a: found"]
    new = await fork(run.id, turn=1, edits=Edits(message="nothing there"), chat=chat(Counting()), store=store)
    model = Counting()
    again = await go_on(new, chat(model), store)
    assert lines(again)[0] == "a: nothing there"
    told = [(m.type, m.content) for m in model.requests[0]]
    assert told[-1] == ("AssistantMessage", "nothing there")
    assert [kind for kind, _ in told] == [
        "SystemMessage", "UserMessage", "AssistantMessage", "FunctionExecutionResultMessage", "AssistantMessage",
    ]  # fmt: skip
    assert await verify_run(store, new) == []


async def test_an_agent_that_keeps_its_memory_to_itself_is_named_where_words_are_changed(store: Store) -> None:
    run = await Chat([Scripted("a"), Scripted("b")], limits=FOUR).run("go", store=store)
    chat = Chat([Scripted("a"), Scripted("b")], limits=FOUR)
    new = await fork(run.id, turn=1, edits=Edits(message="no"), chat=chat, store=store)
    warned = [e.data.text for e in await store.load(new) if isinstance(e.data, ev.Warned)]
    assert warned == ["a keeps what it remembers to itself: its own memory still has the old words"]
    assert lines(await go_on(new, chat, store))[0] == "a: no"


async def test_another_task_is_heard_from_the_beginning(store: Store) -> None:
    run = await two().run("go", store=store)
    model = Counting()
    new = await fork(run.id, turn=1, edits=Edits(task="stay"), chat=two(), store=store)
    again = await go_on(new, two(model), store)
    assert [m.to_text() for m in again.transcript.task] == ["stay"]
    assert "stay" in [m.content for m in model.requests[0]]
    assert not any(m.content == "go" for request in model.requests for m in request)
    assert await verify_run(store, new) == []


async def test_a_graph_goes_on_from_what_was_said_instead(store: Store) -> None:
    def chat() -> Chat:
        edges = graph("w -> c", 'c -> w when says "REDO:"', "c -> e otherwise", "e -> w")
        agents = [Scripted("w"), Scripted("c", lambda n, _: "REDO: no"), Scripted("e")]
        return Chat(agents, speakers=edges, stop=says("e", contains="e"), limits=FOUR)

    run = await chat().run("go", store=store)
    assert lines(run)[-1] == "c: REDO: no"
    new = await fork(run.id, turn=2, edits=Edits(message="fine"), chat=chat(), store=store)
    again = await go_on(new, chat(), store)
    assert lines(again) == ["w: w 1", "c: fine", "e: e 1"]
    assert again.outcome is Outcome.GOAL
    assert await verify_run(store, new) == []


async def test_only_the_speakers_own_context_is_changed_not_that_of_an_agent_that_is_its_tool(store: Store) -> None:
    def chat(model: Counting, turns: int) -> Chat:
        inner = AssistantAgent("helper", model, description="helps")
        outer = AssistantAgent("a", model, tools=[AgentTool(inner)], reflect_on_tool_use=True)
        return Chat([outer], limits=Limits(turns=turns))

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        said: list[Words] = [[call("helper", {"task": "look"}, "c1")], "I looked", "it is there"]
        return said[number - 1]

    run = await chat(Counting(answer), 1).run("go", store=store)
    assert lines(run) == ["a: it is there"]
    new = await fork(run.id, turn=1, edits=Edits(message="it is gone"), chat=chat(Counting(), 2), store=store)
    before, after = [
        next(e.data for e in await store.load(name) if isinstance(e.data, ev.TurnFinished)) for name in (run.id, new)
    ]
    assert set(before.contexts) == {"", "helper/"}
    assert after.contexts["helper/"] == before.contexts["helper/"]
    assert len(after.contexts[""]) == len(before.contexts[""])
    model = Counting()
    await go_on(new, chat(model, 2), store)
    assert [m.content for m in model.requests[0]][-1] == "it is gone"
    assert "it is there" not in str(model.requests[0])
    assert await verify_run(store, new) == []


class Terminal(CodeExecutor):
    """Prints 1, whatever it runs."""

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        return CodeResult(0, "1")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


async def test_the_output_of_autogens_code_executor_can_be_another(store: Store) -> None:
    def chat() -> Chat:
        coder = Scripted("coder", lambda n, _: "```python\nprint(1)\n```")
        runner = CodeExecutorAgent(
            "runner", Terminal(), approval_func=lambda _: ApprovalResponse(approved=True, reason="")
        )
        return Chat([coder, runner], limits=FOUR)

    run = await chat().run("go", store=store)
    assert lines(run)[1] == "runner: 1"
    new = await fork(run.id, turn=2, edits=Edits(message="2"), chat=chat(), store=store)
    again = await go_on(new, chat(), store)
    assert [line for line in lines(again) if line.startswith("runner")] == ["runner: 2", "runner: 1"]
    assert (await contexts(again))["runner"] == []
    assert await verify_run(store, new) == []


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (TextMessage(content="old", source="a"), TextMessage),
        (HandoffMessage(content="old", target="b", source="a"), HandoffMessage),
        (MultiModalMessage(content=["old", "still old"], source="a"), TextMessage),
    ],
)
def test_a_message_of_any_kind_can_say_something_else(said: BaseChatMessage, kind: type[BaseChatMessage]) -> None:
    new = reworded(said, "new")
    assert isinstance(new, kind)
    assert (new.source, new.to_text()) == ("a", "new")
    stored = reworded(said.model_dump(mode="json"), "new")
    assert isinstance(stored, dict)
    assert (stored["type"], stored["source"], stored["content"]) == (kind.__name__, "a", "new")
    assert said.to_text() != "new"


@pytest.mark.parametrize("given", [{"message": " "}, {"task": ""}, {"message": "\ud83d"}])
def test_empty_or_broken_words_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"is empty: say what|is not UTF-8"):
        Edits(**given)  # type: ignore[arg-type]


async def test_other_instructions_are_followed(store: Store) -> None:
    run = await two().run("go", store=store)
    edits, model = Edits(instructions={"ann": "Sing."}), Counting()
    new = await fork(run.id, turn=2, edits=edits, chat=two(), store=store)
    await go_on(new, edits.applied(two(model)), store)
    assert "Sing." in str(model.requests[0][0].content)
    with pytest.raises(UserError, match=r"'anne' is no assistant\(\.\.\.\).*did you mean 'ann'\?"):
        await fork(run.id, edits=Edits(instructions={"anne": "Sing."}), chat=two(), store=store)


async def test_limits_are_those_of_the_chat_that_is_given(store: Store) -> None:
    run = await two().run("go", store=store)
    more = two(limits=Limits(turns=6, tokens=1_234_567, seconds=3600.5))
    new = await fork(run.id, chat=more, store=store)
    again = await go_on(new, more, store)
    assert (again.turns, again.outcome) == (6, Outcome.LIMIT)
    assert (await data_of(store, again, ev.RunForked))[0].edits == {
        "limits.turns": "6",
        "limits.tokens": "1234567",
        "limits.seconds": "3600.5",
    }
    assert await verify_run(store, new) == []


async def test_another_model_speaks_for_every_assistant_made_here(store: Store, tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text("version: 1\nname: book\nparts:\n  ann: [{say: from the book}]\n  bob: [{say: me too}]\n")
    run = await two().run("go", store=store)
    edits = Edits(model=f"playbook:{book}")
    new = await fork(run.id, turn=2, edits=edits, chat=two(), store=store)
    again = await go_on(new, edits.applied(two()), store)
    assert lines(again)[2:] == ["ann: from the book", "bob: me too"]
    assert (again.created.models, again.created.model_kind) == (
        {"ann": "playbook:book", "bob": "playbook:book"},
        "scripted",
    )
    assert (await data_of(store, again, ev.RunForked))[0].edits == {"model": f"playbook:{book}"}
    assert await verify_run(store, new) == []
