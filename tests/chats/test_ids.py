"""Ids of runs: ordered by time, short enough to type."""

from moot.chats.ids import SHOWN, new_run, short


def test_ids_are_different_and_of_one_length() -> None:
    ids = {new_run() for _ in range(2000)}
    assert len(ids) == 2000
    assert {len(i) for i in ids} == {18}


def test_ids_are_ordered_by_the_time_they_were_made() -> None:
    made = [new_run() for _ in range(2000)]
    assert [i[:9] for i in made] == sorted(i[:9] for i in made)


def test_an_id_needs_no_quotes_and_has_no_letters_that_look_alike() -> None:
    assert not set("ilou") & set("".join(new_run() for _ in range(100)))
    assert new_run().isalnum()
    made = new_run()
    assert made == made.lower()


def test_the_shortest_beginning_that_is_unique_is_shown() -> None:
    assert short("abcdefghij", ["xyzabcdefg", "abcdefghij"]) == "abcdef"
    assert short("abcdefghij", ["abcdefgxxx"]) == "abcdefgh"
    assert short("abcdefghij", ["abcdefghijk"]) == "abcdefghij"
    assert len(short(new_run(), [])) == SHOWN
