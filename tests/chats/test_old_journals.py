"""Journals of earlier versions are carried over where they lie; those of later ones are left alone."""

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from autogen_agentchat.agents import AssistantAgent, UserProxyAgent
from autogen_core.models import LLMMessage

from moot.agents.executor import executor
from moot.chats.chat import Chat
from moot.chats.commands import Decide
from moot.chats.errors import StoreError, UserError
from moot.chats.event_types import CommandRefused, Unknown
from moot.chats.exports.html import html
from moot.chats.exports.jsonl import jsonl
from moot.chats.exports.md import markdown
from moot.chats.exports.mermaid import mermaid
from moot.chats.exports.pictures import pictures
from moot.chats.outside import post, requests
from moot.chats.run import open_run
from moot.chats.sqlite_schema import SCHEMA_VERSION
from moot.chats.sqlite_store import SqliteStore
from moot.chats.story import Story
from moot.chats.verify import verify_run
from moot.sandbox.execution import Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Counting, Scripted, Words, call, steps
from tests.pages import Page

JOURNALS = Path(__file__).parent.parent / "data" / "journals"
"""Each was written by the version it is named after: of the runs from a chat file and of those made of Python objects
one is finished and one is paused, at least; where questions are kept, one waits for a person.
"""
OLD = [1, 2]
VERSIONS = [*OLD, SCHEMA_VERSION]
TYPES = {1: 20, 2: 20, 3: 27}
"""How many types of event each has: every one that 1 and 2 knew."""


def answer(messages: Sequence[LLMMessage], number: int) -> Words:
    if "found" in str(messages[-1].content):
        return f"```python\nprint(4)\n```\nafter {len(messages)} messages"
    return [call("look", {}, "c1")]


def of_objects() -> Chat:
    """The chat of the runs that were made of Python objects."""

    async def look() -> str:
        """Look something up."""
        return "found"

    fake = Fake(lambda code, language: Execution(exit_code=0, stdout="4\n"))
    return Chat(
        [
            AssistantAgent("coder", Counting(answer), tools=[look], reflect_on_tool_use=True),
            executor("runner", fake, runs_code_from=["coder"]),
            AssistantAgent("critic", Counting()),
            Scripted("old"),
        ],
        speakers=steps("coder", "runner", "critic old", "coder", "critic"),
        limits=Limits(turns=6),
    )


def of_people() -> Chat:
    """The chat of the run that waits for a person."""
    return Chat([UserProxyAgent("owner"), Scripted("bob")], limits=Limits(turns=3), name="asked")


CHATS = {"duet": lambda: None, "objects": of_objects, "asked": of_people}
"""What each run is opened with, by its chat's name."""


def written(version: int, folder: Path) -> Path:
    """The file as that version left it."""
    path = folder / "moot.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((JOURNALS / f"v{version}.sql").read_text())
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
        db.execute("PRAGMA journal_mode=WAL")
    return path


async def opened(version: int, folder: Path) -> SqliteStore:
    store = SqliteStore(written(version, folder))
    await store.blobs.put(b"plot")
    return store


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_run_is_there_with_all_its_events_and_nothing_is_wrong_with_it(
    version: int, tmp_path: Path
) -> None:
    store = await opened(version, tmp_path)
    with closing(sqlite3.connect(tmp_path / "moot.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        heads = dict(db.execute("SELECT name, head FROM run"))
    rows = await store.runs()
    asked = {("asked", "waiting")} if version > 2 else set()
    assert {(row.chat, row.status) for row in rows} == asked | {
        ("duet", "finished"), ("duet", "paused"), ("objects", "finished"), ("objects", "paused"),
    }  # fmt: skip
    assert sorted(row.run for row in rows) == sorted(heads)
    seen = set()
    for row in rows:
        events = await store.load(row.run)
        assert [e.seq for e in events] == list(range(1, heads[row.run] + 1))
        assert not any(isinstance(event.data, Unknown) for event in events)
        seen |= {event.type for event in events}
        assert await verify_run(store, row.run) == []
    assert len(seen) == TYPES[version]
    await store.close()


async def test_commands_and_forks_are_there(tmp_path: Path) -> None:
    store = await opened(3, tmp_path)
    rows = {row.run: row for row in await store.runs()}
    (fork,) = (row for row in rows.values() if row.parent)
    assert fork.parent in rows
    assert (fork.turns, fork.input_tokens) == (2, 0)
    posted = [[p.command for p in await store.posted(run)] for run in rows]
    assert sorted(len(commands) for commands in posted) == [0, 0, 0, 0, 1, 1, 2, 2]
    assert "Agree soon." in str(posted)  # by nobody taken in yet
    await store.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_run_of_an_earlier_version_goes_on_or_says_that_it_is_finished(version: int, tmp_path: Path) -> None:
    store = await opened(version, tmp_path)
    for row in await store.runs():
        chat = CHATS[row.chat]()
        if row.status == "finished":
            with pytest.raises(UserError, match="is finished"):
                await open_run(row.run, chat=chat, store=store)
            continue
        for question in await requests(row.run, store):
            decided = Decide(request=question.id, decision="respond", text="Yes.", digest=question.digest)
            await post(row.run, decided, store)
        run = await (await open_run(row.run, chat=chat, store=store)).finish()
        assert (run.status, run.turns > row.turns) == ("finished", True)
        assert run.outcome is (Outcome.GOAL if chat is None else Outcome.LIMIT)
        assert await verify_run(store, row.run) == []
        assert await store.post(row.run, "{}") == len(await store.posted(row.run))
    await store.close()


OPENER = """
import sys
from pathlib import Path
from moot.chats.sqlite_store import SqliteStore
print("here", flush=True)
sys.stdin.readline()
SqliteStore(Path(sys.argv[1]))
print("opened", flush=True)
"""


def opened_by_four_at_once(path: Path) -> list[tuple[int, str]]:
    """How each process ended, and what it said."""
    command, pipe = [sys.executable, "-c", OPENER, str(path)], subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    return [(child.communicate()[0], child.wait())[::-1] for child in children]


@pytest.mark.parametrize("version", OLD)
async def test_processes_that_meet_at_an_old_file_all_get_in_and_it_is_carried_over_once(
    version: int, tmp_path: Path
) -> None:
    path = written(version, tmp_path)
    assert opened_by_four_at_once(path) == [(0, "opened\n")] * 4
    store = SqliteStore(path)
    await store.blobs.put(b"plot")
    assert [await verify_run(store, run) for run in await store.names()] == [[]] * 4
    await store.close()


async def test_a_carrying_over_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = written(1, tmp_path)
    with closing(sqlite3.connect(path)) as db:  # a name that the new layout needs
        db.execute("ALTER TABLE run ADD COLUMN parent TEXT")
        db.commit()
        before = list(db.iterdump())
    with pytest.raises(StoreError, match=r"cannot open .*: duplicate column name: parent"):
        SqliteStore(path)
    with closing(sqlite3.connect(path)) as db:
        assert list(db.iterdump()) == before
        assert db.execute("PRAGMA user_version").fetchone() == (1,)


async def test_a_file_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = written(2, tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"written by a newer Moot \(schema {SCHEMA_VERSION + 1}, .*\): upgrade Moot"):
        SqliteStore(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["moot.db"]


async def test_what_was_asked_and_decided_is_there(tmp_path: Path) -> None:
    store = await opened(3, tmp_path)
    (run,) = [row.run for row in await store.runs() if row.chat == "asked"]
    assert [question.id for question in await requests(run, store)] == ["q2"]
    again = Decide(request="q1", decision="respond", text="No.", digest="x")
    with pytest.raises(UserError, match="q1 was decided already: respond by eve"):
        await post(run, again, store)
    (refused,) = await store.load(run, types=("command.refused",))
    assert isinstance(refused.data, CommandRefused)
    assert "asks about something else" in refused.data.reason
    await store.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_run_of_an_earlier_version_is_written_down_in_every_format(version: int, tmp_path: Path) -> None:
    store = await opened(version, tmp_path)
    for row in await store.runs():
        events = await store.load(row.run)
        story = Story.of(row.run, events)
        assert len(list(jsonl(row.run, events))) == len(events)
        assert markdown(story).count("## Turn ") == len(story.turns)
        assert mermaid(story).startswith("sequenceDiagram")
        page = Page(html(story, await pictures(story, store.blobs)))
        assert (page.wrong, len(page.all("article"))) == ([], len(story.turns))
    await store.close()
