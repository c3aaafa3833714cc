"""Seventeen questions about three real tables with published answers, as whole research runs in real containers.

What the sandbox printed is compared, not what was said about it.
"""

import json
import re
from pathlib import Path

import pytest

from moot import Outcome, Run, load_chat
from moot.chats.event_types import EffectCompleted
from moot.chats.sqlite_store import SqliteStore

DATA = Path(__file__).parents[1] / "data"
QUESTIONS = [json.loads(line) for line in (DATA / "dabench" / "questions.jsonl").read_text().splitlines()]


async def research(question: dict[str, object], playbook: str, store: SqliteStore, table: str | None = None) -> Run:
    asked = "\n".join(str(question[part]) for part in ("question", "constraints", "format"))
    sets = {"inputs.file": str(DATA / "dabench" / str(table or question["file_name"])), "inputs.question": asked}
    loaded = load_chat(DATA / "dabench.yaml", sets=sets, model=f"playbook:{DATA / 'playbooks' / playbook}")
    return await loaded.chat.run(loaded.task, store=store)


async def printed(run: Run, store: SqliteStore) -> dict[str, str]:
    """Every `@name[value]` that a block of code wrote to its stdout, the last of a name."""
    results = [
        e.data for e in await store.load(run.id) if isinstance(e.data, EffectCompleted) and e.span.startswith("code/")
    ]
    stdout = "".join(str(r.result["stdout"]) for r in results if isinstance(r.result, dict))
    return dict(re.findall(r"@(\w+)\[([^\]]*)\]", stdout))


def same(given: str, published: str) -> bool:
    try:
        return float(given) == float(published)
    except ValueError:
        return given == published


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "moot.db")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: str(q["id"]))
async def test_the_sandbox_prints_the_published_answer(question: dict[str, object], store: SqliteStore) -> None:
    run = await research(question, f"{question['id']}.yaml", store)
    values = await printed(run, store)
    assert run.outcome is Outcome.GOAL, run.stopped_by
    published = dict(question["answers"])  # type: ignore[call-overload]
    assert {name: value for name, value in published.items() if not same(values.get(name, ""), value)} == {}
    for name, value in values.items():
        assert f"@{name}[{value}]" in str(run.result), "the result quotes what was printed"
    await store.close()


async def test_a_question_asked_of_another_table_fails_instead_of_giving_the_published_answer(
    store: SqliteStore,
) -> None:
    (question,) = (q for q in QUESTIONS if q["id"] == 721)
    run = await research(question, "721.yaml", store, table="insurance.csv")
    assert run.outcome is Outcome.FAILED
    assert run.result is None
    assert await printed(run, store) == {}
    await store.close()
