"""A copy of a store while runs are under way."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from moot.chats.errors import StoreError, UserError
from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.home import open_file
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore


def note(seq: int, **facts: object) -> Event:
    return Event("warning", 0, 0, "", Warned(text="x", facts=facts), "", seq, 100.0)


async def test_a_copy_has_every_run_as_it_was_at_one_moment_while_they_go_on(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    going, heads = True, {}

    async def drive(run: str) -> None:
        await sqlite.create(run, "chat")
        claim, head = await sqlite.claim(run, new_owner()), 0
        while going:
            digest = await sqlite.blobs.put(f"{run} {head}".encode())
            await sqlite.append(claim, head, [note(head + 1, sha256=digest), note(head + 2)])
            heads[run] = head = head + 2

    driving = [asyncio.ensure_future(drive(run)) for run in ("a", "b", "c")]
    while len(heads) < 3 or min(heads.values()) < 20:
        await sqlite.names()
    before = dict(heads)
    await sqlite.post("a", "stop")
    await sqlite.backup(tmp_path / "copy")
    after = dict(heads)
    going = False
    await asyncio.gather(*driving)
    assert all(after[run] >= before[run] for run in before)
    copy = open_file(tmp_path / "copy")
    for row in await copy.runs():
        assert not row.driven
        events, chain = await copy.load(row.run), await copy.chain(row.run)
        assert before[row.run] <= len(events) <= after[row.run] + 2
        assert len(events) % 2 == 0  # no half of a commit
        assert chain.recorded == chain.found
        for event in events[::2]:
            assert isinstance(event.data, Warned)
            assert await copy.blobs.get(str(event.data.facts["sha256"])) == f"{row.run} {event.seq - 1}".encode()
        claim = await copy.claim(row.run, new_owner())  # whoever drives the original drives no copy
        await copy.append(claim, len(events), [note(len(events) + 1)], "paused")
    assert [posted.command for posted in await copy.posted("a")] == ["stop"]
    assert await copy.names() == ["a", "b", "c"]
    await copy.close()
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["blobs", "moot.db"]


async def test_a_copy_holds_up_no_writer(sqlite: SqliteStore, tmp_path: Path) -> None:
    await sqlite.create("r", "chat")
    claim = await sqlite.claim("r", new_owner())
    await sqlite.append(claim, 0, [note(seq, text="x" * 2000) for seq in range(1, 5001)])
    copying, head = asyncio.ensure_future(sqlite.backup(tmp_path / "copy")), 5000
    while not copying.done():
        await sqlite.append(claim, head, [note(head + 1)])
        head += 1
    await copying
    copy = open_file(tmp_path / "copy")
    assert 5000 <= len(await copy.load("r")) < head  # some were written while it was copied
    await copy.close()


@pytest.mark.parametrize("there", ["file", "folder", "link"])
async def test_what_is_there_already_is_left_alone(sqlite: SqliteStore, tmp_path: Path, there: str) -> None:
    target = tmp_path / "copy"
    if there == "file":
        target.write_text("mine")
    elif there == "folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    with pytest.raises(UserError, match="copy is there already: name a folder that does not exist yet"):
        await sqlite.backup(target)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


async def test_a_copy_that_fails_leaves_nothing_that_looks_like_one(sqlite: SqliteStore, tmp_path: Path) -> None:
    digest = await sqlite.blobs.put(b"content")
    path = sqlite.blobs.path(digest)
    path.unlink()
    path.mkdir()  # what cannot be copied
    with pytest.raises(StoreError, match=r"cannot write the copy .*: Is a directory"):
        await sqlite.backup(tmp_path / "copies" / "monday")
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize("page", [0, 5])
async def test_a_copy_of_a_damaged_file_is_refused(tmp_path: Path, page: int) -> None:
    store = SqliteStore(tmp_path / "moot.db")
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    await store.append(claim, 0, [note(seq) for seq in range(1, 500)], "paused")
    with closing(sqlite3.connect(tmp_path / "moot.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = (tmp_path / "moot.db").read_bytes()
    (tmp_path / "moot.db").write_bytes(whole[: page * 4096] + b"x" * 4096 + whole[(page + 1) * 4096 :])
    with pytest.raises(StoreError, match=r"moot.db.* damaged"):
        await store.backup(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    await store.close()
