"""One block of code as the journal keeps it."""

import json

import pytest

from moot.agents.ran import RanBlock, StoredFile
from moot.sandbox.execution import Execution, NotKept

FILE = StoredFile(name="plot.png", size=3, sha256="ab" * 32)


def test_all_that_the_sandbox_said_is_kept() -> None:
    done = Execution(
        exit_code=137, stdout="out", stderr="err", value="4", timed_out=True, oom=True, truncated=True, seconds=1.25,
        not_kept=(NotKept("huge.bin", 10, "larger than 5"),),
    )  # fmt: skip
    ran = RanBlock.of("python", done, (FILE,), lost=False)
    assert ran.model_dump(exclude={"files", "not_kept", "language", "seconds"}) == {
        "exit_code": 137, "stdout": "out", "stderr": "err", "value": "4", "timed_out": True, "oom": True,
        "state_lost": False, "truncated": True, "skipped": None,
    }  # fmt: skip
    assert ran.files == (FILE,)
    assert ran.not_kept == ("huge.bin (10 bytes): larger than 5",)


def test_a_block_that_the_sandbox_did_not_run_has_no_exit_code_and_a_reason() -> None:
    ran = RanBlock.of("python", Execution(exit_code=1, skipped="too large"), (), lost=False)
    assert (ran.exit_code, ran.skipped) == (-1, "too large")
    assert ran.report(100).skipped == "too large"


def test_a_new_interpreter_where_blocks_ran_before_has_lost_their_variables() -> None:
    assert RanBlock.of("python", Execution(exit_code=0), (), lost=True).state_lost
    assert RanBlock.of("python", Execution(exit_code=0, state_lost=True), (), lost=False).state_lost


def test_a_block_is_read_back_from_json_as_it_was() -> None:
    ran = RanBlock.of("python", Execution(exit_code=0, stdout="é\x1b[1m"), (FILE,), lost=False)
    assert RanBlock.read(json.loads(ran.model_dump_json())) == ran
    assert RanBlock.read(ran) is ran


@pytest.mark.parametrize(("length", "cut"), [(100, False), (101, True), (5_000_000, True)])
def test_the_chat_is_told_the_beginning_and_the_end_of_a_long_stream(length: int, cut: bool) -> None:
    ran = RanBlock(language="python", exit_code=0, stdout="a" + "x" * (length - 2) + "z")
    report = ran.report(100)
    assert report.truncated == cut
    assert report.stdout[0] + report.stdout[-1] == "az"
    assert len(report.stdout) < 200
    assert (f"... {length - 100} characters left out ..." in report.stdout) == cut


def test_the_facts_of_a_block_leave_its_output_to_the_result() -> None:
    facts = RanBlock(language="python", exit_code=0, stdout="out", files=(FILE,)).facts("code/0")
    assert facts["key"] == "code/0"
    assert facts["exit_code"] == 0
    assert not {"stdout", "stderr", "value"} & set(facts)
