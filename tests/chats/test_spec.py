"""Chat files that are right: what they become, how inputs and --set fill them, that a run can be rebuilt from one."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from moot.chats import chat_file
from moot.chats.chat_file import AssistantEntry, ChatFile, ExecutorEntry, ModelEntry
from moot.chats.errors import UserError
from moot.chats.graph import Graph, graph
from moot.chats.schema import json_schema
from moot.chats.speakers import RoundRobin
from moot.chats.spec import ResolvedSpec, load_chat_file
from moot.chats.spec_words import known_keys
from moot.chats.stop_rules import outcome_of
from moot.chats.yaml_source import Source, YamlPath, parse_scalar, parse_source
from moot.sandbox.docker import Docker
from moot.termination.outcome import Outcome

RESEARCH = """\
version: 1
name: research
task: "Does {x} predict {y} in {file}? Show one plot."
inputs: {file: {type: file, default: data/auto-mpg.csv}, x: {default: weight}, y: {default: mpg}}
model: playbook:research            # or openai/NAME
participants:
  planner:  {role: assistant, goal: "State hypothesis, test and stopping point before any code.", backstory: "Careful."}
  coder:    {role: assistant, instructions: "Reply with exactly one fenced python block."}
  executor: {role: executor, runs_code_from: [coder]}
  reviewer: {role: assistant, instructions: "Check the printed numbers, not the prose. Then DONE: or REDO:"}
sandbox:
  image: moot/python:1
  network: none
  memory: 512m
  seconds: 60
  files: ["{file}"]
  artifacts: ["*.png", "*.csv", "report.md"]
speakers:
  graph:
    - planner -> coder
    - coder -> executor
    - executor -> coder when exit_code != 0
    - executor -> reviewer when exit_code == 0
    - reviewer -> coder when says "REDO:"
    - reviewer -> planner otherwise
limits: {rounds: 6, usd: 2.00, code_runs: 8}
stop: [{id: done, says: {participant: reviewer, starts: "DONE:"}}]
result: {from: reviewer, extract: "DONE:\\\\s*(.+)", artifacts: true}
"""

SMALL = """\
version: 1
name: small
model: openai/some-model
inputs: {who: {default: you}, n: {type: number, default: 3}}
participants:
  a: {role: assistant, goal: "Greet {who} {n} times, as {{json}}."}
  b: {role: assistant, instructions: Answer., model: openai/other-model}
limits: {rounds: 2}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty working directory, and beside it `chats/` with a table in `chats/data/`."""
    (tmp_path / "chats" / "data").mkdir(parents=True)
    (tmp_path / "chats" / "data" / "auto-mpg.csv").write_text("mpg,weight\n18,3504\n")
    (tmp_path / "here").mkdir()
    with contextlib.chdir(tmp_path / "here"):
        yield tmp_path


def load(folder: Path, text: str, *, task: str | None = None, **sets: str) -> ResolvedSpec:
    path = folder / "chats" / "chat.yaml"
    path.write_text(text)
    return load_chat_file(path, sets={key.replace("__", "."): value for key, value in sets.items()}, task=task)


def test_the_research_chat_of_the_documentation_loads(folder: Path) -> None:
    spec = load(folder, RESEARCH)
    chat = spec.chat
    assert chat.task == "Does weight predict mpg in auto-mpg.csv? Show one plot."
    assert spec.files == (("auto-mpg.csv", folder / "chats" / "data" / "auto-mpg.csv"),)
    assert spec.files_of("executor") == ("auto-mpg.csv",)
    assert spec.base_dir == folder / "chats"
    assert tuple(chat.participants) == ("planner", "coder", "executor", "reviewer")
    assert isinstance(chat.participants["executor"], ExecutorEntry)
    assert chat.limits.rounds == 6
    assert chat.limits.usd == 2.0
    assert outcome_of(chat.stop[0]) is Outcome.GOAL
    assert chat.result.from_ == "reviewer"
    assert chat.result.extract == r"DONE:\s*(.+)"
    assert spec.docker("executor") == Docker(
        image="moot/python:1", memory="512m", timeout_seconds=60, artifacts=("*.png", "*.csv", "report.md")
    )


def test_the_policy_of_a_graph_knows_what_its_stop_rules_listen_for(folder: Path) -> None:
    policy = load(folder, RESEARCH).policy()
    assert isinstance(policy, Graph)
    assert policy.edges[2] == graph("executor -> coder when exit_code != 0").edges[0]
    assert policy.endings == (("reviewer", 'a line that starts with "DONE:"'),)
    assert load(folder, SMALL).policy() == RoundRobin()


def test_a_spec_survives_its_journal_and_names_no_path(folder: Path) -> None:
    spec = load(folder, RESEARCH)
    stored = spec.to_json()
    assert str(folder) not in stored
    (folder / "chats" / "chat.yaml").unlink()
    back = ResolvedSpec.from_json(stored)
    assert back.chat == spec.chat
    assert (back.files, back.base_dir) == ((), None)
    assert back.files_of("executor") == spec.files_of("executor")
    assert back.policy() == spec.policy()
    assert back.docker("executor") == spec.docker("executor")
    assert back.to_json() == stored


def test_texts_that_were_filled_in_are_not_filled_in_again(folder: Path) -> None:
    spec = load(folder, SMALL, inputs__who="{n} {{x}}")
    entry = ResolvedSpec.from_json(spec.to_json()).chat.participants["a"]
    assert isinstance(entry, AssistantEntry)
    assert entry.goal == "Greet {n} {{x}} 3 times, as {json}."


@pytest.mark.parametrize("stored", ["", "[]", "{}", '{"format": 1, "chat": {"version": 1}}', '{"format": 2}'])
def test_a_stored_spec_that_cannot_be_read_says_so_in_one_line(stored: str) -> None:
    with pytest.raises(UserError) as caught:
        ResolvedSpec.from_json(stored)
    assert "\n" not in str(caught.value)


def test_the_task_of_the_caller_replaces_the_files_and_stays_as_it_stands(folder: Path) -> None:
    assert load(folder, RESEARCH, task="What is {x}?").chat.task == "What is {x}?"
    assert load(folder, SMALL).chat.task is None
    with pytest.raises(UserError, match="the task is empty"):
        load(folder, SMALL, task=" \n")
    with pytest.raises(UserError, match="not UTF-8"):
        load(folder, SMALL, task="caf\udce9")


def test_inputs_are_set_as_text_or_number_by_their_type(folder: Path) -> None:
    spec = load(folder, SMALL, inputs__who="007", inputs__n="2.5")
    assert spec.chat.inputs["who"].default == "007"
    assert spec.chat.inputs["n"].default == 2.5
    entry = spec.chat.participants["a"]
    assert isinstance(entry, AssistantEntry)
    assert entry.goal == "Greet 007 2.5 times, as {json}."


def test_any_place_of_the_file_can_be_set(folder: Path) -> None:
    spec = load(
        folder,
        RESEARCH,
        limits__rounds="3",
        limits__tokens="5000",
        participants__coder__model="openai/big",
        sandbox__image='"7"',
        stop__0__says__starts="FINAL:",
        inputs__y__default="cylinders",
    )
    assert (spec.chat.limits.rounds, spec.chat.limits.tokens) == (3, 5000)
    coder = spec.chat.participants["coder"]
    assert isinstance(coder, AssistantEntry)
    assert coder.model == "openai/big"
    assert spec.chat.sandbox.image == "7"
    says = spec.chat.stop[0].says
    assert says is not None
    assert says.starts == "FINAL:"
    assert spec.chat.task == "Does weight predict cylinders in auto-mpg.csv? Show one plot."


def test_a_section_that_the_file_leaves_out_can_be_set(folder: Path) -> None:
    assert load(folder, SMALL, sandbox__memory="1g").chat.sandbox.memory == "1g"


def test_a_file_that_is_set_is_looked_for_here_first_and_beside_the_chat_file_next(folder: Path) -> None:
    (folder / "here" / "mine.csv").write_text("a\n")
    spec = load(folder, RESEARCH, inputs__file="mine.csv")
    assert spec.files == (("mine.csv", folder / "here" / "mine.csv"),)
    assert spec.chat.task == "Does weight predict mpg in mine.csv? Show one plot."
    (folder / "here" / "data").mkdir()
    (folder / "here" / "data" / "auto-mpg.csv").write_text("other\n")
    assert load(folder, RESEARCH).files[0][1] == folder / "chats" / "data" / "auto-mpg.csv"
    assert load(folder, RESEARCH, inputs__file="data/auto-mpg.csv").files[0][1].parent == folder / "here" / "data"
    (folder / "here" / "data" / "auto-mpg.csv").unlink()
    assert load(folder, RESEARCH, inputs__file="data/auto-mpg.csv").files[0][1].parent == folder / "chats" / "data"


def test_a_link_keeps_the_name_it_was_asked_for_by(folder: Path) -> None:
    (folder / "here" / "link.csv").symlink_to(folder / "chats" / "data" / "auto-mpg.csv")
    assert load(folder, RESEARCH, inputs__file="link.csv").files_of("executor") == ("link.csv",)


def test_an_executor_may_have_a_sandbox_of_its_own(folder: Path) -> None:
    text = RESEARCH.replace(
        "runs_code_from: [coder]", "runs_code_from: [coder], sandbox: {seconds: 5, files: [data/extra.csv]}"
    )
    (folder / "chats" / "data" / "extra.csv").write_text("x\n")
    spec = load(folder, text)
    assert spec.docker("executor").timeout_seconds == 5
    assert spec.docker("executor").image == "moot/python:1"
    assert spec.files_of("executor") == ("auto-mpg.csv", "extra.csv")
    assert dict(spec.files)["extra.csv"] == folder / "chats" / "data" / "extra.csv"


def test_a_model_may_be_a_mapping_with_its_key_in_the_environment(folder: Path) -> None:
    entry = "{base_url: http://localhost:11434/v1, model: m, api_key: '${env:KEY}', price: {P}}"
    price = "{input_per_million: 0.5, output_per_million: 2}"
    spec = load(folder, SMALL.replace("openai/some-model", entry.replace("{P}", price)))
    model = ResolvedSpec.from_json(spec.to_json()).chat.model
    assert isinstance(model, ModelEntry)
    assert model.api_key == "${env:KEY}"
    assert model.price is not None
    assert model.price.output_per_million == 2


def test_whoever_makes_models_is_asked_about_them(folder: Path) -> None:
    path = folder / "chats" / "chat.yaml"
    path.write_text(SMALL.replace("{rounds: 2}", "{rounds: 2, usd: 1}"))
    names: list[str] = []
    prices: list[str | ModelEntry] = []

    def priced(model: str | ModelEntry) -> bool:
        prices.append(model)
        return True

    load_chat_file(path, check_model=names.append, priced=priced)
    assert names == prices == ["openai/some-model", "openai/other-model"]


def test_the_research_template_that_ships_loads() -> None:
    template = Path(chat_file.__file__).parent / "templates" / "research" / "chat.yaml"
    assert load_chat_file(template).chat.name == "research"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("010", 10),
        ("0x1f", 31),
        ("-3", -3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("1_000", "1_000"),
        ("True", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("9" * 400, "9" * 400),
        ("weight", "weight"),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


def marks(source: Source) -> Iterator[tuple[YamlPath, str]]:
    for path, mark in source.values.items():
        yield path, source.text[mark.start : mark.end]


def test_every_value_knows_where_it_stands() -> None:
    source = parse_source(RESEARCH.replace("\n", "\r\n"), "chat.yaml")
    checked = 0
    for path, raw in marks(source):
        value = source.at(path)
        if isinstance(value, str | int | float) and not raw.startswith(('"', "'")):
            assert parse_scalar(raw) == value, path
            checked += 1
        elif isinstance(value, str):
            assert value.split("\\")[0] in raw, path
            checked += 1
    assert checked > 30
    for path, mark in source.keys.items():
        assert source.text[mark.start : mark.end] == path[-1]
        problem = source.problem(path, "x", at_key=True)
        assert problem.excerpt is not None
        assert problem.line is not None
        assert problem.column is not None
        assert problem.excerpt[problem.column - 1 :].startswith(str(path[-1]))
        assert RESEARCH.splitlines()[problem.line - 1] == problem.excerpt


@pytest.mark.parametrize("way", ["graph", "selector"])
def test_the_keys_that_are_offered_are_those_that_the_models_have(way: str) -> None:
    def walk(value: object, path: YamlPath) -> Iterator[YamlPath]:
        if isinstance(value, BaseModel):
            yield path
            for name, field in type(value).model_fields.items():
                yield from walk(getattr(value, name), (*path, field.alias or name))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from walk(item, (*path, key))
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                yield from walk(item, (*path, index))

    price = {"input_per_million": 1.0, "output_per_million": 1.0}
    model = {"base_url": "http://x", "model": "m", "price": price}
    says = {"participant": "a", "starts": "x"}
    value = {
        "version": 1,
        "name": "x",
        "inputs": {"i": {}},
        "model": model,
        "participants": {
            "a": {"role": "assistant", "goal": "g", "model": model},
            "e": {"role": "executor", "runs_code_from": ("a",), "sandbox": {}},
        },
        "speakers": {way: {"model": model} if way == "selector" else ("a -> e",)},
        "stop": ({"id": "s", "all": ({"says": says}, {"any": ({"says": says},)})},),
    }
    chat = ChatFile.model_validate(value)
    for path in walk(chat, ()):
        part: object = chat
        for step in path:
            name = "from_" if step == "from" else step
            part = part[step] if isinstance(part, Mapping | tuple) else getattr(part, str(name))  # type: ignore[index]
        given = {"role": part.role} if isinstance(part, AssistantEntry | ExecutorEntry) else {way: ""}
        fields = type(part).model_fields if isinstance(part, BaseModel) else {}
        assert known_keys(path, dict(given)) == tuple(field.alias or name for name, field in fields.items()), path


def test_the_schema_describes_every_key_for_editors() -> None:
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    parts = [schema, *schema["$defs"].values()]
    keys = [(part.get("title"), key, field) for part in parts for key, field in part.get("properties", {}).items()]
    assert len(keys) > 50
    assert [(title, key) for title, key, field in keys if not field.get("description")] == []
    assert all(part["additionalProperties"] is False for part in parts if "properties" in part)
    assert "from" in schema["$defs"]["ResultSection"]["properties"]


def test_loading_a_chat_file_needs_neither_autogen_nor_docker() -> None:
    heavy = ("autogen_core", "autogen_agentchat", "autogen_ext", "docker", "openai")
    program = f"import sys, moot.chats.spec, moot.chats.schema; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_can_be_set_as_a_mapping(folder: Path) -> None:
    spec = load(folder, RESEARCH, model="{base_url: http://localhost:8000/v1, model: qwen3}", limits__usd="null")
    assert spec.chat.model == ModelEntry(base_url="http://localhost:8000/v1", model="qwen3")
    assert spec.chat.limits.usd is None
