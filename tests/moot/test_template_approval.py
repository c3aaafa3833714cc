"""The approval template as a new user meets it, and with a model over HTTP."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.model_servers import Say, ScriptedModels
from tests.templates import asked_of, kept, over_http, waiting

if TYPE_CHECKING:
    from tests.moot.conftest import Moot

FILE = "the-database-moves-to-a-new-server.md"
OPEN = "\x1b[?2004h"
"""What a line that is open for typing tells the terminal first."""
CALL = {"folder": "published", "title": "Moved", "paragraphs": ["Today.", "Ask us."]}


def one_line(text: str) -> str:
    return " ".join(text.split())


def published(moot: Moot) -> list[Path]:
    return sorted(path for path in (moot.folder / "published").glob("*") if path.is_file())


def test_the_owner_sees_what_is_published_to_the_letter_before_it_is(moot: Moot) -> None:
    first = moot("run", "approval")
    assert (first.code, first.out) == (4, ""), first.err
    assert "REVISE: - The notice does not say whom to ask; the task does: help@example.com" in one_line(first.err)
    assert published(moot) == []
    asked = waiting(moot)
    assert asked.kind == "tool"
    shown = asked.payload["arguments"]
    assert isinstance(shown, dict)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert done.code == 0, done.err
    (notice,) = published(moot)
    assert done.out == f"{notice}\n"
    assert notice.name == FILE
    text = notice.read_text()
    assert text.startswith("\n\n".join([f"# {shown['title']}", *shown["paragraphs"]]))
    assert "Questions: help@example.com" in text


def test_the_owner_decides_at_the_terminal(moot: Moot) -> None:
    with moot.at_a_terminal("run", "approval", columns=120, rows=50) as terminal:
        terminal.then("[l]ater")
        terminal.then(OPEN)
        terminal.press(b"r\r")
        terminal.then(OPEN)
        terminal.press(b"make it shorter\r")
        terminal.then("[l]ater")
        terminal.then(OPEN)
        assert published(moot) == []
        terminal.press(b"a\r")
        assert terminal.ended() == 0
    lines = terminal.screen(50, 120)
    assert '│     "Saturday, 14 March, 22:00 to 23:30 UTC: no uploads and exports.",' in lines
    (notice,) = published(moot)
    assert str(notice) in lines


def test_a_rejection_goes_back_to_the_writer_with_its_reason(moot: Moot) -> None:
    moot("run", "approval")
    first = waiting(moot)
    again = moot("inbox", "reject", first.run, first.id, "please apologise to them")
    assert again.code == 4, again.err
    assert "With an apology, as the owner wants." in again.err
    assert published(moot) == []
    second = waiting(moot)
    assert "We are sorry for the interruption." in str(second.payload)
    assert moot("inbox", "approve", second.run, second.id).code == 0
    assert "We are sorry for the interruption." in published(moot)[0].read_text()


def test_a_wish_that_the_playbook_cannot_fulfil_is_not_pretended_to_be_fulfilled(moot: Moot) -> None:
    moot("run", "approval")
    first = waiting(moot)
    again = moot("inbox", "reject", first.run, first.id, "in French")
    assert again.code == 4
    assert "this playbook can only make it shorter or apologise, not this: REJECTED: by" in one_line(again.err)
    assert waiting(moot).payload == first.payload


@pytest.mark.parametrize("reasons", [("longer", "shorter", "never mind"), ("Drop it: the move is off",)])
def test_nothing_is_published_that_the_owner_withdraws(moot: Moot, reasons: tuple[str, ...]) -> None:
    moot("run", "approval")
    *before, done = [moot("inbox", "reject", (asked := waiting(moot)).run, asked.id, why) for why in reasons]
    assert [each.code for each in before] == [4] * len(before)
    assert (done.code, done.out) == (5, ""), done.err
    assert "(rule withdrawn" in one_line(done.err)
    assert reasons[-1] in one_line(done.err)
    assert published(moot) == []


def test_a_remark_from_outside_does_not_throw_the_writer_off(moot: Moot) -> None:
    moot("run", "approval")
    first = waiting(moot)
    assert moot("say", first.run, "hurry up").code == 0
    again = moot("inbox", "reject", first.run, first.id, "make it shorter")
    assert again.code == 4, again.err
    assert "Shorter, as the owner wants." in again.err
    assert "no uploads and exports" in str(waiting(moot).payload)


def test_what_the_owner_changes_is_what_is_published(moot: Moot) -> None:
    moot("run", "approval")
    asked = waiting(moot)
    edited = moot.write("edited.json", json.dumps({**CALL, "title": "We move"}))
    done = moot("inbox", "edit", asked.run, asked.id, "--file", str(edited))
    assert done.code == 0, done.err
    (notice,) = published(moot)
    assert (notice.name, notice.read_text().splitlines()[0]) == ("we-move.md", "# We move")
    assert done.out.strip() == str(notice)


def test_what_nobody_knows_is_asked_of_the_owner_and_told_to_the_readers(moot: Moot) -> None:
    first = moot("run", "approval", "--set", "inputs.contact=tbd")
    assert first.code == 4
    question = waiting(moot)
    assert (question.who, question.kind) == ("owner", "input")
    assert "ASK: Whom should our customers ask? The task names nobody." in one_line(first.err)
    assert "checker said (turn 2):" in (shown := moot("inbox", "show", question.run, question.id).out)
    assert "ASK: Whom should our customers ask? The task names nobody." in one_line(shown)
    assert moot("inbox", "respond", question.run, question.id, "Ann, +44 20 7946 0000").code == 4
    asked = waiting(moot)
    assert "Questions: Ann, +44 20 7946 0000" in str(asked.payload)
    assert moot("inbox", "approve", asked.run, asked.id).code == 0
    assert "Questions: Ann, +44 20 7946 0000" in published(moot)[0].read_text()


def test_an_answer_is_kept_through_a_rejection(moot: Moot) -> None:
    moot("run", "approval", "--set", "inputs.contact=tbd")
    question = waiting(moot)
    moot("inbox", "respond", question.run, question.id, "Ann")
    asked = waiting(moot)
    moot("inbox", "reject", asked.run, asked.id, "too long")
    shown = waiting(moot).payload["arguments"]
    assert isinstance(shown, dict)
    assert shown["paragraphs"] == ["Saturday, 14 March, 22:00 to 23:30 UTC: no uploads and exports.", "Questions: Ann"]


def test_two_runs_publish_two_notices(moot: Moot) -> None:
    for _ in range(2):
        moot("run", "approval")
        asked = waiting(moot)
        assert moot("inbox", "approve", asked.run, asked.id).code == 0
    assert [path.name for path in published(moot)] == [FILE.replace(".md", "-2.md"), FILE]


def test_a_folder_that_leads_out_is_refused_by_the_tool(moot: Moot) -> None:
    moot("run", "approval", "--set", "inputs.folder=../elsewhere")
    asked = waiting(moot)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert (done.code, done.out) == (1, "")
    assert "does not lie below" in one_line(done.err)
    assert not (moot.folder.parent / "elsewhere").exists()


def test_a_limit_ends_it_before_anybody_is_asked_and_nothing_is_published(moot: Moot) -> None:
    done = moot("run", "approval", "--rounds", "1")
    assert (done.code, done.out, published(moot)) == (3, "", [])
    assert "(rule limits.rounds, turn 4)" in one_line(done.err)


def test_another_task_is_refused_and_nobody_is_asked(moot: Moot) -> None:
    done = moot("run", "approval", "Write a poem and publish it.")
    assert (done.code, done.out) == (1, "")
    assert "CANNOT: this playbook only plays tasks like" in done.err
    assert moot("inbox", "list", "--json").json == []


DIES = """

_whole = publish


def publish(folder: str, title: str, paragraphs: list[str]) -> str:
    '''Publishes, and the first time the process dies before anybody knows.'''
    where = _whole(folder, title, paragraphs)
    if not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), 9)
    return where
"""


def test_a_process_that_dies_when_it_has_published_publishes_once(moot: Moot) -> None:
    chat = kept(moot, "approval", moot.folder / "mine")
    tools = chat.parent / "tools.py"
    tools.write_text(tools.read_text() + DIES)
    moot("run", "mine")
    asked = waiting(moot)
    assert moot("inbox", "approve", asked.run, asked.id).code == -signal.SIGKILL
    assert ((moot.folder / "died").exists(), len(published(moot))) == (True, 1)
    done = moot("resume", asked.run)
    assert (done.code, done.out) == (0, f"{published(moot)[0]}\n"), done.err
    assert len(published(moot)) == 1


def _over_http(moot: Moot, models: ScriptedModels) -> None:
    over_http(kept(moot, "approval", moot.folder / "mine"), models.openai_url)


def test_a_model_over_http_asks_publishes_and_takes_a_rejection(moot: Moot, scripted_models: ScriptedModels) -> None:
    _over_http(moot, scripted_models)
    second = {**CALL, "title": "Moved for good"}
    scripted_models.script(
        Say("TITLE: Moved\n\nToday.\n\nAsk us.", to="You are writer,"),
        Say("TITLE: Moved for good\n\nToday.\n\nAsk us.", to="You are writer,"),
        Say("ASK: Whom do they ask?", to="You are checker,"),
        Say("CHECKED: all of it.", to="You are checker,"),
        Say(tools={"publish": CALL}, to="You are publisher,", after_tool=False),
        Say(tools={"publish": second}, to="You are publisher,", user="Moved for good", after_tool=False),
        Say("REJECTED: say that it is for good", to="You are publisher,", after_tool=True),
        Say("PUBLISHED: it is out", to="You are publisher,", after_tool=True),
    )
    assert moot("run", "mine").code == 4
    question = waiting(moot)
    assert question.kind == "input"
    assert moot("inbox", "respond", question.run, question.id, "us").code == 4
    asked = waiting(moot)
    assert asked.payload["arguments"] == CALL
    back = moot("inbox", "reject", asked.run, asked.id, "say that it is for good")
    assert back.code == 4, back.err
    assert "say that it is for good" in str(asked_of([dict(b) for b in scripted_models.asked], "writer")[-1])
    again = waiting(moot)
    done = moot("inbox", "approve", again.run, again.id)
    assert (done.code, done.out) == (0, "it is out\n"), done.err
    assert published(moot)[0].read_text().splitlines()[0] == f"# {again.payload['arguments']['title']}"  # type: ignore[index]
