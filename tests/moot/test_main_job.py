"""The research template with everything that may be changed about it: the answer changes, or the run says it failed."""

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import correlation

import docker
import pytest
import yaml

from moot import Outcome, Run, load_chat
from moot.chats.event_types import CodeFinished, EffectCompleted, EffectIntended
from moot.chats.sqlite_store import SqliteStore
from moot.chats.templates import FOLDER
from moot.sandbox.docker import DEFAULT_IMAGE

RESEARCH = FOLDER / "research"
Json = dict[str, object]


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "home" / "moot.db")


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """A copy of the template, to be changed."""
    for name in ("chat.yaml", "playbook.yaml"):
        (tmp_path / name).write_text((RESEARCH / name).read_text())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "auto-mpg.csv").write_bytes((RESEARCH / "data" / "auto-mpg.csv").read_bytes())
    return tmp_path / "chat.yaml"


async def run_chat(chat: Path, store: SqliteStore, **sets: str) -> Run:
    loaded = load_chat(chat, sets={key.replace("__", "."): value for key, value in sets.items()})
    return await loaded.chat.run(loaded.task, store=store)


async def test_the_answer_is_the_number_that_the_sandbox_printed_and_the_plot_is_a_picture(
    chat: Path, store: SqliteStore
) -> None:
    run = await run_chat(chat, store)
    assert (run.outcome, run.stopped_by and run.stopped_by.rule) == (Outcome.GOAL, "done")
    assert "r = -0.83" in str(run.result)
    (plot,) = run.artifacts
    data = await plot.read()
    assert plot.name == "plot.png"
    assert data.startswith(b"\x89PNG")
    assert len(data) == plot.bytes
    assert run.created.model_kind == "scripted"
    assert run.usage.priced
    assert run.usage.usd == 0.0
    assert run.usage.input_tokens > 0


async def test_two_other_columns_give_another_answer(chat: Path, store: SqliteStore) -> None:
    run = await run_chat(chat, store, inputs__x="acceleration")
    assert run.outcome is Outcome.GOAL
    assert re.search(r"r = 0\.42\b", str(run.result))


async def test_another_table_gives_another_answer(chat: Path, store: SqliteStore) -> None:
    table = chat.parent / "line.csv"
    table.write_text("a,b\n1,9\n2,7\n3,5\n4,3\n5,1\n6,-1\n")
    run = await run_chat(chat, store, inputs__file=str(table), inputs__x="a", inputs__y="b")
    assert run.outcome is Outcome.GOAL
    assert "r = -1.00" in str(run.result)
    assert "6 rows of line.csv" in str(run.result)


async def ask_about(table: str, chat: Path, store: SqliteStore, **sets: str) -> Run:
    """Does a predict b in this table?"""
    path = chat.parent / "table.csv"
    path.write_text(table)
    return await run_chat(chat, store, inputs__file=str(path), inputs__x="a", inputs__y="b", **sets)


@pytest.mark.parametrize(
    ("table", "a", "b", "counted"),
    [
        (
            "a;b\n0,5;2\n1,5;1\n2,5;4\n3,5;3\n4;6\n",
            [0.5, 1.5, 2.5, 3.5, 4],
            [2, 1, 4, 3, 6],
            "0 dropped; 4 numbers read with a decimal comma",
        ),
        (
            "a;b\n1.000,5;2\n1.500;1\n2.500,25;4\n3500;3\n;6\n",
            [1000.5, 1500, 2500.25, 3500],
            [2, 1, 4, 3],
            "1 dropped; 2 numbers read with a decimal comma",
        ),
        (
            'a,b\n"1,000",1\n900,2\n"1,500.5",3\n"2,000",4\nx,5\n',
            [1000, 900, 1500.5, 2000],
            [1, 2, 3, 4],
            "1 dropped; 3 numbers read with commas between thousands",
        ),
        (
            'a,b\n"0,5","1,000"\n"1,5","4,000"\n"2,5",900\n',
            [0.5, 1.5, 2.5],
            [1000, 4000, 900],
            "0 dropped; 3 numbers read with a decimal comma; 2 numbers read with commas between thousands",
        ),
    ],
)
async def test_numbers_written_with_a_comma_are_read_and_counted(
    chat: Path, store: SqliteStore, table: str, a: list[float], b: list[float], counted: str
) -> None:
    run = await ask_about(table, chat, store)
    assert run.outcome is Outcome.GOAL, run.stopped_by
    assert f" r = {correlation(a, b):.2f}" in str(run.result)
    assert f"over {len(a)} rows of table.csv ({counted})." in str(run.result)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("a;b\n1,234;1\n2,345;2\n3;3\n4;5\n", "the comma in '1,234' and other numbers of 'a' may be"),
        ("a;b\n2,5;1\n1.234;2\n3;3\n4;5\n", "the comma in '2,5' and other numbers of 'a' may be"),
        ("a;b\n2,5;1\n1,234,567;2\n3;3\n4;5\n", "the comma in '2,5' and other numbers of 'a' may be"),
        ("a,b\n1,5,2,5\n2,5,1,5\n3,5,4,5\n4,5,3,5\n", "has rows with more cells than its header"),
        ("a,b\n1,2\n1,5,2,5\n3,4\n4,5\n", "a cell that holds a comma must be in quotes"),
        ("a, a,b\n1,2,3\n2,3,4\n3,4,5\n", "has several columns 'a'"),
    ],
)
async def test_a_table_that_can_be_read_in_two_ways_fails_the_run_and_says_so(
    chat: Path, store: SqliteStore, table: str, said: str
) -> None:
    run = await ask_about(table, chat, store)
    assert (run.outcome, run.result) == (Outcome.FAILED, None)
    assert run.stopped_by is not None
    assert said in run.stopped_by.reason


async def test_a_table_too_large_for_the_sandbox_fails_the_run_and_says_what_to_raise(
    chat: Path, store: SqliteStore
) -> None:
    table = "a,b\n" + "".join(f"{n},{n % 7}\n" for n in range(2_000_000))
    run = await ask_about(table, chat, store, sandbox__memory="170m", sandbox__workspace="32m", sandbox__tmp="8m")
    assert (run.outcome, run.result) == (Outcome.FAILED, None)
    assert run.stopped_by is not None
    assert "out of memory" in run.stopped_by.reason
    assert "--set sandbox.memory=" in run.stopped_by.reason


async def test_a_renamed_file_is_still_the_file(chat: Path, store: SqliteStore) -> None:
    (chat.parent / "data" / "auto-mpg.csv").rename(chat.parent / "data" / "my cars.csv")
    run = await run_chat(chat, store, inputs__file=str(chat.parent / "data" / "my cars.csv"))
    assert run.outcome is Outcome.GOAL
    assert "my cars.csv" in str(run.result)


async def test_renamed_participants_play_the_same_parts(chat: Path, store: SqliteStore) -> None:
    text = chat.read_text()
    for old, new in {"planner": "ada", "coder": "bert", "executor": "runner_1", "reviewer": "cleo"}.items():
        text = re.sub(rf"(?<!part: )(?<!role: )(?<!id: )\b{old}\b(?!-gave)", new, text)
    chat.write_text(text)
    assert list(yaml.safe_load(text)["participants"]) == ["ada", "bert", "runner_1", "cleo"]
    run = await run_chat(chat, store)
    assert run.outcome is Outcome.GOAL
    assert "r = -0.83" in str(run.result)


async def test_a_column_that_is_not_there_fails_and_names_those_that_are(chat: Path, store: SqliteStore) -> None:
    run = await run_chat(chat, store, inputs__x="wieght")
    assert run.outcome is Outcome.FAILED
    assert run.result is None
    assert run.stopped_by is not None
    assert "wieght" in run.stopped_by.reason
    assert "weight" in run.stopped_by.reason


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ('print(f"r = {two(r)}")', "REDO:"),
        ("r = float(np.corrcoef(pairs[given], pairs[wanted])[0, 1])", "CANNOT:"),
    ],
    ids=["prints no r", "does not compute r"],
)
async def test_a_program_that_does_not_do_its_job_fails_the_run(
    chat: Path, store: SqliteStore, planted: str, said: str
) -> None:
    playbook = chat.parent / "playbook.yaml"
    assert planted in playbook.read_text()
    playbook.write_text(playbook.read_text().replace(planted, "pass"))
    run = await run_chat(chat, store)
    assert run.outcome is Outcome.FAILED
    assert run.result is None
    assert "-0.83" not in str(run.stopped_by)
    assert any(turn.text.lstrip().startswith(said) for turn in run.transcript.history)


async def test_a_program_that_computes_something_else_changes_the_answer(chat: Path, store: SqliteStore) -> None:
    playbook = chat.parent / "playbook.yaml"
    right = "np.corrcoef(pairs[given], pairs[wanted])"
    playbook.write_text(playbook.read_text().replace(right, "np.corrcoef(pairs[given], pairs[wanted] ** 2)"))
    run = await run_chat(chat, store)
    assert "r = -0.83" not in str(run.result)
    assert re.search(r"r = -0\.\d\d", str(run.result))


async def test_another_question_is_refused_by_the_script_instead_of_answered(chat: Path, store: SqliteStore) -> None:
    loaded = load_chat(chat, task="What is the capital of France?")
    run = await loaded.chat.run(loaded.task, store=store)
    assert run.outcome is Outcome.FAILED
    assert run.result is None
    assert run.stopped_by is not None
    assert run.stopped_by.rule == "planner-gave-up"


@pytest.fixture(scope="module")
def no_pandas() -> Iterator[str]:
    """The image without pandas."""
    client, tag = docker.from_env(), "moot-test/no-pandas:1"
    code = "import pandas, pathlib, shutil; shutil.rmtree(pathlib.Path(pandas.__file__).parent)"
    container = client.containers.create(
        DEFAULT_IMAGE, ["python3", "-c", code], entrypoint=[], user="0:0", network_mode="none"
    )
    try:
        container.start()
        assert container.wait()["StatusCode"] == 0
        container.commit("moot-test/no-pandas", "1")
        yield tag
    finally:
        container.remove(force=True)
        client.images.remove(tag, force=True)
        client.close()


async def test_an_image_without_pandas_fails_the_run_and_says_so(
    chat: Path, store: SqliteStore, no_pandas: str
) -> None:
    run = await run_chat(chat, store, sandbox__image=no_pandas)
    assert run.outcome is Outcome.FAILED
    assert run.result is None
    assert run.artifacts == []
    assert run.stopped_by is not None
    assert "No module named 'pandas'" in run.stopped_by.reason


async def test_an_image_that_is_not_there_ends_the_run_for_want_of_a_sandbox(chat: Path, store: SqliteStore) -> None:
    run = await run_chat(chat, store, sandbox__image="moot-test/nowhere:1")
    assert (run.outcome, run.cause, run.result) == (Outcome.FAILED, "sandbox", None)
    assert run.stopped_by is not None
    assert "moot-test/nowhere:1" in run.stopped_by.reason


async def test_the_journal_holds_every_effect_once_and_what_the_code_did(chat: Path, store: SqliteStore) -> None:
    run = await run_chat(chat, store)
    events = await store.load(run.id)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    intended = [(e.turn, e.span) for e in events if isinstance(e.data, EffectIntended)]
    completed = [(e.turn, e.span) for e in events if isinstance(e.data, EffectCompleted)]
    assert intended == completed == [(1, "model/0"), (2, "model/0"), (3, "code/0"), (4, "model/0")]
    (ran,) = [e.data for e in events if isinstance(e.data, CodeFinished)]
    assert ran.exit_code == 0
    assert [f.name for f in ran.files] == ["plot.png"]
