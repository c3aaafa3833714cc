"""A selector in a chat file: checked, built, recorded, replayed, planned, and rebuilt from a run's journal."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from autogen_core.models import ChatCompletionClient

from moot.agents.assistant import assistant
from moot.agents.errors import PlaybookError
from moot.agents.executor import executor
from moot.agents.models import ModelSpec
from moot.agents.prices import Price
from moot.agents.replay_client import ReplayClient
from moot.agents.tape_client import record
from moot.chats.build import load_chat, recorded
from moot.chats.chat import Chat, Participant
from moot.chats.errors import SpecError, UserError
from moot.chats.event_types import SpeakerSelected
from moot.chats.fork import fork
from moot.chats.fork_edits import Edits
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.selector import Selector, selector
from moot.chats.speakers import SELECT
from moot.chats.verify import verify_run
from moot.cli.planned import plan_of
from moot.sandbox.execution import Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.testing import FakeModel

PLAY = """
version: 1
name: play
parts:
  ann: [{say: "I say {turn}"}]
  bob: [{say: "well, {last.text}"}]
  judge: [{say: "VERDICT: yes"}]
  selector:
    - when: {text: '^last speaker: nobody$'}
      say: 'ann'
    - when: {text: '^last speaker: ann$'}
      say: '{"next": "bob", "reason": "bob answers ann"}'
    - say: '{"next": "judge", "reason": "it is said"}'
  chair: [{say: '{"next": "judge", "reason": "at once"}'}]
"""
CHAT = """
version: 1
name: trial
task: "Decide."
model: playbook:play.yaml
inputs: {who: {default: judge}}
participants:
  ann: {role: assistant, instructions: "Propose.", description: "Proposes."}
  bob: {role: assistant, goal: "Answer."}
  judge: {role: assistant, instructions: "Judge."}
speakers: SPEAKERS
limits: {turns: 9}
stop: [{id: verdict, says: {participant: judge, starts: "VERDICT:"}}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "play.yaml").write_text(PLAY)
    return tmp_path / "chat.yaml"


def written(file: Path, speakers: str = "selector", **changed: str) -> Path:
    text = CHAT.replace("SPEAKERS", speakers)
    for old, new in changed.items():
        text = text.replace(f"{old}:", new)
    file.write_text(text)
    return file


def speakers(run: Run) -> list[str]:
    return [turn.participant for turn in run.transcript.history]


async def resumed(run: str, store: MemoryStore) -> Run:
    return await (await open_run(run, store=store)).finish()


async def reasons(store: MemoryStore, run: Run) -> list[str]:
    return [event.data.reason for event in await store.load(run.id) if isinstance(event.data, SpeakerSelected)]


async def test_a_playbook_picks_by_what_it_is_shown(file: Path) -> None:
    loaded, store = load_chat(written(file)), MemoryStore()
    run = await loaded.chat.run(loaded.task, store=store)
    assert speakers(run) == ["ann", "bob", "judge"]
    assert await reasons(store, run) == ["it was picked without a reason", "bob answers ann", "it is said"]
    assert (run.outcome, run.created.models[SELECT], run.created.model_kind) == (
        Outcome.GOAL,
        "playbook:play",
        "scripted",
    )
    assert await verify_run(store, run.id) == []


def test_what_the_file_says_of_a_selector_is_what_it_is(file: Path) -> None:
    section = (
        "{selector: {model: 'playbook:play.yaml#chair', instructions: 'The {who} ends it.', last: 3, repeats: true}}"
    )
    policy = load_chat(written(file, section)).chat.speakers
    assert policy == Selector(
        model="playbook:play.yaml#chair", instructions="The judge ends it.", last=3, repeats=True, part="selector"
    )
    price = "{input_per_million: 1, output_per_million: 2}"
    mapping = f"{{selector: {{model: {{base_url: 'http://localhost:1/v1', model: m, price: {price}}}}}}}"
    policy = load_chat(written(file, mapping)).chat.speakers
    assert isinstance(policy, Selector)
    assert policy.model == ModelSpec("http://localhost:1/v1", "m", None, Price(1, 2, "the chat file"))


async def test_another_part_of_the_playbook_may_pick(file: Path) -> None:
    for section in ("{selector: {part: chair}}", "{selector: {model: 'playbook:play.yaml#chair'}}"):
        loaded = load_chat(written(file, section))
        assert speakers(await loaded.chat.run(loaded.task, store=MemoryStore())) == ["judge"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{selector: {part: chiar}}", "the selector: .* has no part 'chiar'"),
        ("{selector: {model: 'playbook:play.yaml#nobody'}}", "the selector: .* has no part 'nobody'"),
    ],
)
def test_a_part_that_is_not_in_the_playbook_is_refused(file: Path, section: str, said: str) -> None:
    with pytest.raises(PlaybookError, match=said):
        load_chat(written(file, section))


@pytest.mark.parametrize(
    ("section", "changed", "said"),
    [
        ("{selector: {model: 'opnai/x'}}", {}, "chat.yaml:11:30: speakers.selector.model: unknown model 'opnai/x'"),
        ("selektor", {}, "speakers: "),
        ("{selector: {lasst: 3}}", {}, "speakers.selector.lasst: unknown key (did you mean 'last'?)"),
        ("{selector: {last: 0}}", {}, "speakers.selector.last: "),
        ("{selector: {instructions: 'a {hwo}'}}", {}, "speakers.selector.instructions: "),
        ("selector", {"model": "nomodel:"}, "speakers: no model picks the speakers"),
        (
            "{selector: {model: {base_url: 'http://localhost:1/v1', model: m}}}",
            {"limits": "limits: {usd: 1, turns: 9} #"},
            "speakers.selector.model: limits.usd cannot hold: the price of 'm' is not known",
        ),
    ],
)
def test_what_is_wrong_with_a_selector_is_said_with_its_place(
    file: Path, section: str, changed: Mapping[str, str], said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_chat(written(file, section, **changed))
    assert any(said in problem.one_line for problem in caught.value.problems), caught.value


def test_a_limit_in_dollars_wants_a_price_for_the_selector_too() -> None:
    runner = executor("runner", Fake(lambda code, language: Execution(exit_code=0)))
    unpriced = ModelSpec("http://localhost:1/v1", "m")
    with pytest.raises(UserError, match="the selector has an unpriced one"):
        Chat([runner], speakers=selector(unpriced), limits=Limits(usd=1.0, turns=3))


def test_a_model_given_for_one_run_is_the_selectors_too(file: Path) -> None:
    (file.parent / "other.yaml").write_text(PLAY.replace("name: play", "name: other"))
    section = "{selector: {model: openai/gpt-4o, last: 4}}"
    chat = load_chat(written(file, section), model="playbook:other.yaml").chat
    assert isinstance(chat.speakers, Selector)
    assert (chat.speakers.model, chat.speakers.last) == (None, 4)
    policy = chat.policy()
    assert getattr(policy, "model_name", None) == "playbook:other"


async def test_a_run_is_rebuilt_with_its_selector_from_its_journal_alone(file: Path) -> None:
    loaded, store = load_chat(written(file, "{selector: {instructions: 'Be quick.', last: 2}}")), MemoryStore()
    run = await loaded.chat.start(loaded.task, store=store)
    await run.stop_now()
    assert run.turns < 3
    file.unlink()
    (file.parent / "play.yaml").unlink()
    again = await resumed(run.id, store)
    assert speakers(again) == ["ann", "bob", "judge"]
    assert await verify_run(store, run.id) == []


async def test_a_fork_goes_on_with_the_selector(file: Path) -> None:
    loaded, store = load_chat(written(file)), MemoryStore()
    run = await loaded.chat.run(loaded.task, store=store)
    (file.parent / "play.yaml").unlink()
    again = await resumed(await fork(run.id, store=store, turn=1), store)
    assert speakers(again) == ["ann", "bob", "judge"]


async def test_a_fork_may_have_another_selector_and_another_model_for_all(file: Path) -> None:
    loaded, store = load_chat(written(file, "{selector: {model: 'playbook:play.yaml'}}")), MemoryStore()
    run = await loaded.chat.run(loaded.task, store=store)
    sets = Edits(sets={"speakers.selector.part": "chair"})
    assert speakers(await resumed(await fork(run.id, store=store, turn=1, edits=sets), store)) == ["ann", "judge"]
    (file.parent / "other.yaml").write_text(PLAY.replace("name: play", "name: other"))
    other = Edits(model=f"playbook:{file.parent / 'other.yaml'}")
    again = await resumed(await fork(run.id, store=store, turn=1, edits=other), store)
    assert set(again.created.models.values()) == {"playbook:other"}


def test_a_fork_of_a_chat_of_python_objects_takes_its_model_for_the_selector_too() -> None:
    people = [assistant("ann", "Talk."), assistant("bob", "Talk.")]
    chat = Chat(people, speakers=selector(FakeModel([])), model=FakeModel([]), limits=Limits(turns=1))
    changed = Edits(model="playbook:x").applied(chat)
    assert isinstance(changed.speakers, Selector)
    assert (changed.speakers.model, changed.model) == (None, "playbook:x")


async def test_what_a_selector_was_answered_is_recorded_and_replayed(file: Path) -> None:
    loaded, tape = load_chat(written(file)), file.parent / "tape.jsonl"
    first = await recorded(loaded.chat, tape).run(loaded.task, store=MemoryStore())
    lines = [json.loads(line) for line in tape.read_text().splitlines()]
    assert sum(line.get("part") == "selector" for line in lines) == 3
    again = load_chat(written(file), model="replay:tape.jsonl")
    for chat in (again.chat, load_chat(written(file, model="model: replay:tape.jsonl #")).chat):
        store = MemoryStore()
        run = await chat.run(loaded.task, store=store)
        assert speakers(run) == speakers(first) == ["ann", "bob", "judge"]
        assert (run.created.model_kind, (await reasons(store, run))[1]) == ("replayed", "bob answers ann")


async def test_a_tape_with_other_answers_ends_the_run_rather_than_pick_somebody(file: Path) -> None:
    loaded, tape = load_chat(written(file)), file.parent / "tape.jsonl"
    await recorded(loaded.chat, tape).run(loaded.task, store=MemoryStore())
    other = load_chat(written(file, "{selector: {instructions: 'Otherwise.'}}"), model=f"replay:{tape}")
    run = await other.chat.run(loaded.task, store=MemoryStore())
    assert (run.outcome, run.turns) == (Outcome.FAILED, 0)
    assert run.stopped_by is not None
    assert run.stopped_by.rule == "select.failed"
    assert "TapeError" in run.stopped_by.reason


async def test_a_selector_of_a_tape_does_not_mind_how_long_code_took(tmp_path: Path) -> None:
    seconds = itertools.count(1)

    def ran(code: str, language: str) -> Execution:
        number = next(seconds)
        return Execution(exit_code=0, stdout="4\n", value=f"<Axes at 0x{number:x}>", seconds=number / 7)

    def picks(messages: object, number: int) -> str:
        told = str(messages)
        if "You pick who" not in told:
            return "```python\n2 + 2\n```"
        return (
            '{"next": "runner", "reason": "code"}' if "last speaker: ann" in told else '{"next": "ann", "reason": "x"}'
        )

    def chat(model: str | ChatCompletionClient) -> Chat:
        people: list[Participant] = [assistant(name, "Talk.") for name in ("ann", "bob")]
        people.append(executor("runner", Fake(ran)))
        return Chat(people, speakers=selector(), model=model, limits=Limits(turns=4))

    tape = tmp_path / "t.jsonl"
    first = await chat(record(FakeModel(picks), tape)).run("Go.", store=MemoryStore())
    again = await chat(f"replay:{tape}").run("Go.", store=MemoryStore())
    assert speakers(again) == speakers(first) == ["ann", "runner", "ann", "runner"]
    assert [turn.text for turn in again.transcript.history] != [turn.text for turn in first.transcript.history]


def test_a_chat_of_one_executor_and_a_selector_can_be_recorded(tmp_path: Path) -> None:
    runner = executor("runner", Fake(lambda code, language: Execution(exit_code=0)))
    chat = Chat([runner], speakers=selector("playbook:x"), limits=Limits(turns=1))
    policy = recorded(chat, tmp_path / "t.jsonl").speakers
    assert isinstance(policy, Selector)
    assert policy.model is not None
    assert not isinstance(policy.model, str | ReplayClient)


def test_a_plan_names_the_model_that_picks_and_what_it_lacks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(load_chat(written(file, "{selector: {last: 4}}")), {})
    assert plan.selector is not None
    assert (plan.selector.model, plan.selector.model_kind) == ("playbook:play", "scripted")
    assert plan.speakers == ("selector: a model picks by the last 4 messages; nobody may speak twice in a row",)
    assert "picked by    selector   playbook:play (scripted)" in plan.text()
    assert plan.most_usd == 0.0
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    plan = plan_of(load_chat(written(file, "{selector: {model: openai/gpt-4o}}")), {})
    assert plan.selector is not None
    assert "OPENAI_API_KEY" in plan.selector.missing
    assert "missing   selector: " in plan.text()
    assert plan.most_usd is None
    json.dumps(plan.as_object())


async def test_whoever_picks_is_told_what_everybody_is_there_for(tmp_path: Path) -> None:
    people = """{
      ann: {role: assistant, goal: "Win.", instructions: "Be brief.", description: "Argues for it."},
      bob: {role: assistant, goal: "Find what is wrong.", instructions: "Be brief."},
      run: {role: executor, runs_code_from: [ann], description: "Measures."},
      box: {role: executor, runs_code_from: [bob]},
      eve: {role: human, description: "Owns the house."}}"""
    (tmp_path / "chat.yaml").write_text(
        f"version: 1\nname: x\ntask: Go.\nmodel: playbook:p.yaml\nparticipants: {people}\nspeakers: selector\n"
        "limits: {turns: 1}\n"
    )
    parts = "".join(f"  {name}: [{{say: '.'}}]\n" for name in ("ann", "bob", "selector"))
    (tmp_path / "p.yaml").write_text(f"version: 1\nname: p\nparts:\n{parts}")
    asked = FakeModel(lambda messages, number: "ann")
    chat = load_chat(tmp_path / "chat.yaml", sandbox="none").chat
    assert isinstance(chat.speakers, Selector)
    await replace(chat, speakers=replace(chat.speakers, model=asked)).run("Go.", store=MemoryStore())
    told = str(asked.requests[0][1].content).split("\n")
    assert told[told.index("participants:") + 1 :][:5] == [
        "- ann: Argues for it.",
        "- bob: Find what is wrong.",
        "- run: Measures.",
        "- box: Runs the code blocks of bob in a sandbox and reports what they printed.",
        "- eve: Owns the house.",
    ]
