"""The transcript: what has been said so far."""

from collections.abc import Iterator
from typing import SupportsIndex

from autogen_agentchat.messages import TextMessage

from moot.termination.transcript import CodeRun, Transcript, Turn


def turn(number: int, step: int, *exit_codes: int) -> Turn:
    runs = tuple(CodeRun("a", "python", code) for code in exit_codes)
    return Turn(number, step, "a", TextMessage(content=f"words {number}", source="a"), runs)


class Watched(list[Turn]):
    """A history that counts which turns were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def __iter__(self) -> Iterator[Turn]:
        self.read += len(self)
        return super().__iter__()

    def __getitem__(self, at: SupportsIndex | slice) -> Turn | list[Turn]:  # type: ignore[override]
        found = super().__getitem__(at)
        self.read += len(found) if isinstance(found, list) else 1
        return found


def test_the_latest_step_holds_all_turns_that_were_taken_in_parallel() -> None:
    said = Transcript(("a",), (), [turn(1, 1), turn(2, 2), turn(3, 2)])
    assert [t.number for t in said.step] == [2, 3]
    assert list(Transcript(("a",)).step) == []


def test_a_turn_has_the_exit_code_of_its_last_block() -> None:
    assert turn(1, 1, 0, 3).exit_code == 3
    assert turn(1, 1).exit_code is None


def test_the_last_code_run_is_found_in_whatever_turn_it_was() -> None:
    said = Transcript(("a",), (), [turn(1, 1, 1), turn(2, 2, 0), turn(3, 3)])
    assert said.last_code_run == CodeRun("a", "python", 0)
    assert Transcript(("a",), (), [turn(1, 1)]).last_code_run is None


def test_asking_after_every_turn_for_the_last_code_run_reads_each_turn_once() -> None:
    history = Watched()
    said = Transcript(("a",), (), history)
    for number in range(1, 1001):
        history.append(turn(number, number, *([number] if number == 7 else [])))
        assert (said.last_code_run is None) == (number < 7)
    assert said.last_code_run == CodeRun("a", "python", 7)
    assert history.read <= 1001
