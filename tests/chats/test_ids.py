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


def test_what_is_shown_stays_the_beginning_of_one_run_when_others_are_started_right_after_it() -> None:
    made = [new_run() for _ in range(200)]
    shown = [short(run, made[: at + 1]) for at, run in enumerate(made)]  # each as it was printed then
    later = [run for run in made if run[:9] != made[0][:9]]
    assert not any(run.startswith(shown[0]) for run in later)
    assert len(short(new_run(), [])) == SHOWN == 11


def test_as_much_is_shown_as_tells_a_run_from_all_others() -> None:
    assert short("abcdefghijklmnop", ["abcdefghijklxxxx", "abcdefghijklmnop"]) == "abcdefghijklm"
    assert short("abcdefghij", ["abcdefghijk"]) == "abcdefghij"
