"""A tape is read as it was written, or one line says what is wrong with it. What differs by chance does not count."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from autogen_core.models import CreateResult, LLMMessage, RequestUsage, SystemMessage, UserMessage

from moot.agents.errors import TapeError
from moot.agents.origins import honest, short_name
from moot.agents.report import BlockReport, render
from moot.agents.tape import Line, Tape
from moot.agents.tape_file import TapeFile
from moot.agents.tape_request import DIFFERENCE_LINES, Request, Requests, difference

HEADER = '{"tape":"moot","version":1}\n'


def _result(text: str) -> CreateResult:
    return CreateResult(finish_reason="stop", content=text, usage=RequestUsage(7, 3), cached=False)


def _line(reply: str = "hi", *, part: str = "ann", take: str = "t", asked: str = "hello", digest: str = "d") -> str:
    messages: list[dict[str, object]] = [{"role": "user", "source": "user", "text": asked}]
    line = Line(part=part, take=take, messages=messages, result=_result(reply), digest=digest, model="openai/x")
    return line.model_dump_json() + "\n"


def _asked(*messages: LLMMessage, **options: object) -> Request:
    return Requests().of(messages, options)


def _user(text: str, source: str = "user") -> UserMessage:
    return UserMessage(content=text, source=source)


# --- files that are no tape ---


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "tape 't.jsonl' is empty; record one with --record"),
        (b"\n", "tape 't.jsonl' is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "'t.jsonl' is no tape: it is not UTF-8 text"),
        (b"version: 1\nname: duet\n", "'t.jsonl' is no tape: its first line is not a tape's header"),
        (b'{"role": "user"}\n', "'t.jsonl' is no tape: its first line is not a tape's header"),
        (b'["tape"]\n', "'t.jsonl' is no tape: its first line is not a tape's header"),
        (b'{"tape":"moot","version":2}\n', "tape 't.jsonl' has version 2; this moot reads version 1"),
        (b'{"tape":"moot","version":1,"repeat":"often"}\n', "its first line is not a tape's header"),
        (HEADER.encode(), "tape 't.jsonl' holds no call: nothing was recorded yet"),
        (f"{HEADER}hello\n{_line()}".encode(), "t.jsonl:2: no recorded call: the line is not JSON"),
        (f'{HEADER}{{"part":"ann"}}\n'.encode(), "t.jsonl:2: no recorded call: messages: Field required"),
        (f"{HEADER}{'[' * 100_000}\n".encode(), "t.jsonl:2: no recorded call: the line is not JSON"),
        (f"{HEADER}{_line()}[]\n".encode(), "t.jsonl:3: no recorded call: Input should be"),
        (
            f'{HEADER}{_line()[:-2]},"follows":"x"}}\n'.replace('"follows":null,', "").encode(),
            "t.jsonl:2: follows 'x', which is no earlier line",
        ),
    ],
)
def test_what_is_no_tape_is_refused_in_one_line_that_says_why(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    with pytest.raises(TapeError) as caught:
        Tape.read(path, "t.jsonl")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tape_that_is_not_there_or_a_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"no tape 'x\.jsonl': there is no file .*record one with --record"):
        Tape.read(tmp_path / "x.jsonl", "x.jsonl")
    with pytest.raises(TapeError, match=r"tape 'x' is a directory, not a file"):
        Tape.read(tmp_path, "x")
    with pytest.raises(TapeError, match="cannot read tape"):
        Tape.read(Path("a\0b"))


def test_a_line_that_was_cut_off_is_not_read_and_that_is_known(tmp_path: Path) -> None:
    whole, half = _line("one"), _line("two", asked="again")
    for cut in (1, 20, len(half) - 3):
        tape = Tape.parse(HEADER + whole + half[:cut])
        assert (tape.torn, len(tape.calls)) == (True, 1)
    path = tmp_path / "t.jsonl"
    path.write_bytes((HEADER + whole).encode() + '{"part": "Ä'.encode()[:-1])
    assert (Tape.read(path).torn, len(Tape.read(path).calls)) == (True, 1)
    TapeFile(path).begin()
    assert (Tape.read(path).torn, path.read_text()) == (False, HEADER + whole)
    edited = Tape.parse(HEADER + whole + half.rstrip("\n"))
    assert (edited.torn, len(edited.calls)) == (False, 2)


# --- files that are written ---


def test_whole_lines_are_written_whoever_else_writes(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"

    def record(part: str) -> None:
        file = TapeFile(path)
        file.begin()
        for number in range(40):
            file.add(Line.model_validate_json(_line("x" * 20_000, part=part, asked=f"{number}")))

    threads = [threading.Thread(target=record, args=(part,)) for part in ("ann", "bob", "cem")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tape = Tape.read(path)
    assert {part: len(tape.of(part)) for part in tape.parts} == {"ann": 40, "bob": 40, "cem": 40}


def test_recording_goes_on_after_the_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    long = _line("x" * 200_000, asked="long")
    for left, calls in [
        (HEADER + _line() + long[:-9], 2),
        (HEADER + _line() + long, 3),
        (HEADER + _line().rstrip("\n"), 2),
        (HEADER[:9], 1),
    ]:
        path.write_text(left)
        file = TapeFile(path)
        file.begin()
        file.add(Line.model_validate_json(_line("new", asked="new")))
        tape = Tape.read(path)
        assert (len(tape.calls), tape.torn, tape.calls[-1].line.result.content) == (calls, False, "new")


def test_a_file_that_is_no_tape_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "chat.yaml"
    for content, said in [
        (b"version: 1\n", "no tape"),
        (b"\xff\xfe\n", "UTF-8"),
        (b'{"tape":"moot","version":3}\n', "3"),
    ]:
        path.write_bytes(content)
        with pytest.raises(TapeError, match=f"cannot record to .*{said}"):
            TapeFile(path).begin()
        assert path.read_bytes() == content
    for place, said in [
        (tmp_path, "is a directory"),
        (tmp_path / "no" / "t.jsonl", "No such file or directory"),
        (Path("/dev/null"), "is no regular file"),
        (path / "t.jsonl", "Not a directory"),
    ]:
        with pytest.raises(TapeError, match=f"cannot record to .*{said}"):
            TapeFile(place).begin()


# --- which reply belongs to a request ---


def test_the_reply_that_a_killed_process_got_last_gives_way_to_its_successors() -> None:
    text = HEADER + _line("lost", take="1") + _line("kept", take="2") + _line("later", take="2", asked="more")
    tape = Tape.parse(text)
    assert [call.line.result.content for call in tape.found[_asked(_user("hello")).digest("ann")]] == ["kept"]

    same = _line("a", take="1") + _line("b", take="1")
    side_by_side = _line("a", take="1") + _line("b", take="2") + _line("c", take="1", asked="more")
    other = _line("a", take="1") + _line("x", take="2", part="bob") + _line("b", take="1")
    for lines in (same, side_by_side, other):
        tape = Tape.parse(HEADER + lines)
        assert [call.line.result.content for call in tape.found[_asked(_user("hello")).digest("ann")]] == ["a", "b"]


def test_how_long_a_block_took_and_where_an_object_lay_do_not_count() -> None:
    def report(seconds: float, address: str, printed: str = "4") -> UserMessage:
        value = f"<Axes at 0x{address}>"
        return _user(render([BlockReport("python", 0, seconds, printed, value=value)]), "executor")

    one, other = _asked(report(0.412, "7f00aa")), _asked(report(1.05, "7f11bb"))
    assert one.digest("a") == other.digest("a") != _asked(report(0.412, "7f00aa", "5")).digest("a")
    assert one.digest("a") != one.digest("b")
    talk = _asked(_user("it took 0.412 s at 0x7f"))
    assert talk.digest("a") != _asked(_user("it took 0.413 s at 0x7f")).digest("a")


def test_words_about_the_budget_do_not_count() -> None:
    hint = _user("Budget: $0.81 of $1.00 are spent. Wrap up.", "moot")
    assert _asked(_user("a"), hint, _user("b")).digest("x") == _asked(_user("a"), _user("b")).digest("x")
    assert _asked(_user("a"), _user(hint.content, "ann")).digest("x") != _asked(_user("a")).digest("x")  # type: ignore[arg-type]


def test_a_request_has_one_digest_however_it_came_about() -> None:
    said: list[LLMMessage] = [SystemMessage(content="s"), _user("1"), _user("2"), _user("3")]
    grown = Requests()
    for count in range(1, 5):
        assert grown.of(said[:count], {}).digest("a") == _asked(*said[:count]).digest("a")
    assert grown.of(said[1:], {}).digest("a") == _asked(*said[1:]).digest("a")
    assert _asked(*said, tool_choice="auto", json_output=None).digest("a") == _asked(*said).digest("a")
    assert _asked(*said, json_output=True).digest("a") != _asked(*said).digest("a")


# --- the difference ---


def test_a_miss_shows_the_first_message_that_differs_from_the_nearest_request() -> None:
    tape = Tape.parse(HEADER + _line(asked="far\naway") + _line(asked="one\ntwo\nthree") + _line(part="bob"))
    said = str(tape.miss("ann", _asked(_user("one\n2\nthree"))))
    assert "replay:tape has no reply to what 'ann' asks now; the nearest recorded request, line " in said
    assert "differs first in message 1:\n" in said
    near = _asked(SystemMessage(content="s"), _user("one\ntwo"))
    lines = difference(near, _asked(SystemMessage(content="s"), _user("one\n2")), 7).splitlines()
    assert lines == ["differs first in message 2:", "--- recorded, line 7", "+++ asked now", "-two", "+2"]
    assert "it has calls of ann, bob" in str(tape.miss("cem", near))


def test_a_message_too_many_and_other_options_are_shown_as_well() -> None:
    one, two = _asked(_user("a")), _asked(_user("a"), _user("b", "bob"))
    assert "message 2, which is in one only (recorded: 1, asked: 2)" in difference(one, two, 2)
    assert difference(one, two, 2).splitlines()[-3:] == ["+role: user", "+source: bob", "+b"]
    options = difference(one, _asked(_user("a"), json_output=True), 2)
    assert options.splitlines() == [
        "differs first in the options:", "--- recorded, line 2", "+++ asked now", "+json_output: true",
    ]  # fmt: skip


def test_a_long_difference_is_cut() -> None:
    long = "\n".join("x" * 1000 for _ in range(1000))
    lines = difference(_asked(_user(long)), _asked(_user("y")), 2).splitlines()
    assert len(lines) == DIFFERENCE_LINES + 2
    assert lines[-1] == "... and 991 more lines"
    assert max(len(line) for line in lines) <= 160


# --- whose replies these are ---


def test_replies_from_a_tape_are_never_shown_as_a_models() -> None:
    tape = Tape.parse(HEADER + _line().replace('"at":""', '"at":"2026-11-20T10:00:00Z"'), "a/t.jsonl")
    name = tape.called("ann")
    assert name == "replay:t.jsonl, recorded from openai/x on 2026-11-20"
    assert short_name(name) == ("replay:t.jsonl", " (replayed)")
    told = "REPLAYED MODEL: replies recorded from openai/x on 2026-11-20; real speakers, sandbox and budget"
    assert honest("replayed", [name]) == [told]
    assert honest("mixed", [name, "openai/gpt-5-mini"]) == [told]
    assert [line.partition(":")[0] for line in honest("mixed", [name, "playbook:x"])] == [
        "PLAYBOOK MODEL", "REPLAYED MODEL",
    ]  # fmt: skip
    assert honest("real", ["openai/gpt-5-mini"]) == []
    assert json.loads(_line())["part"] == "ann"
