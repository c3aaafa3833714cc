"""Recorded from a model behind an address with OpenAI's own client; replayed without model, key and network."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Model, Moot

KEY = "sk-very-secret-0123456789"
ANSWERS = ("hello from ann", "not yet", "hello again", "DONE: agreed")
STUDY = """
import asyncio, itertools, os, sys, time
from moot import Chat, Limits, MemoryStore, ModelSpec, assistant, executor, says
from moot.agents.tape_client import record
from moot.sandbox.execution import Execution
from moot.sandbox.fake import Fake

def ran(code, language):
    return Execution(exit_code=0, stdout="4\\n", value=f"<Axes at {hex(id(object()))}>", seconds=time.time() % 10)

async def main():
    place = sys.argv[1]
    model = place if place.startswith("replay:") else record(ModelSpec(place, "slow", "${env:KEY_OF_MINE}"), "t.jsonl")
    coder, judge = assistant("coder", "Code."), assistant("judge", "Judge.")
    chat = Chat(
        [coder, executor("runner", Fake(ran), runs_code_from=["coder"]), judge],
        stop=says("judge", starts="DONE:"), limits=Limits(turns=9), model=model,
    )
    run = await chat.run("2 + 2?", store=MemoryStore())
    print(run.outcome, run.turns, run.created.model_kind, run.usage.input_tokens, run.result)
    print(run.stopped_by.reason, file=sys.stderr)

asyncio.run(main())
"""
DIES = """
import asyncio, os, signal, sys
from moot import Chat, Limits, assistant, open_run
from moot.agents.tape_client import record
from tests.fakes import Counting

class Dies(Counting):
    async def create_stream(self, messages, **options):
        async for item in super().create_stream(messages, **options):
            yield item
        if sys.argv[1] == "die" and len(self.requests) == 2:  # the reply is on the tape, and not yet in the journal
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    model = Dies(lambda messages, number: f"{sys.argv[1]} {number}")
    chat = Chat([assistant("ann", "Talk."), assistant("bob", "Talk.")], limits=Limits(turns=4),
                model="replay:t.jsonl" if sys.argv[1] == "replay" else record(model, "t.jsonl"))
    run = await (open_run(sys.argv[2], chat=chat) if len(sys.argv) > 2 else chat.start("go"))
    await run.finish()
    print([turn.text for turn in run.transcript.history])

asyncio.run(main())
"""


def _keyed(model: Model) -> str:
    return model.chat_file.replace("model: slow}", "model: slow, api_key: '${env:KEY_OF_MINE}'}")


def _close(model: Model) -> None:
    model.shutdown()
    model.server_close()


def _answer(model: Model, *answers: str) -> None:
    for answer in answers:
        model.answers.put(answer)


def _calls(tape: Path) -> list[dict[str, Any]]:
    header, *calls = [json.loads(line) for line in tape.read_text().splitlines()]
    assert (header["tape"], header["version"]) == ("moot", 1)
    return calls


def _said(moot: Moot) -> list[str]:
    """What was said in the newest run."""
    run = moot("runs", "list", "--json").json[0]["run"]
    events = moot("export", run, "--format", "jsonl").out.splitlines()
    return [e["data"]["reply"]["content"] for e in map(json.loads, events) if e["type"] == "turn.finished"]


@pytest.fixture
def recorded(moot: Moot, model: Model) -> Path:
    """The tape of the whole duet; the model is gone."""
    moot.write("slow.yaml", _keyed(model))
    _answer(model, *ANSWERS)
    done = moot("run", "slow.yaml", "--record", "tape.jsonl", KEY_OF_MINE=KEY)
    assert (done.code, done.out) == (0, "agreed\n"), done.err
    assert model.asked.qsize() == 4
    _close(model)
    return moot.folder / "tape.jsonl"


def test_a_recorded_chat_runs_again_without_model_and_key(moot: Moot, model: Model, recorded: Path) -> None:
    assert "KEY_OF_MINE" in moot("run", "slow.yaml").err
    done = moot("run", "slow.yaml", "--model", "replay:tape.jsonl")
    assert (done.code, done.out) == (0, "agreed\n"), done.err
    assert _said(moot) == [*ANSWERS]
    [day] = {call["at"][:10] for call in _calls(recorded)}
    told = f"REPLAYED MODEL: replies recorded from slow at 127.0.0.1:{model.server_port} on {day}; real speakers"
    assert told in done.err.replace("\n", " ")
    assert "replay:tape.jsonl (replayed)" in done.err
    assert "$0.00" in done.err
    assert "PLAYBOOK" not in done.err


def test_a_tape_holds_the_words_and_no_key(recorded: Path) -> None:
    calls = _calls(recorded)
    assert [(call["part"], call["result"]["content"]) for call in calls] == [
        ("ann", "hello from ann"), ("bob", "not yet"), ("ann", "hello again"), ("bob", "DONE: agreed"),
    ]  # fmt: skip
    assert calls[0]["messages"][-1] == {"role": "user", "source": "user", "text": "Agree."}
    assert calls[2]["follows"] == calls[0]["digest"]
    assert [message["text"] for message in calls[2]["messages"]] == ["hello from ann", "not yet"]
    assert calls[0]["result"]["usage"] == {"prompt_tokens": 7, "completion_tokens": 3}
    assert KEY not in recorded.read_text()
    assert "Bearer" not in recorded.read_text()


def test_exports_and_plans_say_whose_replies_these_are(moot: Moot, recorded: Path) -> None:
    chat = moot.write(
        "sub/chat.yaml", (moot.folder / "duet.yaml").read_text().replace("playbook:play.yaml", "replay:t.jsonl")
    )
    recorded.rename(chat.parent / "t.jsonl")
    plan = moot("plan", "sub/chat.yaml").out
    assert "(replayed)" in plan
    assert "recorded from slow at 127.0.0.1" in plan
    assert "at most $0.00" in plan
    done = moot("run", "sub/chat.yaml", "--json")
    assert (done.code, done.json["model_kind"], done.json["result"]) == (0, "replayed", "agreed")
    assert "- REPLAYED MODEL: replies recorded from slow at 127.0.0.1" in moot("export", done.json["run"]).out


def test_another_task_shows_the_difference(moot: Moot, recorded: Path) -> None:
    done = moot("run", "slow.yaml", "Disagree.", "--model", "replay:tape.jsonl")
    assert (done.code, done.out) == (7, "")
    said = " ".join(done.err.split())
    for words in ("TapeError", "what 'ann' asks now", "line 2", "message 2", "-Agree. +Disagree.", "moot resume"):
        assert words in said


def test_an_edited_reply_is_what_is_replayed(moot: Moot, recorded: Path) -> None:
    recorded.write_text(recorded.read_text().replace("not yet", "never ever"))
    assert moot("run", "slow.yaml", "--model", "replay:tape.jsonl").code == 0
    assert _said(moot)[1] == "never ever"


def test_a_recording_that_was_killed_is_a_tape_and_goes_on(moot: Moot, model: Model) -> None:
    moot.write("slow.yaml", model.chat_file)
    tape = moot.folder / "tape.jsonl"
    with moot.started("run", "slow.yaml", "--record", "tape.jsonl") as going:
        model.was_asked()
        _answer(model, "hello from ann")
        model.was_asked()  # bob's: not answered
        going.signal(signal.SIGKILL)
        assert going.ended().code == -signal.SIGKILL
    assert [call["result"]["content"] for call in _calls(tape)] == ["hello from ann"]
    with tape.open("a") as file:
        file.write('{"part": "bob", "messages": [{"ro')  # as if killed in the middle of a line
    _answer(model, "for the one that was killed", *ANSWERS[1:])
    run = moot("runs", "list", "--json").json[0]["run"]
    done = moot("resume", run, "--record", "tape.jsonl")
    assert (done.code, done.out) == (0, "agreed\n"), done.err
    assert [call["result"]["content"] for call in _calls(tape)] == [*ANSWERS]
    _close(model)
    assert moot("run", "slow.yaml", "--model", "replay:tape.jsonl").out == "agreed\n"
    assert _said(moot) == [*ANSWERS]


def test_a_reply_that_was_lost_between_tape_and_journal_is_not_replayed(moot: Moot) -> None:
    assert moot.python("-c", DIES, "die").code == -signal.SIGKILL
    run = moot("runs", "list", "--json").json[0]["run"]
    done = moot.python("-c", DIES, "resumed", run)
    assert done.out == "['die 1', 'resumed 1', 'resumed 2', 'resumed 3']\n", done.err
    recorded = [call["result"]["content"] for call in _calls(moot.folder / "t.jsonl")]
    assert recorded == ["die 1", "die 2", "resumed 1", "resumed 2", "resumed 3"]
    assert moot.python("-c", DIES, "replay").out == done.out


def test_a_study_with_code_is_recorded_in_one_process_and_replayed_in_another(moot: Moot, model: Model) -> None:
    code = "Try:\n```python\n2 + 2\n```"
    _answer(model, code, "Again.", code, "DONE: 4")
    place = f"http://127.0.0.1:{model.server_port}/v1"
    first = moot.python("-c", STUDY, place, KEY_OF_MINE=KEY)
    assert first.out.startswith("goal 6 real 28 "), first.err
    _close(model)
    again = moot.python("-c", STUDY, "replay:t.jsonl")
    assert again.out == first.out.replace(" real ", " replayed "), again.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.jsonl", None, "no tape 'gone.jsonl': there is no file"),
        ("home", None, "tape 'home' is a directory"),
        ("empty.jsonl", b"", "tape 'empty.jsonl' is empty"),
        ("text.jsonl", b"hello\n", "'text.jsonl' is no tape: its first line is not a tape's header"),
        ("binary.jsonl", bytes(range(256)), "'binary.jsonl' is no tape: it is not UTF-8 text"),
        (
            "newer.jsonl",
            b'{"tape":"moot","version":9}\n',
            "tape 'newer.jsonl' has version 9; this moot reads version 1",
        ),
    ],
)
def test_what_is_no_tape_is_one_line(moot: Moot, name: str, content: bytes | None, said: str) -> None:
    (moot.folder / "home").mkdir(exist_ok=True)
    if content is not None:
        (moot.folder / name).write_bytes(content)
    moot.write("replayed.yaml", (moot.folder / "duet.yaml").read_text().replace("playbook:play.yaml", f"replay:{name}"))
    done = moot("run", "replayed.yaml")
    assert (done.code != 0, done.out, done.err.count("\n")) == (True, "", 1)
    assert f"error: participant 'ann': {said}" in done.err
    assert moot("runs", "list", "--json").json == []


def test_what_cannot_be_recorded_to_is_one_line_and_nothing_is_started(moot: Moot) -> None:
    assert moot("run", "duet.yaml", "--record", "tape.jsonl").code == 0
    before = (moot.folder / "tape.jsonl").read_bytes()
    for arguments, said in [
        (("--record", "home"), "cannot record to 'home': it is a directory"),
        (("--record", "no/tape.jsonl"), "cannot record to 'no/tape.jsonl': No such file or directory"),
        (("--record", "play.yaml"), "cannot record to 'play.yaml': 'play.yaml' is no tape"),
        (("--model", "replay:tape.jsonl", "--record", "tape.jsonl"), "it is the tape that is replayed"),
    ]:
        done = moot("run", "duet.yaml", *arguments)
        assert (done.code != 0, done.out, done.err.count("\n")) == (True, "", 1), done.err
        assert said in done.err
    done = moot("run", "duet.yaml", "--model", "replay:")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "(name the tape: replay:tape.jsonl)" in done.err
    assert len(moot("runs", "list", "--json").json) == 1
    assert (moot.folder / "tape.jsonl").read_bytes() == before
