"""Forks of runs that execute code, in real containers."""

from pathlib import Path

from moot import Chat, Docker, Limits, Outcome, executor, load_chat, open_run
from moot.chats.event_types import CodeFinished, EffectCompleted
from moot.chats.fork import fork
from moot.chats.fork_edits import Edits
from moot.chats.sqlite_store import SqliteStore
from moot.chats.templates import FOLDER
from moot.chats.verify import verify_run
from tests.fakes import Scripted

MAKES = (
    "```python\nfrom pathlib import Path\nPath('made.txt').write_text(Path('table.csv').read_text() * 2)\ny = 5\n```"
)
LOOKS = "```python\nprint(open('made.txt').read(), 'y' in globals())\n```"


async def test_the_research_template_is_forked_before_and_after_its_code_ran(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db")
    loaded = load_chat(FOLDER / "research" / "chat.yaml")
    run = await loaded.chat.run(loaded.task, store=store)
    assert run.outcome is Outcome.GOAL
    spoke = [turn.participant for turn in run.transcript.history]
    at = spoke.index("executor")
    again = await (await open_run(await fork(run.id, turn=at, store=store), store=store)).finish()
    assert (again.outcome, again.result, again.usage.code_runs) == (Outcome.GOAL, run.result, 1)
    assert [a.sha256 for a in again.artifacts] == [a.sha256 for a in run.artifacts]
    edits = Edits(message="REDO: the axes have no names")
    new = await fork(run.id, turn=len(spoke), edits=edits, store=store)
    again = await (await open_run(new, store=store)).finish()
    assert again.transcript.history[len(spoke) - 1].text == "REDO: the axes have no names"
    assert [turn.participant for turn in again.transcript.history][len(spoke) :][:2] == ["coder", "executor"]
    ran = [e.data for e in await store.load(new) if isinstance(e.data, CodeFinished)]
    assert (ran[0].state_lost, ran[-1].state_lost) == (False, True)
    assert [await verify_run(store, name) for name in await store.names()] == [[], [], []]
    await store.close()


async def test_files_come_back_and_variables_do_not_and_the_coder_is_told(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db")
    table = tmp_path / "table.csv"
    table.write_text("x,y;")

    def chat(*, lost: bool = False) -> Chat:
        docker = Docker(artifacts=("made.txt",))
        coder = Scripted("coder", lambda n, _: MAKES if n == 1 else LOOKS)
        files = [] if lost else [table]
        return Chat([coder, executor("runner", docker, files=files)], limits=Limits(turns=4))

    run = await chat().run("go", store=store)
    assert "x,y;x,y; True" in run.transcript.history[-1].text
    table.unlink()
    new = await fork(run.id, turn=2, chat=chat(lost=True), store=store)
    again = await (await open_run(new, chat=chat(lost=True), store=store)).finish()
    said = again.transcript.history[-1].text
    assert "x,y;x,y; False" in said
    assert "variables of earlier blocks are lost, files are kept" in said
    results = [e for e in await store.load(new) if isinstance(e.data, EffectCompleted) and "code/" in e.data.key]
    assert len(results) == 2
    assert await verify_run(store, new) == []
    await store.close()
