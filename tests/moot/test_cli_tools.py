"""Tools and typed replies at the command line: checked, planned, run, and needed by whoever goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.moot.conftest import Moot

CHAT = """
version: 1
name: till
task: Add it up.
model: playbook:play.yaml
participants:
  clerk: {role: assistant, instructions: Add., tools: [tools.py:add]}
  judge:
    role: assistant
    instructions: Judge.
    reply: {fields: {decision: [right, wrong], sum: whole}, says: "VERDICT: {decision}, {sum}"}
limits: {turns: 2}
result: {from: judge, extract: "VERDICT: (.+)"}
"""
PLAY = """
version: 1
name: play
parts:
  clerk:
    - when: {tool: add}
      say: "It is {last.text}."
    - when: {turn: 1}
      call: [{tool: add, with: {numbers: [1, 2, 39]}}]
    - say: "Nothing to add."
  judge:
    - when: {said: {clerk: 'It is 42'}}
      reply: {decision: right, sum: 42}
    - reply: {decision: wrong, sum: 0}
"""
TOOLS = """
print("loading")


def add(numbers: list[int]) -> int:
    \"\"\"Add numbers.\"\"\"
    return sum(numbers)
"""


def _laid_out(moot: Moot) -> None:
    for name, text in {"chat.yaml": CHAT, "play.yaml": PLAY, "tools.py": TOOLS}.items():
        (moot.folder / name).write_text(text)


def test_a_chat_with_tools_is_checked_planned_and_run(moot: Moot) -> None:
    _laid_out(moot)
    assert moot("validate", "chat.yaml").code == 0
    plan = moot("plan", "chat.yaml")
    assert "assistant  playbook:play (scripted), tools: add" in plan.out
    assert "assistant  playbook:play (scripted), replies: decision, sum" in plan.out
    planned = {one["name"]: one for one in moot("plan", "chat.yaml", "--json").json["participants"]}
    assert (planned["clerk"]["tools"], planned["judge"]["replies"]) == (["add"], ["decision", "sum"])
    done = moot("run", "chat.yaml", "--json")
    assert done.json["result"] == "right, 42"  # nothing of what the file prints is on stdout
    assert moot("verify", done.json["run"]).code == 0


def test_a_tool_that_is_not_there_is_said_with_its_place_before_anything_is_run(moot: Moot) -> None:
    _laid_out(moot)
    (moot.folder / "chat.yaml").write_text(CHAT.replace("tools.py:add", "tools.py:ad"))
    for verb in ("validate", "run"):
        done = moot(verb, "chat.yaml")
        assert done.code == 2
        where = "chat.yaml:7:56: participants.clerk.tools[0]: tools.py:ad: there is no 'ad' in it (did you mean 'add'?)"
        assert where in done.out + done.err
    assert not (moot.folder / "home").exists()


def test_who_goes_on_without_the_file_is_told_which_one_it_is(moot: Moot) -> None:
    _laid_out(moot)
    run = moot("run", "chat.yaml", "--json").json["run"]
    (moot.folder / "tools.py").unlink()
    done = moot("fork", f"{run}@1")
    assert done.code == 2
    assert "a tool of this chat cannot be had any more: tools.py:add: cannot read " in done.err
    assert "put it back to go on" in done.err
    assert moot("verify", run).code == 0
    assert "VERDICT: right, 42" in moot("runs", "show", run).out


def test_what_a_tool_prints_is_no_result(moot: Moot) -> None:
    _laid_out(moot)
    (moot.folder / "tools.py").write_text(
        TOOLS.replace("    return sum", '    print("adding", numbers)\n    return sum')
    )
    done = moot("run", "chat.yaml", "--json")
    assert done.json["result"] == "right, 42"
    assert "adding [1, 2, 39]" in done.err
    lines = moot("run", "chat.yaml", "--display", "jsonl")
    assert "adding [1, 2, 39]" in lines.err
    assert all(json.loads(line)["type"] for line in lines.out.splitlines())
