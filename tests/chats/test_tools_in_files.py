"""Tools and typed replies of chat files: found, checked with their place, run, and found again by whoever resumes."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from pathlib import Path

import pytest

from moot.agents.assistant import Assistant
from moot.agents.errors import PlaybookError
from moot.agents.playbook import Playbook
from moot.agents.typed_reply import TypedReply
from moot.chats.build import Loaded, load_chat
from moot.chats.errors import SpecError, UserError
from moot.chats.event_types import RunCreated, Warned
from moot.chats.run import Run, open_run
from moot.chats.spec import load_chat_file
from moot.chats.sqlite_store import SqliteStore
from moot.chats.verify import verify_run
from tests.fakes import DyingStore, Killed, data_of, lines

CHAT = """
version: 1
name: paper
task: Publish the news.
model: playbook:playbook.yaml
participants:
  writer:
    role: assistant
    instructions: Publish what you are told.
    tools: [tools.py:publish, "more/tools.py:look", tools.py:count]
  judge:
    role: assistant
    instructions: Judge what was published.
    reply:
      fields: {decision: [adopt, reject], confidence: number, copies: whole, sure: yes_no, reasons: texts, note: text}
      says: "VERDICT: {decision} ({confidence})\\n{reasons}\\n{note}"
limits: {turns: 4}
stop: [{id: verdict, says: {participant: judge, starts: "VERDICT:"}}]
result: {from: judge, extract: "VERDICT: (.+)"}
"""
BOOK = """
version: 1
name: playbook
parts:
  writer:
    - when: {tool: publish}
      say: "Published as {last.text}."
    - when: {tool: look}
      call: [{tool: publish, with: {title: "{last.text}", copies: 2}}]
    - when: {turn: 1}
      call: [{tool: look}]
    - say: "Nothing new."
  judge:
    - when: {said: {writer: '(?P<number>no\\. \\d+)'}}
      reply: {decision: adopt, confidence: 0.7, copies: 2, sure: true, reasons: ["{number}", "{said.writer}"], note: ok}
    - reply: {decision: reject, confidence: 0, copies: 0, sure: false, reasons: [], note: nothing}
"""
TOOLS = '''
"""Tools of a paper."""
from dataclasses import dataclass
from pathlib import Path

import pydantic


@dataclass
class Made:  # a dataclass looks its module up
    number: int


def publish(title: str, copies: int = 1) -> str:
    """Publish a text."""
    with (Path(__file__).parent / "published.txt").open("a") as paper:
        paper.write(f"{title} x{copies}\\n")
    return f"no. {Made(7).number}"


async def count() -> int:
    """Count."""
    return 1


class Form(pydantic.BaseModel):
    x: int


number = 3
'''
LOOK = 'def look(where: str = "here") -> str:\n    return f"all is well {where}"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a chat and its tools."""
    here = tmp_path / "chat"
    (here / "more").mkdir(parents=True)
    for name, text in {
        "chat.yaml": CHAT, "playbook.yaml": BOOK, "tools.py": TOOLS, "more/tools.py": LOOK
    }.items():  # fmt: skip
        (here / name).write_text(text)
    return here


def _published(folder: Path) -> list[str]:
    log = folder / "published.txt"
    return log.read_text().splitlines() if log.exists() else []


def _errors(folder: Path, tools: str) -> list[str]:
    chat = CHAT.replace('[tools.py:publish, "more/tools.py:look", tools.py:count]', tools)
    (folder / "chat.yaml").write_text(chat)
    with pytest.raises(SpecError) as raised:
        load_chat_file(folder / "chat.yaml")
    return [f"{p.line}:{p.column}: {p.path}: {p.problem}" for p in raised.value.problems]


async def test_a_chat_file_with_tools_and_a_typed_judge_runs(folder: Path, sqlite: SqliteStore) -> None:
    loaded = load_chat(folder / "chat.yaml")
    run = await loaded.chat.run(loaded.task, store=sqlite)
    assert lines(run) == [
        "writer: Published as no. 7.",
        "judge: VERDICT: adopt (0.7)\n- no. 7\n- Published as no. 7.\nok",
    ]
    assert (run.outcome, run.result) == ("goal", "adopt (0.7)")
    assert _published(folder) == ["all is well here x2"]
    said = run.transcript.last.message if run.transcript.last else None
    assert isinstance(said, TypedReply)
    assert said.content.model_dump()["sure"] is True
    assert await verify_run(sqlite, run.id) == []


async def test_tools_leave_no_trace_beside_them_nor_on_the_path(folder: Path) -> None:
    before = list(sys.path)
    load_chat(folder / "chat.yaml")
    assert sys.path == before
    assert "tools" not in sys.modules
    assert not list(folder.rglob("__pycache__"))


def test_a_file_is_run_once_for_each_content(folder: Path) -> None:
    (folder / "tools.py").write_text(TOOLS + "\nwith Path(__file__).with_name('ran').open('a') as f: f.write('x')\n")
    for _ in range(3):
        load_chat(folder / "chat.yaml")
    assert (folder / "ran").read_text() == "x"


def test_what_a_file_prints_while_it_is_loaded_is_no_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tools.py").write_text(TOOLS + "\nprint('hello from the tools')\n")
    load_chat(folder / "chat.yaml")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello from the tools\n")


def _tool(loaded: Loaded) -> list[str]:
    writer = loaded.chat.participants[0]
    assert isinstance(writer, Assistant)
    return [tool.name for tool in writer.tools if hasattr(tool, "name")]


def test_a_tool_of_an_installed_module_is_found(folder: Path) -> None:
    (folder / "chat.yaml").write_text(CHAT.replace("tools.py:count", "textwrap:dedent"))
    assert _errors(folder, "[textwrap:dedent]")[0].endswith(
        "'dedent' cannot be a tool: its parameter 'text' has no type, such as text: str"
    )
    (folder / "chat.yaml").write_text(CHAT)
    assert _tool(load_chat(folder / "chat.yaml")) == ["publish", "look", "count"]


@pytest.mark.parametrize(
    ("tools", "place", "why"),
    [
        ("[tools.py:pubish]", "10:13", "tools.py:pubish: there is no 'pubish' in it (did you mean 'publish'?)"),
        ("[tool.py:publish]", "10:13", "tool.py:publish: there is no file {folder}/tool.py (did you mean 'tools.py'?)"),
        ("[tools.py:Form]", "10:13", "tools.py:Form: the class Form is no tool: give a function, or an AutoGen tool"),
        ("[tools.py:number]", "10:13", "tools.py:number: a int is no tool"),
        ("[tools.py]", "10:13", "'tools.py' names no tool: expected FILE.py:NAME or MODULE:NAME"),
        ("[../x.py:publish]", "10:13", "../x.py:publish: {folder.parent}/x.py lies outside of {folder}"),
        ("[/etc/x.py:publish]", "10:13", "/etc/x.py:publish: a file of tools lies beside the chat file"),
        ("[link.py:publish]", "10:13", "link.py:publish: {folder.parent}/x.py lies outside of {folder}"),
        ("[broken.py:x]", "10:13", "broken.py:x: line 2: SyntaxError: "),
        ("[raises.py:x]", "10:13", "raises.py:x: line 3: KeyError: 'no key'"),
        ("[exits.py:x]", "10:13", "exits.py:x: line 1: SystemExit: 3"),
        ("[lonely.py:x]", "10:13", "lonely.py:x: line 1: ModuleNotFoundError: No module named 'more'; it lies beside"),
        ("[acme.web:search]", "10:13", "acme.web:search: there is no module 'acme': it must be installed"),
        ("[moot.nothing:search]", "10:13", "moot.nothing:search: there is no module 'moot.nothing'"),
        ("[tools.py:publish, tools.py:publish]", "10:31", "two tools are called 'publish'"),
        ("[tools.py:publish, other.py:publish]", "10:31", "two tools are called 'publish'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_tool_is_said_at_its_place(folder: Path, tools: str, place: str, why: str) -> None:
    (folder.parent / "x.py").write_text(TOOLS)
    (folder / "link.py").symlink_to(folder.parent / "x.py")
    files = {
        "broken.py": "x = 1\ndef x(:\n", "raises.py": "\n\nx = {}['no key']\n", "exits.py": "raise SystemExit(3)\n",
        "lonely.py": "import more\n", "other.py": "def publish() -> int:\n    return 1\n",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
    found = _errors(folder, tools)
    assert len(found) == 1
    where = why.replace("{folder.parent}", str(folder.parent)).replace("{folder}", str(folder))
    assert found[0].startswith(f"{place}: participants.writer.tools[")
    assert where in found[0]


@pytest.mark.parametrize(
    ("old", "new", "place", "why"),
    [
        ("{confidence})", "{confidnce})", "16:13", "says: {confidnce} names no field of the reply: decision"),
        ("decision: [adopt, reject]", "decision: [adopt, adopt]", "15:26", "fields.decision: a value is named twice"),
        ("note: text", "copy: text", "15:108", "fields.copy: 'copy' cannot be a field's name"),
        ("note: text", "note: txt", "15:114", "fields.note: expected 'text', 'number'"),
        ("note: text", "note: [one]", "15:114", "fields.note: needs at least 2 values"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_typed_reply_is_said_at_its_place(
    folder: Path, old: str, new: str, place: str, why: str
) -> None:
    (folder / "chat.yaml").write_text(CHAT.replace(old, new))
    with pytest.raises(SpecError) as raised:
        load_chat_file(folder / "chat.yaml")
    found = raised.value.problems[0]
    assert f"{found.line}:{found.column}: {found.path}: {found.problem}".startswith(
        f"{place}: participants.judge.reply.{why}"
    )


async def _cut_off(folder: Path, tmp_path: Path) -> SqliteStore:
    """A store with a run that was killed after its first turn."""
    loaded = load_chat(folder / "chat.yaml")
    dying = DyingStore(SqliteStore(tmp_path / "moot.db", "OFF"), at=5, after=True)
    with pytest.raises(Killed):
        await loaded.chat.run(loaded.task, store=dying)
    await dying.close()
    return SqliteStore(tmp_path / "moot.db", "OFF")


async def _resumed(store: SqliteStore) -> Run:
    return await (await open_run((await store.names())[0], store=store)).finish()


async def test_a_run_is_resumed_by_id_from_another_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await _cut_off(folder, tmp_path)
    monkeypatch.chdir(tmp_path)
    run = await _resumed(store)
    assert run.result == "adopt (0.7)"
    assert _published(folder) == ["all is well here x2"]
    assert not [event for event in await data_of(store, run, Warned) if "changed" in event.text]
    created = (await data_of(store, run, RunCreated))[0]
    assert created.spec is not None
    kept = json.loads(json.dumps(created.spec["tools"]))
    assert kept["tools.py:publish"]["path"] == str(folder / "tools.py")
    await store.close()


async def test_a_file_that_has_changed_is_taken_as_it_is_and_told_of(folder: Path, tmp_path: Path) -> None:
    store = await _cut_off(folder, tmp_path)
    (folder / "tools.py").write_text(TOOLS + "\nmore = 1\n")
    run = await _resumed(store)
    assert run.result == "adopt (0.7)"
    warned = [event.text for event in await data_of(store, run, Warned)]
    path = folder / "tools.py"
    assert f"{path}, from which the tool tools.py:publish comes, has changed since the run began" in warned
    await store.close()


async def test_a_file_that_is_gone_is_said_before_anything_is_done(folder: Path, tmp_path: Path) -> None:
    store = await _cut_off(folder, tmp_path)
    name = (await store.names())[0]
    (folder / "tools.py").unlink()
    with pytest.raises(UserError, match=r"a tool of this chat cannot be had any more: tools\.py:publish: cannot read "):
        await open_run(name, store=store)
    assert await verify_run(store, name) == []
    await store.close()


def test_a_script_that_calls_a_tool_nobody_gave_it_is_refused_with_its_place(folder: Path) -> None:
    (folder / "playbook.yaml").write_text(BOOK.replace("tool: publish, with", "tool: pubish, with"))
    with pytest.raises(PlaybookError) as raised:
        load_chat(folder / "chat.yaml")
    assert str(raised.value) == (
        f"participant 'writer': {folder}/playbook.yaml:9:15: parts.writer[1].call[0].tool: the participant that plays "
        "'writer' has no tool 'pubish' (did you mean 'publish'?); it has: count, look, publish"
    )


def test_the_form_of_a_chat_file_is_the_same_after_it_was_kept(folder: Path) -> None:
    spec = load_chat_file(folder / "chat.yaml")
    assert type(spec).from_json(spec.to_json()).chat == spec.chat


async def test_a_judge_whose_verdict_does_not_parse_fails_the_run_with_what_was_wrong(
    folder: Path, sqlite: SqliteStore
) -> None:
    book = BOOK[: BOOK.index("    - when: {said: {writer:")] + "    - say: I would adopt it.\n"
    Playbook.parse(book)
    (folder / "playbook.yaml").write_text(textwrap.dedent(book))
    loaded = load_chat(folder / "chat.yaml")
    run = await asyncio.wait_for(loaded.chat.run(loaded.task, store=sqlite), 30)
    assert run.outcome == "failed"
    assert run.stopped_by is not None
    assert "the reply of judge is not in its form, also after it was told what was wrong: Invalid JSON" in (
        run.stopped_by.reason
    )
    assert await verify_run(sqlite, run.id) == []
