"""A chat that was recorded is run again from its tape: the same words, no model; and its run can be resumed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ChatCompletionClient, LLMMessage

from moot.agents.assistant import assistant
from moot.agents.errors import ModelError, TapeError
from moot.agents.executor import executor
from moot.agents.models import ModelSpec
from moot.agents.replay_client import replayed
from moot.agents.tape import Tape
from moot.agents.tape_client import record
from moot.chats.build import chat_from_source, load_chat, recorded
from moot.chats.chat import Chat
from moot.chats.errors import StoreError, UserError
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.tapes import KEPT_CHARACTERS
from moot.sandbox.execution import Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.termination.rules import says
from tests.fakes import Counting, OpenAIChatCompletionClient

PLAY = "version: 1\nname: play\nparts:\n  ann: [{say: 'hello {task}'}]\n  bob: [{say: 'DONE: agreed'}]\n"
CHAT = """
version: 1
name: duet
task: "Agree."
model: MODEL
participants:
  ann: {role: assistant, instructions: "Talk."}
  bob: {role: assistant, instructions: "Talk, then DONE:"}
limits: {turns: 6}
stop: [{id: done, says: {participant: bob, starts: "DONE:"}}]
"""
SECONDS = itertools.count(1)


def _chat_file(folder: Path, model: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "play.yaml").write_text(PLAY)
    path = folder / "chat.yaml"
    path.write_text(CHAT.replace("MODEL", model))
    return path


async def _record(folder: Path) -> Path:
    loaded = load_chat(_chat_file(folder, "playbook:play.yaml"))
    run = await recorded(loaded.chat, folder / "tape.jsonl").run(loaded.task, store=MemoryStore())
    assert run.outcome is Outcome.GOAL
    return folder / "tape.jsonl"


def _words(run: Run) -> list[str]:
    return [f"{turn.participant}: {turn.text}" for turn in run.transcript.history]


def _study(model: str | ModelSpec | ChatCompletionClient, *, usd: float | None = None) -> Chat:
    """Code is written, run in a box that takes another time and address at each run, and looked at."""

    def ran(code: str, language: str) -> Execution:
        number = next(SECONDS)
        return Execution(exit_code=0, stdout="4\n", value=f"<Axes at 0x{number:x}>", seconds=number / 7)

    runner = executor("runner", Fake(ran), runs_code_from=["coder"])
    return Chat(
        [assistant("coder", "Code."), runner, assistant("judge", "Judge.")],
        stop=says("judge", starts="DONE:"),
        limits=Limits(turns=9, usd=usd),
        model=model,
    )  # fmt: skip


def _studying(messages: Sequence[LLMMessage], number: int) -> str:
    if "You are coder" in str(messages[0].content):
        return f"Attempt {number}:\n```python\n2 + 2\n```"
    return "DONE: 4" if number > 3 else "Again."


# --- a chat again ---


async def test_a_chat_that_runs_code_is_replayed_though_the_code_takes_another_time(tmp_path: Path) -> None:
    model = OpenAIChatCompletionClient(_studying)
    first = await _study(record(model, tmp_path / "t.jsonl"), usd=10.0).run("2 + 2?", store=MemoryStore())
    assert (first.outcome, first.turns, len(model.requests)) == (Outcome.GOAL, 6, 4)
    assert first.usage.usd
    for given in (f"replay:{tmp_path / 't.jsonl'}", replayed(tmp_path / "t.jsonl")):
        chat = _study(given, usd=10.0)
        for _ in range(2):  # a chat is an inert value: each run of it begins at the tape's beginning
            again = await chat.run("2 + 2?", store=MemoryStore())
            assert (again.outcome, again.usage.usd) == (Outcome.GOAL, 0.0)
            assert again.usage.input_tokens == first.usage.input_tokens
            said = [(t.participant, t.text) for t in again.transcript.history if t.participant != "runner"]
            assert said == [(t.participant, t.text) for t in first.transcript.history if t.participant != "runner"]
            assert _words(again) != _words(first)
            assert again.created.model_kind == "replayed"
    assert len(model.requests) == 4


async def test_agents_of_autogens_in_a_chat_are_recorded_and_replayed(tmp_path: Path) -> None:
    tape = tmp_path / "t.jsonl"

    def chat(*clients: ChatCompletionClient) -> Chat:
        agents = [AssistantAgent(name, client) for name, client in zip(("ann", "bob"), clients, strict=True)]
        return Chat(agents, limits=Limits(turns=4))

    model = Counting(lambda messages, number: f"words {number}")
    first = await chat(record(model, tape, part="ann"), record(model, tape, part="bob")).run("go", store=MemoryStore())
    again = await chat(replayed(tape, part="ann"), replayed(tape, part="bob")).run("go", store=MemoryStore())
    assert _words(again) == _words(first) == ["ann: words 1", "bob: words 2", "ann: words 3", "bob: words 4"]
    assert (again.created.model_kind, len(model.requests)) == ("replayed", 4)


async def test_a_limit_in_tokens_ends_both_runs_alike(tmp_path: Path) -> None:
    tape = tmp_path / "t.jsonl"
    model = Counting(lambda messages, number: "words")

    async def run(given: ChatCompletionClient) -> Run:
        chat = Chat([assistant("a", "talk"), assistant("b", "talk")], limits=Limits(tokens=420), model=given)
        return await chat.run("go", store=MemoryStore())

    first, again = await run(record(model, tape)), await run(replayed(tape))
    assert first.outcome is again.outcome is Outcome.LIMIT
    assert first.turns == again.turns == len(model.requests) > 2


async def test_another_question_is_a_failed_run_that_shows_the_difference(tmp_path: Path) -> None:
    tape = tmp_path / "t.jsonl"
    await _study(record(Counting(_studying), tape)).run("2 + 2?", store=MemoryStore())
    run = await _study(f"replay:{tape}").run("2 + 3?", store=MemoryStore())
    assert (run.outcome, run.cause, run.turns) == (Outcome.FAILED, "model", 0)
    assert run.stopped_by is not None
    for words in ("what 'coder' asks now", "line 2", "message 2", "-2 + 2?", "+2 + 3?", "Record again with --record"):
        assert words in run.stopped_by.reason


async def test_a_missing_tape_or_key_is_said_before_anything_is_journalled(tmp_path: Path) -> None:
    store = MemoryStore()
    spec = ModelSpec("http://127.0.0.1:1/v1", "m", "${env:MOOT_TEST_NO_SUCH_KEY}")
    cases: list[tuple[str | ChatCompletionClient, str]] = [
        (f"replay:{tmp_path / 'no.jsonl'}", "no tape"),
        (record(spec, tmp_path / "t.jsonl"), "MOOT_TEST_NO_SUCH_KEY"),
        (record(Counting(), tmp_path), "is a directory"),
    ]
    for model, said in cases:
        with pytest.raises(ModelError, match=said):
            await _study(model).run("go", store=store)
    assert await store.names() == []


def test_a_limit_in_dollars_is_refused_for_a_recorded_model_without_a_price(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unpriced"):
        _study(record(ModelSpec("http://127.0.0.1:1/v1", "m"), tmp_path / "t.jsonl"), usd=1.0)
    _study(record("openai/gpt-4o", tmp_path / "t.jsonl"), usd=1.0)
    assert not (tmp_path / "t.jsonl").exists()


# --- chat files ---


async def test_a_chat_file_names_its_tape_from_where_it_lies(tmp_path: Path) -> None:
    await _record(tmp_path / "sub")
    loaded = load_chat(_chat_file(tmp_path / "sub", "replay:tape.jsonl"))
    run = await loaded.chat.run(loaded.task, store=MemoryStore())
    assert _words(run) == ["ann: hello Agree.", "bob: DONE: agreed"]
    with pytest.raises(TapeError, match=r"participant 'ann': no tape 'tape\.jsonl': there is no file"):
        load_chat(_chat_file(tmp_path / "elsewhere", "replay:tape.jsonl"))


async def test_one_participant_can_be_replayed_while_another_is_asked(tmp_path: Path) -> None:
    tape = await _record(tmp_path)
    path = _chat_file(tmp_path, "playbook:play.yaml")
    path.write_text(path.read_text().replace('"Talk."', '"Talk.", model: "replay:tape.jsonl#ann"'))
    loaded = load_chat(path)
    run = await loaded.chat.run(loaded.task, store=MemoryStore())
    assert (run.outcome, run.created.model_kind) == (Outcome.GOAL, "mixed")
    assert run.created.models["bob"] == "playbook:play"
    assert run.created.models["ann"] == Tape.read(tape, "tape.jsonl").called("ann")


async def test_a_run_is_resumed_with_its_tape_as_it_is_now_and_as_it_was_where_it_is_gone(tmp_path: Path) -> None:
    tape = await _record(tmp_path)
    whole = tape.read_text()
    tape.write_text("".join(whole.splitlines(keepends=True)[:2]))
    loaded, store = load_chat(_chat_file(tmp_path, "replay:tape.jsonl")), MemoryStore()
    run = await loaded.chat.run(loaded.task, store=store)
    assert (run.outcome, _words(run)) == (Outcome.FAILED, ["ann: hello Agree."])
    tape.unlink()
    without = await (await open_run(run.id, store=store)).finish()
    assert without.stopped_by is not None
    assert "has no call of 'bob'" in without.stopped_by.reason
    tape.write_text(whole)
    mended = await (await open_run(run.id, store=store)).finish()
    assert (mended.outcome, _words(mended)) == (Outcome.GOAL, ["ann: hello Agree.", "bob: DONE: agreed"])


async def test_a_large_tape_is_not_copied_into_each_run(tmp_path: Path) -> None:
    tape = await _record(tmp_path)
    value = json.loads(tape.read_text().splitlines()[-1])
    value["messages"][0]["text"] = "x" * KEPT_CHARACTERS
    with tape.open("a") as file:
        file.write(json.dumps({**value, "digest": "other"}) + "\n")
    source = load_chat(_chat_file(tmp_path, "replay:tape.jsonl")).chat.source
    assert source is not None
    assert len(json.dumps(source)) < 10_000
    assert chat_from_source(source).names == ("ann", "bob")
    tape.unlink()
    with pytest.raises(TapeError, match=r"no tape 'tape\.jsonl': there is no file"):
        chat_from_source(source)
    with pytest.raises(StoreError, match="does not describe its tapes"):
        chat_from_source({**source, "tapes": {"tape.jsonl": "here"}})


def test_a_chat_without_assistants_has_nothing_to_record(tmp_path: Path) -> None:
    chat = Chat([AssistantAgent("ann", Counting())], limits=Limits(turns=1))
    with pytest.raises(UserError, match="has no assistants: there is nothing to record"):
        recorded(chat, tmp_path / "t.jsonl")
