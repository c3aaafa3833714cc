"""Finding what was said, and code, whatever was asked and whatever became of the index."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from moot.chats.errors import StoreError, UserError
from moot.chats.event_types import CodeProposed, MessageSaid, TurnFinished, Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.search import MOST_WORDS, Hit, search
from moot.chats.search_index import index_path
from moot.chats.sqlite_store import SqliteStore


def said(text: str) -> dict[str, object]:
    return {"type": "TextMessage", "content": text, "source": "x"}


def task(text: str) -> Event:
    return Event("message", 0, 0, "", MessageSaid(message=said(text)))


def reply(turn: int, who: str, text: str) -> Event:
    return Event("turn.finished", turn, 1, who, TurnFinished(reply=said(text)))


def code(turn: int, who: str, text: str) -> Event:
    return Event("code.proposed", turn, 1, who, CodeProposed(key="code/0", language="python", code=text))


async def kept(store: SqliteStore, run: str, *events: Event, parent: str = "", base: int = 0) -> None:
    await store.create(run, "chat", parent=parent, base=base)
    await more(store, run, *events)


async def more(store: SqliteStore, run: str, *events: Event) -> None:
    claim = await store.claim(run, new_owner())
    await store.append(claim, claim.head, [e._replace(seq=n) for n, e in enumerate(events, claim.head + 1)], "paused")


@pytest.fixture
async def talks(sqlite: SqliteStore) -> SqliteStore:
    """Two runs about regressions, the second one newer."""
    await kept(
        sqlite,
        "r1",
        task("Which model fits best?"),
        reply(1, "anna", "I would try least squares first."),
        code(2, "bob", "import statsmodels.api as sm\nfit = sm.OLS(y, X_train).fit()"),
        Event("warning", 2, 1, "bob", Warned(text="least of all this")),
    )
    await kept(sqlite, "r2", task("Try the squares, least of all the circles."), reply(1, "zoë", "Naïve Café least"))
    return sqlite


async def found(store: SqliteStore, query: str, *, run: str = "", limit: int = 20) -> list[str]:
    hits = await search(store.path, query, run=run, limit=limit)
    return [f"{hit.run} {hit.turn} {hit.participant} {hit.kind}".replace("  ", " ") for hit in hits]


async def test_messages_replies_and_code_are_found_and_nothing_else(talks: SqliteStore) -> None:
    assert await found(talks, "least") == ["r2 1 zoë reply", "r2 0 message", "r1 1 anna reply"]
    assert await found(talks, "OLS") == ["r1 2 bob code"]
    assert await found(talks, "best") == ["r1 0 message"]
    assert await found(talks, "nowhere") == []


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ("squares least", ["r2", "r1"]),
        ('"least squares"', ["r1"]),
        ('"least squares', ["r1"]),
        ("squar*", ["r2", "r1"]),
        ("squar", []),
        ("sq* fir*", ["r1"]),
        ("LEAST SQUARES FIRST", ["r1"]),
        ("cafe naive", ["r2"]),
        ("X_train", ["r1"]),
        ("sm.OLS(y,", ["r1"]),
        ("statsmodels.api", ["r1"]),
        ("api.statsmodels", []),
    ],
)
async def test_every_word_must_be_there_and_phrases_in_order(talks: SqliteStore, query: str, runs: list[str]) -> None:
    assert sorted({hit.run for hit in await search(talks.path, query)}, reverse=True) == runs


async def test_what_was_found_is_marked_in_what_stands_around_it(talks: SqliteStore) -> None:
    (hit,) = await search(talks.path, '"least squares"')
    assert [(piece.text, piece.found) for piece in hit.snippet] == [
        ("I would try ", False),
        ("least squares", True),
        (" first.", False),
    ]
    await more(talks, "r1", reply(3, "anna", f"{'so ' * 500}needle{' so' * 500}"))
    (far,) = await search(talks.path, "needle")
    assert len(far.text) < 200
    assert " … " in far.text


async def test_a_search_can_be_of_one_run_and_has_a_limit(talks: SqliteStore) -> None:
    assert await found(talks, "least", run="r1") == ["r1 1 anna reply"]
    assert len(await found(talks, "least", limit=2)) == 2


HOSTILE = [
    "NOT", "a AND", "OR OR", "NEAR(a b, 3)", "text:x", "{a b}:c", "^a", "-a", "a^2", "*a", "a**", "''a", '"a""b"',
    '"a" "', 'a"b"c', "a;DROP TABLE entry", "a\0b", "\x00\x01a", "\ud83da", "\udcffa", "é" * 3000, "a(", ")a", "a+b",
    "💥 a", "\u202ea", "%a%", "a\\", "?1 a", "a\nb\tc", "words MATCH a", "a:*", ":a", "a" * 100_000, "\uff41\uff11",
    "٣ a",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
async def test_no_query_is_more_than_words(talks: SqliteStore, query: str) -> None:
    assert isinstance(await search(talks.path, query), list)
    assert len(await found(talks, "least")) == 3


@pytest.mark.parametrize("query", ["", "  ", "*", '"', '""', '"" "*"', "- + ( ) '", "\0", "\u202e", "💥"])
async def test_a_query_without_a_word_is_refused(talks: SqliteStore, query: str) -> None:
    with pytest.raises(UserError, match="there is no word to search for"):
        await search(talks.path, query)


async def test_a_query_of_too_many_words_is_refused(talks: SqliteStore) -> None:
    assert await search(talks.path, "least " * MOST_WORDS) != []
    with pytest.raises(UserError, match=f"{MOST_WORDS + 1} words are too many"):
        await search(talks.path, "least " * (MOST_WORDS + 1))


async def test_whatever_was_said_can_be_shown(sqlite: SqliteStore) -> None:
    odd = ["half \ud83d needle", "\x02needle\x03 \x02", "needle \x00 nul", "needle" + "\x1b[31m" * 10]
    await kept(sqlite, "r", *(reply(n, "a", text) for n, text in enumerate(odd, 1)))
    hits = await search(sqlite.path, "needle*")
    assert sorted(hit.turn for hit in hits) == [1, 2, 3, 4]
    for hit in hits:
        assert "needle" in hit.text
        hit.text.encode()


async def test_what_was_added_is_found_at_the_next_search(talks: SqliteStore) -> None:
    assert await found(talks, "later") == []
    await more(talks, "r1", reply(3, "anna", "Later I said more."))
    await kept(talks, "r3", reply(1, "carl", "later still"))
    assert await found(talks, "later") == ["r3 1 carl reply", "r1 3 anna reply"]
    assert await found(talks, "least", run="r1") == ["r1 1 anna reply"]  # once


async def test_only_what_is_new_is_read_again(talks: SqliteStore) -> None:
    await search(talks.path, "least")
    with closing(sqlite3.connect(talks.path)) as db, db:
        assert (
            db.execute("UPDATE event SET data = '{\"reply\": \"changed\"}' WHERE type = 'turn.finished'").rowcount == 2
        )
    await more(talks, "r1", reply(3, "anna", "changed"))
    assert await found(talks, "changed") == ["r1 3 anna reply"]


async def test_a_removed_run_is_found_no_more_and_leaves_nothing_in_the_index(talks: SqliteStore) -> None:
    assert "r1 1 anna reply" in await found(talks, "least")
    await talks.remove("r1")
    with closing(sqlite3.connect(index_path(talks.path))) as index:
        assert index.execute("SELECT count(*) FROM entry WHERE run = 'r1'").fetchone() == (0,)
        assert index.execute("SELECT count(*) FROM words WHERE words MATCH 'squares'").fetchone() == (1,)
    assert await found(talks, "least") == ["r2 1 zoë reply", "r2 0 message"]


async def test_a_run_that_went_without_a_word_to_the_index_is_found_no_more(talks: SqliteStore) -> None:
    await search(talks.path, "least")
    with closing(sqlite3.connect(talks.path)) as db, db:
        for table in ("event WHERE run = 1", "run WHERE id = 1"):
            db.execute(f"DELETE FROM {table}")
    assert await found(talks, "squares") == ["r2 0 message"]


async def test_another_journal_in_the_place_of_the_first_is_searched_for_what_it_has(talks: SqliteStore) -> None:
    await more(talks, "r1", reply(3, "anna", "only in the newer one"))
    await search(talks.path, "newer")
    with closing(sqlite3.connect(talks.path)) as db, db:  # as an older backup has it
        db.execute("DELETE FROM event WHERE run = 1 AND seq > 2")
        db.execute("UPDATE run SET head = 2 WHERE id = 1")
    assert await found(talks, "newer") == []
    assert await found(talks, "squares", run="r1") == ["r1 1 anna reply"]


async def test_what_a_fork_took_over_is_found_in_its_parent_as_long_as_there_is_one(talks: SqliteStore) -> None:
    taken = (task("Which model fits best?"), reply(1, "anna", "I would try least squares first."))
    await kept(talks, "r3", *taken, reply(2, "bob", "No: the least absolute deviation."), parent="r1", base=2)
    assert await found(talks, "least") == [
        "r3 2 bob reply", "r2 1 zoë reply", "r2 0 message", "r1 1 anna reply",
    ]  # fmt: skip
    await talks.remove("r1")
    assert "r3 1 anna reply" in await found(talks, "least")


async def test_a_damaged_row_hides_no_other(talks: SqliteStore) -> None:
    with closing(sqlite3.connect(talks.path)) as db, db:
        for damage in ("{", "[]", "null", '{"reply": null}', "\x00"):
            db.execute("UPDATE event SET data = ? WHERE run = 1 AND seq = 2", (damage,))
            db.commit()
            index_path(talks.path).unlink(missing_ok=True)
            assert await found(talks, "OLS") == ["r1 2 bob code"]


@pytest.mark.parametrize("harm", ["deleted", "empty", "garbage", "cut", "middle", "older", "tables"])
async def test_an_index_that_was_harmed_is_made_again(talks: SqliteStore, harm: str) -> None:
    for n in range(200):
        await more(talks, "r2", reply(n + 2, "zoë", f"number {n} " + "word " * 50))
    before = await found(talks, "least")
    path = index_path(talks.path)
    whole = path.read_bytes()
    if harm == "deleted":
        path.unlink()
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "garbage":
        path.write_bytes(b"no database " * 1000)
    elif harm == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif harm == "middle":
        path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 8192) + whole[-4096:])
    elif harm == "older":
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version=0")
    else:
        with closing(sqlite3.connect(path)) as db:
            db.execute("DROP TABLE entry")
    assert path.read_bytes() != whole if path.exists() else harm == "deleted"
    assert await found(talks, "least") == before
    assert await found(talks, "number 77") == ["r2 79 zoë reply"]


async def test_a_database_of_something_else_in_the_place_of_the_index_is_left_alone(talks: SqliteStore) -> None:
    path = index_path(talks.path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE mine(x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"search.db is in the place of the search index, and something else"):
        await search(talks.path, "least")
    await talks.remove("r1")
    assert path.read_bytes() == before


async def test_an_index_that_cannot_be_written_is_told(talks: SqliteStore) -> None:
    index_path(talks.path).mkdir()
    with pytest.raises(StoreError, match=r"cannot write the index .*search.db"):
        await search(talks.path, "least")


async def test_journals_that_are_damaged_are_told_and_the_index_stays(talks: SqliteStore) -> None:
    await search(talks.path, "least")
    with closing(sqlite3.connect(talks.path)) as db, db:
        db.execute("DROP TABLE event")
    before = index_path(talks.path).stat().st_ino
    await talks.create("r9", "chat")
    with closing(sqlite3.connect(talks.path)) as db, db:
        db.execute("UPDATE run SET head = 1")
    with pytest.raises(StoreError, match=r"moot.db: no such table: event"):
        await search(talks.path, "least")
    assert index_path(talks.path).stat().st_ino == before


async def test_many_search_at_once_while_runs_go_on(talks: SqliteStore) -> None:
    await kept(talks, "r3", reply(1, "a", "least 0"))

    async def go_on() -> None:
        for n in range(30):
            await more(talks, "r3", reply(n + 2, "a", f"least {n + 1}"))

    results: list[list[Hit]] = []

    async def look() -> None:
        results.extend([await search(talks.path, "least", run="r3", limit=1000) for _ in range(5)])

    await asyncio.gather(go_on(), *(look() for _ in range(4)))
    assert len(await search(talks.path, "least", run="r3", limit=1000)) == 31
    for hits in results:
        assert sorted(hit.turn for hit in hits) == list(range(1, len(hits) + 1))


async def test_each_file_of_journals_has_an_index_of_its_own(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / name, "OFF") for name in ("moot.db", "own.db", "search.db.x")]
    for number, store in enumerate(stores):
        await kept(store, "r", reply(1, f"n{number}", "needle"))
    for number, store in enumerate(stores):
        assert await found(store, "needle") == [f"r 1 n{number} reply"]
        await store.close()
    assert len({index_path(store.path) for store in stores}) == 3
