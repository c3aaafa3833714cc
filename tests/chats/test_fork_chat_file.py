"""A run that came from a chat file is forked by its id, and any place of the file can be another."""

from pathlib import Path

import pytest

from moot.agents.errors import ModelError, PlaybookError
from moot.chats import event_types as ev
from moot.chats.build import load_chat, recorded
from moot.chats.chat import Chat
from moot.chats.errors import SpecError, UserError
from moot.chats.fork import fork
from moot.chats.fork_edits import Edits
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.termination.outcome import Outcome
from tests.fakes import data_of, lines


async def go_on(run: str, chat: Chat | None, store: Store) -> Run:
    return await (await open_run(run, chat=chat, store=store)).finish()


PLAY = """
version: 1
name: duet
parts:
  ann: [{say: "hello from ann"}]
  bob: [{when: {turn: 2}, say: "DONE: agreed"}, {say: "not yet"}]
"""
DUET = """
version: 1
name: duet
task: "Agree on {what}."
inputs: {what: {default: lunch}}
model: playbook:play.yaml
participants:
  ann: {role: assistant, instructions: "Talk."}
  bob: {role: assistant, instructions: "Talk, then {{DONE}}:", model: "playbook:play.yaml#bob"}
limits: {turns: 6}
stop: [{id: done, says: {participant: bob, starts: "DONE:"}}]
"""


@pytest.fixture
def duet(tmp_path: Path) -> Path:
    (tmp_path / "play.yaml").write_text(PLAY)
    (tmp_path / "duet.yaml").write_text(DUET)
    return tmp_path / "duet.yaml"


async def played(duet: Path, store: Store) -> Run:
    loaded = load_chat(duet)
    run = await loaded.chat.run(loaded.task, store=store)
    for name in ("duet.yaml", "play.yaml"):
        (duet.parent / name).unlink()
    return run


async def test_a_run_of_a_chat_file_is_forked_by_id_alone(store: Store, duet: Path) -> None:
    run = await played(duet, store)
    new = await fork(run.id[:-1], turn=2, store=store)
    again = await go_on(new, None, store)
    assert lines(again) == lines(run)
    assert again.created == run.created
    assert await verify_run(store, new) == []


async def test_any_place_of_a_chat_file_can_be_another_in_a_fork(store: Store, duet: Path) -> None:
    run = await played(duet, store)
    sets = {"limits.turns": "3", "participants.ann.instructions": "Sing {loudly}.", "stop[0].id": "agreed"}
    new = await fork(run.id, turn=2, edits=Edits(sets=sets, task="Agree: {now}"), store=store)
    again = await go_on(new, None, store)
    assert (again.turns, again.outcome, again.created.limits) == (3, Outcome.LIMIT, {"turns": 3})
    assert (await data_of(store, again, ev.RunForked))[0].edits == {**sets, "task": "Agree: {now}"}
    spec = str((again.created.spec or {})["resolved"])
    assert all(text in spec for text in ("Sing {loudly}.", "Agree: {now}", "Talk, then {DONE}:"))
    assert await verify_run(store, new) == []


async def test_another_model_also_takes_the_place_of_an_assistants_own(store: Store, duet: Path) -> None:
    run = await played(duet, store)
    (duet.parent / "new.yaml").write_text(PLAY.replace("duet", "new").replace("hello", "hi").replace("not yet", "soon"))
    new = await fork(run.id, turn=0, edits=Edits(model=f"playbook:{duet.parent}/new.yaml"), store=store)
    (duet.parent / "new.yaml").unlink()
    again = await go_on(new, None, store)
    assert lines(again) == ["ann: hi from ann", "bob: soon", "ann: hi from ann", "bob: DONE: agreed"]
    assert again.created.models == {"ann": "playbook:new", "bob": "playbook:new"}
    assert await verify_run(store, new) == []


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"inputs.what": "x"}, "inputs were filled in when the run began"),
        ({"sandbox.files": "x"}, "a fork works on the files that the run began with"),
        ({"task": "x"}, "change it with --task"),
        ({"limits.truns": "3"}, r"--set limits.truns: unknown key \(did you mean 'turns'\?\)"),
        ({"limits.turns": "many"}, "--set limits.turns: expected a whole number"),
        ({"participants.cay.goal": "x"}, "unknown participant"),
        ({"stop[0].says.participant": "cay"}, "nobody is called 'cay'"),
        ({"model": "opena/gpt"}, "unknown model 'opena/gpt'"),
        ({"participants.ann.model": "playbook:none.yaml"}, "none.yaml"),
        ({"name": ""}, "--set name: "),
    ],
)
async def test_what_cannot_be_set_is_told_and_nothing_is_written(
    store: Store, duet: Path, sets: dict[str, str], said: str
) -> None:
    run = await played(duet, store)
    with pytest.raises((UserError, SpecError, ModelError, PlaybookError), match=said) as refused:
        await fork(run.id, edits=Edits(sets=sets), store=store)
    assert "1:1" not in str(refused.value)
    assert await store.names() == [run.id]


async def test_the_same_again_is_no_change(store: Store, duet: Path) -> None:
    run = await played(duet, store)
    new = await fork(run.id, turn=1, edits=Edits(sets={"limits.turns": "6"}), store=store)
    (forked,) = [e.data for e in await store.load(new) if isinstance(e.data, ev.RunForked)]
    assert forked.edits == {}


async def test_a_fork_can_be_answered_from_a_tape(store: Store, duet: Path, tmp_path: Path) -> None:
    loaded = load_chat(duet)
    tape = tmp_path / "tape.jsonl"
    run = await recorded(loaded.chat, tape).run(loaded.task, store=store)
    for name in ("duet.yaml", "play.yaml"):
        (duet.parent / name).unlink()
    new = await fork(run.id, turn=1, edits=Edits(model=f"replay:{tape}"), store=store)
    tape.unlink()
    again = await go_on(new, None, store)
    assert (lines(again), again.outcome) == (lines(run), Outcome.GOAL)
    third = await fork(new, turn=2, edits=Edits(sets={"limits.turns": "5"}), store=store)
    assert lines(await go_on(third, None, store)) == lines(run)
    assert [await verify_run(store, name) for name in (new, third)] == [[], []]
