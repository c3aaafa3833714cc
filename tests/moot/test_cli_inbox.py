"""Questions to people: one process asks and ends, another one decides, and the run goes on."""

from __future__ import annotations

import asyncio
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from autogen_agentchat.agents import UserProxyAgent

from moot.chats.chat import Chat
from moot.chats.commands import Decide
from moot.chats.errors import UserError
from moot.chats.run import open_run
from moot.chats.sqlite_store import SqliteStore
from moot.cli.inbox import Decided, decide
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.moot.conftest import Done

if TYPE_CHECKING:
    from pathlib import Path

    from tests.moot.conftest import Moot

PROGRAM = r'''
import asyncio, sys
from dataclasses import replace

from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, UserProxyAgent
from autogen_core import FunctionCall
from autogen_core.code_executor import CodeExecutor, CodeResult
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient

from moot import Chat, Limits, load_chat, open_run
from moot.agents.people import ask_approval
from moot.agents.tool_policy import ToolPolicy


class Pretends(CodeExecutor):
    """Says that it ran the code."""

    async def execute_code_blocks(self, blocks, cancellation_token):
        return CodeResult(exit_code=0, output="ran " + blocks[0].language)

    async def start(self): pass
    async def stop(self): pass
    async def restart(self): pass
    def _to_config(self): raise NotImplementedError


def send(to: str) -> str:
    """Send it."""
    return "sent to " + to


def says(content):
    reason = "stop" if isinstance(content, str) else "function_calls"
    usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
    return CreateResult(finish_reason=reason, content=content, usage=usage, cached=False)


def chat(kind):
    limits = Limits(turns=1)
    if kind == "input":
        return Chat([UserProxyAgent("owner")], limits=limits, name="asking")
    if kind == "code":
        agent = CodeExecutorAgent("runner", code_executor=Pretends(), approval_func=ask_approval)
        return Chat([agent], limits=limits, name="coding")
    if kind == "tool":
        call = FunctionCall(id="c1", name="send", arguments='{"to": "bob\\u202e \\u001b[2J"}')
        info = {"vision": False, "function_calling": True, "json_output": False, "family": "unknown",
                "structured_output": False}
        model = ReplayChatCompletionClient([says([call]), says("done")], model_info=info)
        return Chat([AssistantAgent("clerk", model, tools=[send])], limits=limits, name="sending",
                    tools=ToolPolicy(approve=frozenset({"send"})))
    loaded = load_chat("duet.yaml").chat  # and its first participant is a person for once
    return replace(loaded, participants=[UserProxyAgent("ann"), loaded.participants[1]])


async def main():
    made = chat(sys.argv[1])
    if sys.argv[2] == "on":
        run = await open_run(sys.argv[3], chat=made)
    else:
        run = await made.start(sys.argv[3])
    await run.finish()
    print(run.id, run.status, run.result)


asyncio.run(main())
'''
HOSTILE = "print(1)  # \x1b]0;owned\x07 \u202e kept"


def ask(moot: Moot, kind: str, task: str = "What shall we do?") -> str:
    """A run that waits, in a process that has ended; its id."""
    moot.write("people.py", PROGRAM)
    done = moot.python("people.py", kind, "start", task)
    assert done.code == 0, done.err
    name, status, _ = done.out.split()
    assert status == "waiting"
    return name


def go_on(moot: Moot, kind: str, name: str) -> str:
    done = moot.python("people.py", kind, "on", name)
    assert done.code == 0, done.err
    return done.out.removeprefix(f"{name} ").strip()


def question(moot: Moot, name: str) -> dict[str, Any]:
    found = moot("inbox", "show", name, "q1", "--json").json
    assert isinstance(found, dict)
    return found


def test_a_run_that_waits_says_for_what_and_how_to_answer(moot: Moot) -> None:
    name = ask(moot, "input")
    (row,) = moot("runs", "list", "--json").json
    assert (row["status"], row["questions"], row["outcome"]) == ("waiting", 1, None)
    assert "waiting (1)" in moot("runs", "list").out
    shown = moot("runs", "show", name)
    assert "? q1  owner asks for an answer  (turn 1)\n   │ Enter your response:" in shown.out
    assert "‖ waiting: 1 question to a person" in shown.out
    assert f'moot inbox respond {name[:11]} q1 "the answer"' in shown.out
    assert "was given up" not in shown.out
    found = moot("runs", "show", name, "--json").json
    assert (found["status"], found["exit_code"], [one["id"] for one in found["waiting"]]) == ("waiting", 4, ["q1"])
    watched = moot("watch", name)
    assert watched.code == 4
    assert f'moot inbox respond {name[:11]} q1 "the answer"' in watched.err
    silent = moot("watch", name, "--display", "none")
    assert silent.code == 4
    assert f'moot inbox respond {name[:11]} q1 "the answer"' in silent.err
    text = moot("export", name).out
    assert "> asked: q1: owner asks for an answer\n\n```text\nEnter your response: \n```" in text
    assert "It waits for a person to decide:" in text


def test_an_answer_from_another_process_is_heard_when_the_run_goes_on(moot: Moot) -> None:
    name = ask(moot, "input")
    done = moot("inbox", "respond", name, "q1", "the second table", "--by", "eve")
    assert done.code == 0, done.err
    assert f"q1 of run {name[:11]} is answered by eve; to go on: open_run('{name}', chat=...)" in done.err
    assert moot("inbox", "list", "--json").json == []
    (row,) = moot("runs", "list", "--json").json
    assert (row["status"], row["questions"]) == ("paused", 0)
    assert "what it waited for is decided" in moot("runs", "show", name).out
    assert go_on(moot, "input", name) == "finished the second table"
    shown = moot("runs", "show", name).out
    assert "» q1 answered by eve\n      the second table" in shown
    (kept,) = moot("runs", "show", name, "--json").json["questions"]
    assert (kept["waits"], kept["decided"]) == (
        False,
        {"decision": "respond", "text": "the second table", "by": "eve"},
    )
    assert moot("verify", name).code == 0
    late = moot("inbox", "respond", name, "q1", "another")
    assert (late.code, late.err) == (
        2,
        "error: q1 was decided already: answered by eve: the second table\n",
    )


@pytest.mark.parametrize(
    ("verb", "became"), [(["approve"], "ran python"), (["reject", "it deletes"], "it deletes")], ids=["yes", "no"]
)
def test_code_is_approved_or_rejected_exactly_as_it_is_shown(moot: Moot, verb: list[str], became: str) -> None:
    name = ask(moot, "code", f"Run this:\n```python\n{HOSTILE}\n```\n")
    shown = moot("inbox", "show", name, "q1")
    assert "q1  runner asks whether to run this code" in shown.out
    assert "│ print(1)" in shown.out
    assert "it holds characters that are not shown here; --json names them" in shown.out
    assert f'moot inbox reject {name[:11]} q1 "the reason"' in shown.err
    for text in (shown.out, moot("runs", "show", name).out, moot("inbox", "list").out, moot("export", name).out):
        for danger in ("\x1b", "\x07", "\u202e"):
            assert danger not in text
    exact = question(moot, name)
    assert HOSTILE in exact["payload"]["code"]
    word, *more = verb
    done = moot("inbox", word, name, "q1", *more, "--digest", exact["digest"])
    assert done.code == 0, done.err
    assert became in go_on(moot, "code", name)


@pytest.mark.parametrize(
    ("verb", "told"),
    [(["approve"], "sent to bob"), (["reject", "not him"], "not him"), (["respond", "I did it"], "I did it")],
    ids=["approve", "reject", "respond"],
)
def test_a_tool_is_asked_about_with_its_arguments(moot: Moot, verb: list[str], told: str) -> None:
    name = ask(moot, "tool")
    shown = moot("inbox", "show", name, "q1")
    assert "clerk asks whether to call send" in shown.out
    assert r'"to": "bob\u202e \u001b[2J"' in shown.out
    assert moot("inbox", "list", "--json").json[0]["about"].startswith('send(to="bob')
    word, *more = verb
    assert moot("inbox", word, name, "q1", *more).code == 0
    go_on(moot, "tool", name)
    assert told in moot("export", name, "--format", "jsonl").out


EDITED = '{"to": "eve"}'


def piped(moot: Moot, stdin: str, *args: str, **env: str) -> Done:
    """With that on stdin, and no terminal."""
    done = subprocess.run(
        moot.command(*args), cwd=moot.folder, env={**moot.env, **env}, input=stdin.encode(), capture_output=True,
        timeout=120, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("how", ["--text", "--file", "stdin", "editor"])
def test_a_call_is_edited_from_wherever_the_text_comes(moot: Moot, how: str) -> None:
    name = ask(moot, "tool")
    given: dict[str, list[str]] = {
        "--text": ["--text", EDITED], "--file": ["--file", "better.json"], "stdin": ["--text", "-"], "editor": [],
    }  # fmt: skip
    moot.write("better.json", EDITED)
    moot.write("editor.sh", "#!/bin/sh\ncp better.json $1\n").chmod(0o700)
    editor = str(moot.folder / "editor.sh")
    edit = ("inbox", "edit", name, "q1", *given[how], "--by", "ann", "--json")
    done = piped(moot, EDITED if how == "stdin" else "", *edit, EDITOR=editor, VISUAL="")
    assert done.code == 0, done.err
    assert (done.json["decision"], done.json["edited"], done.json["by"]) == ("edit", EDITED, "ann")
    shown = moot("inbox", "show", name, "q1").err
    assert "edited and approved by ann" in shown
    go_on(moot, "tool", name)
    journal = moot("export", name, "--format", "jsonl").out
    assert "sent to eve" in journal
    assert "sent to bob" not in journal


def test_an_edit_that_is_none_is_refused_in_one_line(moot: Moot) -> None:
    name = ask(moot, "tool")
    edit = ("inbox", "edit", name, "q1")
    assert "does not fit: it is not JSON" in refused(moot(*edit, "--text", "to: eve"))
    assert "give --text or --file, not both" in refused(moot(*edit, "--text", "x", "--file", "people.py"))
    assert "there is no terminal to edit at" in refused(piped(moot, "", *edit, EDITOR="", VISUAL=""))
    assert "q1 is not edited: nothing was changed" in refused(moot(*edit, EDITOR="true", VISUAL=""))
    assert "is not edited: false ended with 1" in refused(moot(*edit, EDITOR="false", VISUAL=""))
    assert len(moot("inbox", "list", "--json").json) == 1
    assert moot("inbox", "approve", name, "q1", "--by", "ann").code == 0
    assert "q1 was decided already: approved by ann" in refused(moot(*edit, EDITOR="true", VISUAL=""))
    asked = ask(moot, "input")
    assert "q1 takes respond, not edit" in refused(moot("inbox", "edit", asked, "q1", EDITOR="true", VISUAL=""))


def test_the_newest_question_of_all_runs_comes_first_and_columns_are_left_out_rather_than_squeezed(moot: Moot) -> None:
    older, newer = ask(moot, "input"), ask(moot, "tool")
    found = moot("inbox", "list", "--json").json
    assert [(one["run"], one["id"], one["kind"]) for one in found] == [(newer, "q1", "tool"), (older, "q1", "input")]
    wide = moot("inbox", "list").out.split("\n")
    assert wide[1].split() == ["run", "question", "who", "kind", "about", "age"]
    narrow = moot("inbox", "list", COLUMNS="50").out.split("\n")
    assert narrow[1].split() == ["run", "question", "who", "about"]
    assert all(len(line) <= 50 for line in narrow)
    *command, called, which = moot("inbox", "list").err.split()
    assert (command, which) == (["moot", "inbox", "show"], "q1")
    assert newer.startswith(called)


def refused(done: Done) -> str:
    """Its one line."""
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    return line


def test_a_decision_that_cannot_be_taken_is_refused_in_one_line_and_changes_nothing(moot: Moot) -> None:
    name = ask(moot, "input")
    called = name[:11]
    assert f"run {called} has no question 'q2'; what waits: q1" in refused(moot("inbox", "show", name, "q2"))
    assert "no run begins with 'zz'" in refused(moot("inbox", "respond", "zz", "q1", "yes"))
    answer = f'moot inbox respond {called} q1 "the answer"'
    assert f"q1 takes respond, not approve: {answer}" in refused(moot("inbox", "approve", name, "q1"))
    assert "give a reason" in refused(moot("inbox", "reject", name, "q1", " "))
    stale = refused(moot("inbox", "respond", name, "q1", "yes", "--digest", "abc"))
    assert re.search(rf"q1 asks about something else \(its digest is \w+\): moot inbox show {called} q1", stale)
    assert len(moot("inbox", "list", "--json").json) == 1


def test_the_first_decision_holds_and_the_same_one_again_is_the_same(moot: Moot) -> None:
    name = ask(moot, "input")
    first = moot("inbox", "respond", name, "q1", "yes", "--by", "eve", "--json")
    assert (first.json["decision"], first.json["by"], first.json["before"]) == ("respond", "eve", False)
    again = moot("inbox", "respond", name, "q1", "yes", "--by", "bob", "--json")
    assert (again.code, again.json["by"], again.json["before"]) == (0, "eve", True)
    other = refused(moot("inbox", "respond", name, "q1", "no"))
    assert other == "error: q1 was decided already: answered by eve: yes"
    assert go_on(moot, "input", name) == "finished yes"


def test_nothing_waits_for_a_person_where_nobody_asks(moot: Moot) -> None:
    assert moot("inbox", "list", "--json").json == []
    moot("run", "duet.yaml")
    done = moot("inbox", "list")
    assert (done.out, done.err) == ("", "nothing waits for a person\n")
    (row,) = moot("runs", "list", "--json").json
    assert "has no question 'q1'; nothing waits" in refused(moot("inbox", "respond", row["run"], "q1", "yes"))


def test_whoever_decides_drives_a_run_of_a_chat_file_on(moot: Moot) -> None:
    name = ask(moot, "file")
    done = moot("inbox", "respond", name, "q1", "the answer", "--by", "eve")
    assert (done.code, done.out) == (0, "agreed\n")
    assert f"q1 of run {name[:11]} is answered by eve\n" in done.err
    assert "resumed: goes on with turn 1" in done.err
    assert "» q1 answered by eve" in done.err
    (row,) = moot("runs", "list", "--json").json
    assert (row["status"], row["outcome"]) == ("finished", "goal")


def test_a_run_that_is_not_to_go_on_here_is_left_with_its_decision(moot: Moot) -> None:
    name = ask(moot, "file")
    done = moot("inbox", "respond", name, "q1", "the answer", "--no-resume", "--json")
    assert done.code == 0, done.err
    assert (done.json["status"], done.json["driven"]) == ("paused", False)
    assert f"to go on: moot resume {name[:11]}" in done.err
    assert moot("resume", name).out == "agreed\n"


def test_the_object_of_a_run_that_goes_on_is_the_one_of_resume(moot: Moot) -> None:
    name = ask(moot, "file")
    done = moot("inbox", "respond", name, "q1", "the answer", "--json", "--display", "none")
    assert done.code == 0, done.err
    assert (done.json["run"], done.json["outcome"], done.json["result"]) == (name, "goal", "agreed")
    assert done.err == ""


def test_a_run_of_python_objects_is_stopped_without_them(moot: Moot) -> None:
    name = ask(moot, "input")
    done = moot("stop", name, "--by", "eve")
    assert (done.code, done.err) == (0, f"nobody drove run {name[:11]}: it is ended\n")
    assert moot("inbox", "list", "--json").json == []
    assert moot("verify", name).code == 0
    late = refused(moot("inbox", "respond", name, "q1", "yes"))
    assert f"run {name[:11]} is over (stopped: stopped by eve); nobody waits for q1" in late
    shown = moot("inbox", "show", name, "q1")
    assert (shown.code, shown.err) == (0, "  nobody waits for it any more: the run ended\n")


@pytest.mark.parametrize(
    "verb",
    [["inbox"], ["inbox", "list"], ["inbox", "show"], ["inbox", "approve"], ["inbox", "reject"], ["inbox", "respond"]]
    + [[word] for word in ("watch", "say", "pause", "stop")],
    ids=" ".join,
)
def test_help_has_an_example(moot: Moot, verb: list[str]) -> None:
    done = moot(*verb, "--help")
    assert done.code == 0
    assert f"Example: moot {verb[0]}" in done.out


def test_a_journal_that_is_damaged_does_not_hide_what_waits_in_others(moot: Moot) -> None:
    damaged, whole = ask(moot, "input"), ask(moot, "input")
    harm = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect('home/moot.db')\n"
        "sql = 'UPDATE event SET data = ? WHERE seq = 3 AND run = (SELECT id FROM run WHERE name = ?)'\n"
        "print(db.execute(sql, ('{', sys.argv[1])).rowcount)\n"
        "db.commit()\n"
    )
    assert moot.python("-c", harm, damaged).out == "1\n"
    found = moot("inbox", "list", "--json")
    assert [one["run"] for one in found.json] == [whole]
    assert f"warning: event 3 of run {damaged}" in found.err
    assert {row["run"]: row["status"] for row in moot("runs", "list", "--json").json} == {
        damaged: "paused",
        whole: "waiting",
    }


def test_a_question_is_asked_at_a_terminal_of_any_width_in_colours_or_without(moot: Moot) -> None:
    name = ask(moot, "code", f"Run this:\n```python\n{HOSTILE}\n```\n")
    environments: list[dict[str, Any]] = [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}]
    for environment in environments:
        with moot.at_a_terminal("inbox", "show", name, "q1", columns=40, **environment) as terminal:
            assert terminal.ended() == 0
        coloured = re.search(r"\x1b\[[0-9;]*(3[0-9]|9[0-7])m", terminal.text)
        assert bool(coloured) == (environment == {})
        bare = re.sub(r"\x1b\[[0-9;]*m", "", terminal.text)
        assert "print(1)" in bare
        assert "\x1b" not in bare
        assert "\x07" not in bare


async def test_of_many_who_decide_at_the_same_moment_one_is_told_that_it_holds(tmp_path: Path) -> None:
    chat = Chat([UserProxyAgent("owner")], limits=Limits(turns=1))
    store = SqliteStore(tmp_path / "moot.db")
    run = await chat.run("What shall we do?", store=store)
    assert run.status == "waiting"
    commands = [Decide(request="q1", decision="respond", text=f"answer {n}", digest="") for n in range(50)]
    told = await asyncio.gather(*(decide(store, run.id, command) for command in commands), return_exceptions=True)
    (holds,) = [one for one in told if isinstance(one, Decided)]
    others = [str(one) for one in told if isinstance(one, UserError)]
    assert len(others) == 49
    assert all("was decided already" in words for words in others)
    assert len(await store.posted(run.id)) > 1  # they did meet
    done = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert (done.result, done.outcome) == (holds.decision.text, Outcome.LIMIT)
    await store.close()


FASTER = """
import asyncio, sys

from moot import open_run
from moot.chats.commands import Decide
from moot.chats.home import open_store
from moot.cli.inbox import decide
from moot.cli.options import Mode
from moot.cli.people_verbs import Then, drive_on


async def decided():
    store, _ = open_store()
    made = await decide(store, sys.argv[1], Decide(request="q1", decision="approve", by="carol", digest=""))
    run = await (await open_run(made.run.name, store=store)).finish()
    print(run.outcome, file=sys.stderr)
    await store.close()
    return made


drive_on(asyncio.run(decided()), Then(True, None, Mode.AUTO, True))
"""


def test_a_run_that_another_process_ended_once_it_was_decided_is_no_error(moot: Moot) -> None:
    moot("run", "approval")
    (waits,) = moot("inbox", "list", "--json").json
    moot.write("faster.py", FASTER)
    done = moot.python("faster.py", waits["run"])
    assert done.code == 0, done.err
    assert "goal" in done.err.splitlines()
    assert "another process drove it to its end: moot runs show" in done.err
    assert (done.json["id"], done.json["by"], done.json["status"]) == ("q1", "carol", "finished")
