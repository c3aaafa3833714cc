"""The executor runs what the others wrote, and reports what really happened."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken

from moot.agents.executor import NO_SANDBOX, STATE_LOST, Executor, ExecutorAgent, executor
from moot.agents.ran import RanBlock
from moot.agents.report import BlockReport, parse
from moot.agents.seat import Workplace
from moot.sandbox.docker import Docker
from moot.sandbox.errors import EngineUnavailable, SandboxGone
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake, FakeBox
from tests.fakes import IN_DOUBT, FakeConversation, in_turn

PLOT = b"\x89PNG"
OK = Execution(exit_code=0, stdout="4\n")


def code(text: str, language: str = "python") -> str:
    return f"```{language}\n{text}\n```"


def noting(codes: list[str] | None = None, languages: list[str] | None = None) -> Fake:
    """A sandbox in which everything succeeds, and which notes what it was given."""

    def answer(text: str, language: str) -> Execution:
        for seen, what in ((codes, text), (languages, language)):
            if seen is not None:
                seen.append(what)
        return OK

    return Fake(answer)


def artifact(name: str, data: bytes) -> Artifact:
    return Artifact(name, len(data), hashlib.sha256(data).hexdigest(), data)


class Boxes(Fake):
    """Remembers every box it opened."""

    def __init__(self, answer: Callable[[str, str], Execution | Awaitable[Execution]]) -> None:
        super().__init__(answer)
        object.__setattr__(self, "opened", [])

    @asynccontextmanager
    async def _opened(self, files: dict[str, bytes]) -> AsyncIterator[FakeBox]:
        async with super()._opened(files) as box:
            self.opened.append((box, dict(files)))  # type: ignore[attr-defined]
            yield box


async def turn(agent: ExecutorAgent, *said: tuple[str, str]) -> Sequence[BlockReport]:
    messages = [TextMessage(content=text, source=who) for who, text in said]
    response = await agent.on_messages(messages, CancellationToken())
    report = parse(response.chat_message.to_text())
    assert report is not None
    return report


def agent_of(sandbox: Fake | None, *sources: str, why_not: str = "") -> ExecutorAgent:
    return ExecutorAgent(Executor(name="runner", sandbox=sandbox, runs_code_from=sources, why_not=why_not))


def facts(conversation: FakeConversation, type: str) -> list[dict[str, object]]:
    return [data for kind, data in conversation.notes if kind == type]


async def test_it_runs_the_blocks_of_the_named_speakers_alone() -> None:
    ran: list[str] = []
    agent = agent_of(noting(ran), "coder")
    await turn(agent, ("critic", code("evil()")), ("coder", code("good()")), ("critic", code("evil()")))
    assert ran == ["good()\n"]


async def test_with_nobody_named_it_runs_everybodys_but_the_tasks_and_its_own() -> None:
    ran: list[str] = []
    agent = agent_of(noting(ran))
    await turn(agent, ("user", code("task()")), ("anna", code("a()")), ("moot", code("m()")), ("runner", code("r()")))
    assert ran == ["a()\n"]


async def test_only_the_latest_word_of_the_named_speakers_is_run() -> None:
    ran: list[str] = []
    agent = agent_of(noting(ran), "coder")
    await turn(agent, ("coder", code("first()")), ("coder", code("second()")))
    assert ran == ["second()\n"]


async def test_the_latest_word_of_each_of_them_is_run_in_order() -> None:
    for named in ((), ("ann", "ben")):
        ran: list[str] = []
        said = ("ann", code("old()")), ("ben", code("ben()")), ("ann", code("ann()"))
        await turn(agent_of(noting(ran), *named), *said)
        assert ran == ["ben()\n", "ann()\n"]


async def test_with_nobody_named_those_who_only_talk_do_not_hide_the_code() -> None:
    ran: list[str] = []
    await turn(agent_of(noting(ran)), ("coder", code("a()")), ("coder", "That is it."), ("critic", "Looks good."))
    assert ran == ["a()\n"]


async def test_code_that_is_left_since_anothers_failed_is_told(conversation: FakeConversation) -> None:
    in_turn(conversation)
    agent = agent_of(Fake(lambda text, _: Execution(exit_code=1) if "bad" in text else OK), "ann", "ben", "cyd")
    reports = await turn(agent, ("ann", code("bad()")), ("cyd", "I wait."), ("ben", code("good()")))
    assert [r.skipped for r in reports] == [None, "the code of ben was not run: a block before it failed"]
    assert [data["exit_code"] for data in facts(conversation, "code.finished")] == [1, -1]


async def test_where_nobody_wrote_code_each_named_speaker_hears_what_was_seen() -> None:
    (report,) = await turn(agent_of(Fake(), "ann", "ben"), ("ann", "Soon."), ("ben", code("{}", "json")))
    seen = "in what ann said: seen: 5 characters of prose without a fence, in what ben said: seen: a block labelled"
    assert report.skipped is not None
    assert seen in report.skipped


async def test_without_a_sandbox_the_reason_is_the_last_word() -> None:
    agent = agent_of(None, why_not="--no-docker was given")
    reports = await turn(agent, ("ann", code("a()")), ("ben", code("b()")))
    assert [r.skipped for r in reports] == [f"{NO_SANDBOX}: --no-docker was given"]


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (("coder", "print(4)"), "no code block found in what coder said: seen: 8 characters of prose without a fence"),
        (("coder", "```python\nprint(4)"), "seen: a fence that is never closed"),
        (("coder", code("{}", "json")), "seen: a block labelled 'json'"),
        (("critic", code("x")), "no code block found: nothing new was said by coder"),
    ],
)
async def test_without_a_block_the_coder_hears_what_was_seen_and_what_is_expected(
    said: tuple[str, str], seen: str, conversation: FakeConversation
) -> None:
    in_turn(conversation)
    (report,) = await turn(agent_of(Fake(), "coder"), said)
    assert report.skipped is not None
    assert seen in report.skipped
    expected = "expected: one fenced block, opened by ```python and closed by ```; languages: python, bash, sh"
    assert report.skipped.endswith(expected)
    assert not report.skipped.startswith(NO_SANDBOX)
    assert [data["exit_code"] for data in facts(conversation, "code.finished")] == [-1]
    assert conversation.effects == {}


async def test_each_block_is_run_in_its_own_language() -> None:
    ran: list[str] = []
    agent = agent_of(noting(languages=ran))
    await turn(agent, ("coder", code("a", "py") + "\n" + code("b", "shell") + "\n" + code("c", "sh")))
    assert ran == ["python", "bash", "sh"]


async def test_it_stops_at_the_first_block_that_fails() -> None:
    agent = agent_of(Fake(lambda text, _: Execution(exit_code=1, stderr="boom") if "bad" in text else OK))
    reports = await turn(agent, ("coder", "\n".join(map(code, ["good()", "bad()", "never()"]))))
    assert [r.exit_code for r in reports] == [0, 1]
    assert reports[1].stderr == "boom"


async def test_each_block_is_an_effect_and_its_facts_are_journalled(conversation: FakeConversation) -> None:
    in_turn(conversation)
    await turn(agent_of(Fake(lambda *_: OK)), ("coder", code("a()") + "\n" + code("b()")))
    assert list(conversation.effects) == ["code/0", "code/1"]
    assert [data["key"] for data in facts(conversation, "code.proposed")] == ["code/0", "code/1"]
    assert [data["code"] for data in facts(conversation, "code.proposed")] == ["a()\n", "b()\n"]
    assert [data["key"] for data in facts(conversation, "code.finished")] == ["code/0", "code/1"]
    digests = {effect.digest for effect in conversation.effects.values()}
    assert len(digests) == 2
    assert {effect.reserve.code_runs for effect in conversation.effects.values()} == {1}


async def test_a_block_with_a_recorded_result_is_not_run_again() -> None:
    first = FakeConversation()
    in_turn(first)
    await turn(agent_of(Fake(lambda *_: OK)), ("coder", code("a()")))
    recorded = {key: result.model_dump(mode="json") for key, result in first.results.items()}
    again = FakeConversation(recorded)
    in_turn(again)
    ran: list[str] = []
    (report,) = await turn(agent_of(noting(ran)), ("coder", code("a()")))
    assert ran == []
    assert report.stdout == "4\n"
    assert [data["exit_code"] for data in facts(again, "code.finished")] == [0]


async def test_output_is_shown_as_it_comes_and_files_are_kept_by_content(conversation: FakeConversation) -> None:
    done = Execution(exit_code=0, stdout="4\n", stderr="warned", artifacts=(artifact("plot.png", PLOT),))
    in_turn(conversation)
    (report,) = await turn(agent_of(Fake(lambda *_: done)), ("coder", code("plot()")))
    assert conversation.drafts == [("stdout", "4\n"), ("stderr", "warned")]
    assert list(conversation.stored.values()) == [PLOT]
    ran: RanBlock = conversation.results["code/0"]
    assert [(f.name, f.size, f.sha256) for f in ran.files] == [("plot.png", 4, hashlib.sha256(PLOT).hexdigest())]
    assert report.files == (("plot.png", 4),)


async def test_without_a_sandbox_nothing_runs_and_nothing_is_spent(conversation: FakeConversation) -> None:
    in_turn(conversation)
    agent = agent_of(Fake(error=EngineUnavailable("no Docker engine answers")))
    agent.open(Workplace("run", {}))
    (report,) = await turn(agent, ("coder", code("a()")))
    assert report.skipped == f"{NO_SANDBOX}: no Docker engine answers"
    assert conversation.effects["code/0"].spent(conversation.results["code/0"]).code_runs == 0
    await agent.shut()


async def test_where_none_was_asked_for_the_report_says_why(conversation: FakeConversation) -> None:
    in_turn(conversation)
    (report,) = await turn(agent_of(None, why_not="--no-docker was given"), ("coder", code("a()")))
    assert report.skipped == f"{NO_SANDBOX}: --no-docker was given"


async def test_a_box_that_is_lost_is_told_and_the_next_block_gets_a_new_one_with_the_files(
    conversation: FakeConversation,
) -> None:
    def answer(text: str, language: str) -> Execution:
        if "lose" in text:
            raise SandboxGone("the container ended")
        return Execution(exit_code=0, artifacts=(artifact("made.csv", b"1,2"),))

    boxes = Boxes(answer)
    agent = agent_of(boxes)
    in_turn(conversation)
    agent.open(Workplace("run", {"table.csv": b"x"}))
    await turn(agent, ("coder", code("make()")))
    (lost,) = await turn(agent, ("coder", code("lose()")))
    (after,) = await turn(agent, ("coder", code("again()")))
    await agent.shut()
    assert lost.skipped is not None
    assert "the sandbox was lost while the block ran (the container ended)" in lost.skipped
    assert after.state_lost
    (_, first), (_, second) = boxes.opened  # type: ignore[attr-defined]
    assert first == {"table.csv": b"x"}
    assert second == {"table.csv": b"x", "made.csv": b"1,2"}


async def test_the_first_block_of_a_resumed_run_has_lost_the_variables_and_only_it(
    conversation: FakeConversation,
) -> None:
    agent = agent_of(Fake(lambda *_: OK))
    in_turn(conversation)
    agent.open(Workplace("run", {}, resumed=True))
    reports = await turn(agent, ("coder", code("a()") + "\n" + code("b()")))
    assert [r.state_lost for r in reports] == [True, False]
    await agent.shut()


async def test_a_block_that_was_cut_off_runs_again_where_no_other_had_run() -> None:
    ran: list[str] = []
    in_turn(FakeConversation({"code/0": IN_DOUBT}))
    agent = agent_of(noting(ran))
    agent.open(Workplace("run", {}))
    (report,) = await turn(agent, ("coder", code("a()")))
    await agent.shut()
    assert (ran, report.exit_code, report.state_lost) == (["a()\n"], 0, False)


async def test_a_block_that_was_cut_off_is_not_run_again_where_others_had_run_and_the_coder_is_told() -> None:
    ran: list[str] = []
    conversation = FakeConversation({"code/0": IN_DOUBT})
    in_turn(conversation)
    agent = agent_of(noting(ran))
    agent.open(Workplace("run", {}, resumed=True))
    cut_off, *rest = await turn(agent, ("coder", code("a()") + "\n" + code("b()")))
    (after,) = await turn(agent, ("coder", code("c()")))
    await agent.shut()
    assert (rest, ran) == ([], ["c()\n"])  # what was to come after it needs what it left
    assert cut_off.skipped == STATE_LOST
    assert (cut_off.exit_code, cut_off.state_lost, after.state_lost) == (-1, True, True)
    assert facts(conversation, "code.finished")[0]["key"] == "code/0"
    assert conversation.effects["code/0"].spent(conversation.results["code/0"]).code_runs == 1


async def test_a_block_that_was_cut_off_in_this_process_finds_no_trace_of_itself() -> None:
    boxes, began = Boxes(lambda *_: slow()), asyncio.Event()

    async def slow() -> Execution:
        if not began.is_set():
            began.set()
            await asyncio.Event().wait()
        return OK

    agent = agent_of(boxes)
    in_turn(FakeConversation())
    agent.open(Workplace("run", {}))
    task = asyncio.ensure_future(turn(agent, ("coder", code("a()"))))
    await began.wait()
    task.cancel()
    await asyncio.wait({task})
    in_turn(FakeConversation({"code/0": IN_DOUBT}))
    (report,) = await turn(agent, ("coder", code("a()")))
    await agent.shut()
    (first, _), (second, _) = boxes.opened  # type: ignore[attr-defined]
    assert (first.blocks, second.blocks) == ([("a()\n", "python")], [("a()\n", "python")])
    assert (report.exit_code, report.state_lost) == (0, False)


async def test_a_block_that_was_cut_off_is_not_run_again_where_its_sandbox_cannot_be_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    began, closed = asyncio.Event(), 0

    async def slow() -> Execution:
        if not began.is_set():
            began.set()
            await asyncio.Event().wait()
        return OK

    class Stuck(Fake):
        @asynccontextmanager
        async def _opened(self, files: dict[str, bytes]) -> AsyncIterator[FakeBox]:
            nonlocal closed
            async with super()._opened(files) as box:
                yield box
            closed += 1
            if closed == 1:
                raise OSError("docker does not answer")

    agent = agent_of(Stuck(lambda *_: slow()))
    in_turn(FakeConversation())
    agent.open(Workplace("run", {}))
    task = asyncio.ensure_future(turn(agent, ("coder", code("a()"))))
    await began.wait()
    task.cancel()
    await asyncio.wait({task})
    in_turn(FakeConversation({"code/0": IN_DOUBT}))
    (report,) = await turn(agent, ("coder", code("a()")))
    assert closed == 1
    assert "docker does not answer" in caplog.text
    assert (report.skipped, report.state_lost) == (STATE_LOST, True)
    (after,) = await turn(agent, ("coder", code("b()")))
    await agent.shut()
    assert (after.exit_code, after.state_lost, closed) == (0, True, 2)


async def test_in_a_real_box_a_block_that_was_cut_off_is_told_and_the_next_one_has_files_and_no_variables() -> None:
    agent = ExecutorAgent(Executor(name="runner", sandbox=Docker()))
    conversation = FakeConversation()
    in_turn(conversation)
    agent.open(Workplace("run", {}))
    await turn(agent, ("coder", code("x = 1; open('made.txt', 'w').write('kept')")))
    await agent.shut()
    files = {"made.txt": next(iter(conversation.stored.values()))}
    agent = ExecutorAgent(Executor(name="runner", sandbox=Docker()))
    in_turn(FakeConversation({"code/0": IN_DOUBT}))
    agent.open(Workplace("run", files, resumed=True))
    (cut_off,) = await turn(agent, ("coder", code("x += 1")))
    (after,) = await turn(agent, ("coder", code("print(open('made.txt').read(), 'x' in globals())")))
    await agent.shut()
    assert (cut_off.skipped, cut_off.state_lost) == (STATE_LOST, True)
    assert (after.stdout, after.state_lost) == ("kept False\n", True)


async def test_the_box_opens_in_the_background_and_is_closed_at_the_end() -> None:
    boxes = Boxes(lambda *_: OK)
    agent = agent_of(boxes)
    agent.open(Workplace("run", {"table.csv": b"x"}))
    await turn(agent, ("coder", code("a()")))
    ((box, files),) = boxes.opened  # type: ignore[attr-defined]
    assert files == {"table.csv": b"x"}
    await agent.shut()
    with pytest.raises(SandboxGone):
        await box.run("late()")


async def test_closing_before_the_box_is_open_leaves_none_behind() -> None:
    agent = agent_of(Boxes(lambda *_: OK))
    agent.open(Workplace("run", {}))
    await agent.shut()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def test_two_input_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="executor 'e': two input files have the same name"):
        executor("e", files=[tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv"])


def test_the_sandbox_is_docker_unless_another_is_given() -> None:
    assert executor("e").sandbox == Docker()
    fake = Fake()
    assert executor("e", fake).sandbox is fake
