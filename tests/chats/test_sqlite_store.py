"""Journals in one SQLite file: what can be wrong with a file, a disk, a row."""

import asyncio
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from moot.chats.errors import Fenced, StoreError
from moot.chats.event_types import Unknown, Warned
from moot.chats.events import Event
from moot.chats.home import open_store
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Claim


def note(seq: int, text: str = "x") -> Event:
    return Event("warning", 0, 0, "", Warned(text=text), "", seq, 100.0)


async def filled(path: Path, *texts: str) -> None:
    store = SqliteStore(path, "OFF")
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    await store.append(claim, 0, [note(n, t) for n, t in enumerate(texts, 1)], "paused")
    await store.close()


async def test_what_was_acknowledged_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    await filled(tmp_path / "moot.db", "a", "b")
    store = SqliteStore(tmp_path / "moot.db")
    assert await store.load("r") == [note(1, "a"), note(2, "b")]
    assert (await store.claim("r", new_owner())).epoch == 2
    await store.close()


async def test_a_claim_is_good_in_another_handle_of_the_same_file(tmp_path: Path) -> None:
    one, other = SqliteStore(tmp_path / "moot.db", "OFF"), SqliteStore(tmp_path / "moot.db", "OFF")
    await one.create("r", "chat")
    claim = await one.claim("r", new_owner())
    await other.append(claim, 0, [note(1)])
    assert len(await one.load("r")) == 1
    with pytest.raises(Fenced):
        await one.append(claim, 0, [note(1)])
    await one.close()
    await other.close()


async def test_what_was_handed_in_before_the_close_is_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db")
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    waiting = [asyncio.ensure_future(store.append(claim, n, [note(n + 1)])) for n in range(20)]
    await store.close()
    await asyncio.gather(*waiting)
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.load("r")


async def test_many_runs_share_commits(sqlite: SqliteStore) -> None:
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    claims: list[Claim] = []
    for number in range(50):
        await sqlite.create(f"r{number}", "chat")
        claims.append(await sqlite.claim(f"r{number}", new_owner()))
    sqlite._writer._db.set_trace_callback(count)
    for head in range(10):
        await asyncio.gather(*(sqlite.append(claim, head, [note(head + 1)]) for claim in claims))
    sqlite._writer._db.set_trace_callback(None)
    assert 10 <= commits <= 100  # of 500 appends
    assert [len(await sqlite.load(c.run)) for c in claims] == [10] * 50


async def test_a_refused_append_takes_no_other_with_it(sqlite: SqliteStore) -> None:
    await sqlite.create("good", "chat")
    await sqlite.create("bad", "chat")
    good, bad = await sqlite.claim("good", new_owner()), await sqlite.claim("bad", new_owner())
    results = await asyncio.gather(
        sqlite.append(good, 0, [note(1)]),
        sqlite.append(bad, 7, [note(8)]),
        sqlite.append(good, 1, [note(2)]),
        return_exceptions=True,
    )
    assert [type(r) for r in results] == [type(None), Fenced, type(None)]
    assert (len(await sqlite.load("good")), len(await sqlite.load("bad"))) == (2, 0)


async def test_an_append_that_breaks_takes_no_other_with_it(sqlite: SqliteStore) -> None:
    await sqlite.create("good", "chat")
    await sqlite.create("bad", "chat")
    good, bad = await sqlite.claim("good", new_owner()), await sqlite.claim("bad", new_owner())
    broken = Event("warning", 0, 0, "half \ud83d", Warned(text="x"))
    results = await asyncio.gather(
        sqlite.append(good, 0, [note(1)]),
        sqlite.append(bad, 0, [note(1), broken]),
        sqlite.append(good, 1, [note(2)]),
        return_exceptions=True,
    )
    assert [type(r) for r in results] == [type(None), StoreError, type(None)]
    assert (len(await sqlite.load("good")), len(await sqlite.load("bad"))) == (2, 0)


async def test_an_event_that_is_no_data_is_refused_by_name(sqlite: SqliteStore) -> None:
    await sqlite.create("r", "chat")
    claim = await sqlite.claim("r", new_owner())
    odd = Event("warning", 1, 1, "anna", Warned(text="x", facts={"lock": object()}), "", 1)
    with pytest.raises(
        StoreError, match=r"event 1 of run r \(warning of anna\) cannot be written: Unable to serialize"
    ):
        await sqlite.append(claim, 0, [odd])
    assert await sqlite.load("r") == []


async def test_a_disk_that_is_full_is_told_and_nothing_is_acknowledged(sqlite: SqliteStore) -> None:
    await sqlite.create("r", "chat")
    claim = await sqlite.claim("r", new_owner())
    (pages,) = sqlite._writer._db.execute("PRAGMA page_count").fetchone()
    sqlite._writer._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError, match="database or disk is full"):
        await sqlite.append(claim, 0, [note(1, "x" * 1_000_000)])
    assert await sqlite.load("r") == []
    sqlite._writer._db.execute("PRAGMA max_page_count=1000000")
    await sqlite.append(claim, 0, [note(1)])


@pytest.mark.parametrize("place", ["/proc/moot/moot.db", "/dev/null/moot.db", "{file}/moot.db"])
def test_a_folder_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path, place: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreError, match=r"cannot use .* for journals: .*; set MOOT_HOME to a writable folder"):
        SqliteStore(Path(place.format(file=file)))


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot open .*: it is a folder, and journals .* in a file; set MOOT_HOME"):
        SqliteStore(tmp_path)


async def test_a_folder_given_as_a_store_means_its_database(tmp_path: Path) -> None:
    store, opened = open_store(tmp_path)
    assert opened
    assert (tmp_path / "moot.db").exists()
    await store.close()


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    path.write_text("my diary, " * 100)
    with pytest.raises(StoreError, match=r"cannot open .*: file is not a database"):
        SqliteStore(path)
    assert path.read_text().startswith("my diary")


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "places.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE places(name TEXT)")
    with pytest.raises(StoreError, match="is a database of something else"):
        SqliteStore(path)
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall() == [("places",)]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE event SET data = replace(data, 'b', 'x') WHERE seq = 2",
        "UPDATE event SET data = data || ' ' WHERE seq = 2",
        "UPDATE event SET data = CAST(data AS BLOB) WHERE seq = 2",
        "UPDATE event SET ts = ts + 0.001 WHERE seq = 2",
        "UPDATE event SET turn = 1 WHERE seq = 2",
        "UPDATE event SET attempt = 1 WHERE seq = 2",
        "UPDATE event SET type = 'warned' WHERE seq = 2",
        "UPDATE event SET participant = 'x' WHERE seq = 2",
        "UPDATE event SET span = 'x' WHERE seq = 2",
        "UPDATE event SET type = 'warnin', participant = 'g' WHERE seq = 2",
        "DELETE FROM event WHERE seq = 1",
        "DELETE FROM event WHERE seq = 3",
        "DELETE FROM event WHERE seq = 2; UPDATE event SET seq = 2 WHERE seq = 3",
        "DELETE FROM event WHERE seq = 3; UPDATE run SET head = 2",
        "DELETE FROM event",
        "UPDATE event SET seq = 9 WHERE seq = 1; UPDATE event SET seq = 1 WHERE seq = 2;"
        "UPDATE event SET seq = 2 WHERE seq = 9",
        "INSERT INTO event SELECT run, 4, ts, turn, attempt, type, participant, span, data FROM event WHERE seq = 3",
        "INSERT INTO event SELECT run, 0, ts, turn, attempt, type, participant, span, data FROM event WHERE seq = 3",
        "UPDATE run SET chain = x''",
    ],
)
async def test_rows_that_were_changed_behind_its_back_have_another_digest(tmp_path: Path, edit: str) -> None:
    await filled(tmp_path / "moot.db", "a", "b", "c")
    with sqlite3.connect(tmp_path / "moot.db") as db:
        before = db.total_changes
        db.executescript(edit)
        assert db.total_changes > before
    db.close()
    store = SqliteStore(tmp_path / "moot.db")
    chain = await store.chain("r")
    assert chain.found != chain.recorded
    await store.close()


async def test_what_is_appended_after_a_change_does_not_hide_it(tmp_path: Path) -> None:
    await filled(tmp_path / "moot.db", "a", "b")
    with sqlite3.connect(tmp_path / "moot.db") as db:
        assert db.execute("UPDATE event SET data = replace(data, 'a', 'x') WHERE seq = 1").rowcount == 1
    db.close()
    store = SqliteStore(tmp_path / "moot.db")
    await store.append(await store.claim("r", new_owner()), 2, [note(3)], "paused")
    chain = await store.chain("r")
    assert chain.found != chain.recorded
    await store.close()


async def test_two_handles_that_take_turns_continue_one_digest(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / "moot.db", "OFF") for _ in range(2)]
    await stores[0].create("r", "chat")
    for head in range(6):
        store = stores[head % 2]
        await store.append(await store.claim("r", new_owner()), head, [note(head + 1)], "paused")
    chains = {await store.chain("r") for store in stores}
    (chain,) = chains
    assert chain.found == chain.recorded
    for store in stores:
        await store.close()


@pytest.mark.parametrize("damage", ["{", "[]", '{"no": "text"}', "\x00", ""])
async def test_a_damaged_row_is_named(tmp_path: Path, damage: str) -> None:
    await filled(tmp_path / "moot.db", "a", "b")
    with sqlite3.connect(tmp_path / "moot.db") as db:
        db.execute("UPDATE event SET data = ? WHERE seq = 2", (damage,))
    store = SqliteStore(tmp_path / "moot.db")
    with pytest.raises(StoreError, match=r"event 2 of run r \(warning\) cannot be read: its row is damaged"):
        await store.load("r")
    assert [row.run for row in await store.runs()] == ["r"]
    await store.close()


async def test_an_event_of_an_unknown_type_is_read_for_what_it_is(tmp_path: Path) -> None:
    await filled(tmp_path / "moot.db", "a")
    with sqlite3.connect(tmp_path / "moot.db") as db:
        db.execute("UPDATE event SET type = 'from.the.future', data = '{\"x\": 1}'")
    store = SqliteStore(tmp_path / "moot.db")
    (event,) = await store.load("r")
    assert (event.type, event.data) == ("from.the.future", Unknown(facts={"x": 1}))
    await store.close()


def test_processes_that_meet_at_a_new_file_all_get_in(tmp_path: Path) -> None:
    together = Barrier(8)

    def open_and_close(path: Path) -> None:
        async def go() -> None:
            together.wait()
            store = SqliteStore(path)
            await store.close()

        asyncio.run(go())

    for number in range(10):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(open_and_close, [tmp_path / f"{number}.db"] * 8))


async def test_a_log_that_was_cut_anywhere_still_holds_a_beginning(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db", "OFF")
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    for head in range(30):
        await store.append(claim, head, [note(head + 1)])
    whole = {end: (tmp_path / f"moot.db{end}").read_bytes() for end in ("", "-wal")}
    await store.close()
    lengths = set()
    for cut in (*range(0, len(whole["-wal"]), 997), len(whole["-wal"])):
        copy = tmp_path / f"cut{cut}"
        copy.mkdir()
        (copy / "moot.db").write_bytes(whole[""])
        (copy / "moot.db-wal").write_bytes(whole["-wal"][:cut])
        opened = SqliteStore(copy / "moot.db", "OFF")
        events = await opened.load("r") if await opened.names() else []
        assert events == [note(seq) for seq in range(1, len(events) + 1)]
        lengths.add(len(events))
        await opened.close()
    assert {0, 30} <= lengths
    assert len(lengths) > 20


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    await store.append(claim, 0, [Event("warning", 0, 0, "", Warned(text="kept"), "", 1, 100.0)])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_leaves_what_was_acknowledged_and_its_run_is_free(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(path))
    assert await child.wait() == -9
    store = SqliteStore(path)
    assert await store.load("r") == [note(1, "kept")]
    assert (await store.claim("r", new_owner())).epoch == 2
    await store.close()
