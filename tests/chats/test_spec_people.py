"""People in chat files: what is read and built of them, and what is refused, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moot.agents.approval import Approval
from moot.agents.executor import Executor
from moot.agents.human import Human
from moot.chats.build import chat_from_source, load_chat
from moot.chats.errors import SpecError
from moot.chats.memory_store import MemoryStore
from moot.chats.run import open_run
from moot.chats.spec import load_chat_file
from moot.chats.verify import verify_run
from moot.cli.planned import asks_people
from moot.termination.outcome import Outcome
from moot.termination.rules import AnyOf
from tests.fakes import lines

GOOD = """\
version: 1
name: notice
task: Write it.
model: playbook:lines.yaml
inputs: {what: {default: the move}}
participants:
  writer: {role: assistant, goal: Write., part: writer, tools: ["tools.py:publish"]}
  owner: {role: human, approves: writer, prompt: "May {what} be told?"}
  boss: {role: human}
  runner: {role: executor, runs_code_from: [writer]}
approvals:
  - {match: {kind: code, by: runner, first: true}, ask: owner, allow: [approve, reject]}
  - {match: {kind: tool, tool: publish}, ask: boss}
  - match: {kind: tool}
speakers:
  graph:
    - writer -> owner
    - owner -> runner when approved
    - owner -> writer when rejected
    - owner -> boss otherwise
    - boss -> writer
    - runner -> writer
limits: {turns: 8}
stop:
  - {id: out, approved_by: owner}
  - {id: no, rejections: {participant: owner, count: 2}}
  - {id: both, all: [{spoke: boss}, {rejections: {participant: owner, count: 1}}]}
"""
LINES = """\
version: 1
name: lines
parts:
  writer:
    - {when: {turn: 1}, say: a first notice}
    - {when: {turn: 2}, say: a second notice}
    - say: a later notice
"""
TOOLS = '''\
def publish(text: str) -> str:
    """Publish it."""
    return text
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "lines.yaml").write_text(LINES)
    return tmp_path


def loaded(folder: Path, text: str = GOOD) -> Any:
    (folder / "chat.yaml").write_text(text)
    return load_chat(folder / "chat.yaml", sandbox="none")


def problems(folder: Path, old: str, new: str) -> list[str]:
    assert GOOD.count(old) == 1
    (folder / "chat.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(SpecError) as refused:
        load_chat_file(folder / "chat.yaml")
    return [line.removeprefix(f"{folder}/") for line in str(refused.value).splitlines() if "chat.yaml:" in line]


def test_people_and_approvals_are_built_as_they_are_written(folder: Path) -> None:
    chat = loaded(folder).chat
    for made in (chat, chat_from_source(chat.source)):
        people = [one for one in made.participants if isinstance(one, Human)]
        assert people[0] == Human(name="owner", approves="writer", prompt="May the move be told?")
        (runner,) = [one for one in made.participants if isinstance(one, Executor)]
        assert (runner.approve, runner.approval) == ("first", Approval("owner", ("approve", "reject")))
        plain = Approval("anyone", ("approve", "edit", "reject"))
        assert dict(made.tools.approvals) == {"publish": Approval("boss", ("approve", "edit", "reject")), "*": plain}
        assert isinstance(made.stop, AnyOf)
        assert [(rule.id, rule.outcome) for rule in made.stop.rules] == [
            ("out", Outcome.GOAL), ("no", Outcome.REJECTED), ("both", Outcome.GOAL),
        ]  # fmt: skip


def test_a_plan_says_who_will_be_asked_what(folder: Path) -> None:
    (folder / "chat.yaml").write_text(GOOD)
    chat = load_chat(folder / "chat.yaml").chat
    assert [*asks_people(chat)] == [
        "owner        to approve what writer says, when their turn comes",
        "boss         for an answer, when their turn comes",
        "owner        about blocks of code until one runs as it is, before runner runs it: approve, reject",
        "boss         about the tool publish, before it is called: approve, edit, reject",
        "anyone       about every other tool, before it is called: approve, edit, reject",
    ]


async def test_a_run_of_a_chat_file_waits_for_its_people_and_ends_as_they_decide(folder: Path) -> None:
    store = MemoryStore()
    run = await loaded(folder).chat.run("go", store=store)
    for number in (1, 2):
        (request,) = run.requests
        assert (request.ask, request.payload["prompt"]) == ("owner", "May the move be told?")
        await run.decide(request.id, "reject", f"no {number}", by="ann")
        run = await (await open_run(run.id, store=store)).finish()
    assert lines(run) == [
        "writer: a first notice", "owner: REJECTED: no 1", "writer: a second notice", "owner: REJECTED: no 2",
    ]  # fmt: skip
    stop = run.stopped_by
    assert stop is not None
    assert (stop.rule, run.outcome) == ("no", Outcome.REJECTED)
    assert await verify_run(store, run.id) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("approves: writer", "approves: wirter",
         "8:34: participants.owner.approves: nobody is called 'wirter' (did you mean 'writer'?)"),
        ("approves: writer", "approves: owner",
         "8:34: participants.owner.approves: nobody approves what they say themselves"),
        ("approved_by: owner", "approved_by: writer",
         "25:28: stop[0].approved_by: writer is no person: it decides nothing (people: owner, boss)"),
        ("approved_by: owner", "approved_by: boss",
         "25:28: stop[0].approved_by: boss approves nothing (say in participants.boss whose words they "
         "approve: `approves: NAME`)"),
        ("participant: owner, count: 2", "participant: onwer, count: 2",
         "26:40: stop[1].rejections.participant: nobody is called 'onwer' (did you mean 'owner'?)"),
        ("count: 2", "count: 0", "26:54: stop[1].rejections.count: must be above 0, got 0"),
        ("spoke: boss", "spoke: bos", "27:30: stop[2].all[0].spoke: nobody is called 'bos' (did you mean 'boss'?)"),
        ("by: runner", "by: writer", "12:30: approvals[0].match.by: writer runs no code (executors: runner)"),
        ("by: runner", "by: runer", "12:30: approvals[0].match.by: nobody is called 'runer' (did you mean 'runner'?)"),
        ("by: runner", "tool: publish", "12:26: approvals[0].match.tool: tool says nothing of code"),
        ("ask: owner", "ask: writer",
         "12:57: approvals[0].ask: 'writer' is no person: a person is a participant with role: human "
         "(one of anyone, owner, boss)"),
        ("ask: boss", "ask: bos",
         "13:47: approvals[1].ask: 'bos' is nobody here: a person is a participant with role: human (did "
         "you mean 'boss'?)"),
        ("tool: publish", "tool: publihs",
         "13:32: approvals[1].match.tool: nobody has a tool 'publihs' (did you mean 'publish'?)"),
        ("match: {kind: tool}", "match: {kind: tool, tool: publish}",
         "14:5: approvals[2].match: never asked for: the rule 2 holds for all that this one matches"),
        ("[approve, reject]", "[reject]",
         "12:64: approvals[0].allow: nothing could ever be approved (allow approve, edit, or both)"),
        ("[approve, reject]", "[edit, reject]",
         "12:38: approvals[0].match.first: first ends with an approval as it is, which is not allowed (allow approve)"),
        ("[approve, reject]", "[approve, approve]", "12:81: approvals[0].allow[1]: approve is named twice"),
        ("writer -> owner", "writer -> owner when approved",
         "17:7: speakers.graph[0]: writer is no person, so that 'approved' says nothing about it "
         "(people: owner, boss)"),
        ("when rejected", "when rejcted", "19:28: speakers.graph[2]: expected a condition"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_with_its_place(folder: Path, old: str, new: str, said: str) -> None:
    found = problems(folder, old, new)
    assert len(found) == 1
    assert found[0].startswith(f"chat.yaml:{said}")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("prompt: \"May", "promt: \"May", "8:42: participants.owner.promt: unknown key (did you mean 'prompt'?)"),
        ("boss: {role: human}", "boss: {role: human, instructions: Be kind.}",
         "9:23: participants.boss.instructions: unknown key (known here: prompt, approves, description)"),
        ("{kind: tool, tool: publish}", "{kind: tool, agent: writer}",
         "13:26: approvals[1].match.agent: unknown key (known here: tool, by, first)"),
        ("{match: {kind: tool, tool: publish}, ask: boss}", "{match: {kind: tool, tool: publish}, alow: [approve]}",
         "13:42: approvals[1].alow: unknown key (did you mean 'allow'?)"),
        ("participant: owner, count: 2", "participant: owner, cuont: 2, count: 2",
         "26:47: stop[1].rejections.cuont: unknown key (did you mean 'count'?)"),
        ("  graph:\n", "  selector: {}\n  graph:\n",
         "17:3: speakers.graph: unknown key (speakers are picked in one way: by a graph or by a selector)"),
    ],
)  # fmt: skip
def test_for_an_unknown_key_only_those_that_may_stand_there_are_named(
    folder: Path, old: str, new: str, said: str
) -> None:
    assert f"chat.yaml:{said}" in problems(folder, old, new)


def test_nobody_to_run_code_and_no_tools_leave_nothing_to_approve(folder: Path) -> None:
    text = GOOD.replace("  runner: {role: executor, runs_code_from: [writer]}\n", "").replace(
        ', tools: ["tools.py:publish"]', ""
    )
    (folder / "chat.yaml").write_text(
        text.replace("owner -> runner", "owner -> boss").replace("- runner -> writer", "")
    )
    with pytest.raises(SpecError) as refused:
        load_chat_file(folder / "chat.yaml")
    assert "nobody in this chat runs code" in str(refused.value)
    assert str(refused.value).count("nobody in this chat has tools") == 2
