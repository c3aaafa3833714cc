"""Chat files that are wrong: every error names file, line, column and place, in plain words, with what was meant."""

# ruff: noqa: E501 - messages are compared whole, one case a line

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from moot.chats.chat_file import ModelEntry
from moot.chats.errors import ChatError, Fenced, Problem, SpecError, StoreError, UserError
from moot.chats.spec import load_chat_file

GOOD = """\
version: 1
name: debate
task: Adopt a 4-day week?
model: playbook:debate
participants:
  proposer: {role: assistant, goal: Argue for it.}
  critic:
    role: assistant
    instructions: Argue against it.
  runner: {role: executor, runs_code_from: [proposer]}
limits: {rounds: 3}
"""

EDGES = """\
speakers:
  graph:
    - proposer -> critic
    - critic -> runner
    - runner -> proposer
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """The working directory, with one table in it."""
    with contextlib.chdir(tmp_path):
        Path("table.csv").write_text("a,b\n1,2\n")
        yield tmp_path


def errors(text: str | bytes, **sets: str) -> SpecError:
    Path("chat.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as caught:
        load_chat_file("chat.yaml", sets={key.replace("__", "."): value for key, value in sets.items()})
    return caught.value


def lines(text: str | bytes, **sets: str) -> list[str]:
    return [problem.one_line for problem in errors(text, **sets).problems]


def test_the_file_that_the_others_are_made_from_is_right() -> None:
    Path("chat.yaml").write_text(GOOD + EDGES)
    assert load_chat_file("chat.yaml").chat.name == "debate"


def test_an_error_shows_the_line_and_a_caret_and_has_its_parts_as_attributes() -> None:
    error = errors(GOOD.replace("    instructions: ", "    modle: x\n    instructions: "))
    assert str(error) == (
        "chat.yaml:9:5: participants.critic.modle: unknown key (did you mean 'model'?)\n    modle: x\n    ^"
    )
    assert error.explain() == str(error)
    assert error.one_line == "chat.yaml:9:5: participants.critic.modle: unknown key (did you mean 'model'?)"
    assert (error.file, error.line, error.column) == ("chat.yaml", 9, 5)
    assert (error.path, error.problem) == ("participants.critic.modle", "unknown key")
    assert error.suggestion == "did you mean 'model'?"
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_a_file_in_another_folder_is_named_as_it_was_asked_for(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "chat.yaml").write_text("version: 2\n")
    with pytest.raises(SpecError) as caught:
        load_chat_file(Path("sub/chat.yaml"))
    assert caught.value.file == "sub/chat.yaml"


# What cannot be read at all


def test_a_missing_file_a_folder_and_an_empty_file() -> None:
    Path("chat.yaml").write_text("")
    for path, said in [
        ("chat.yml", "chat.yml: no such file (did you mean 'chat.yaml'?)"),
        ("elsewhere/x.yaml", "elsewhere/x.yaml: no such file"),
        (".", ".: is a directory, and holds no chat.yaml"),
        ("chat.yaml", "chat.yaml: the file is empty (`moot init` writes one to start from)"),
    ]:
        with pytest.raises(SpecError) as caught:
            load_chat_file(path)
        assert str(caught.value) == said


def test_only_comments_are_empty_too() -> None:
    assert lines("# nothing yet\n---\n") == ["chat.yaml: the file is empty (`moot init` writes one to start from)"]


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    assert lines("#" * 1_000_001) == ["chat.yaml: larger than 1 MB, which no chat file is"]


def test_bytes_that_are_no_utf_8_are_located() -> None:
    assert lines(b"version: 1\nname: caf\xe9\n") == ["chat.yaml:2:10: not UTF-8 text (save it as UTF-8)"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c\n", "1:5: bad YAML: mapping values are not allowed here (a text that holds ': ' must be in quotes)"),
        (
            "a:\n\t- b\n",
            "2:1: bad YAML: found character '\\t' that cannot start any token (indent with spaces, not tabs)",
        ),
        ("a: 'b\nc: d\n", "1:4: bad YAML: the text that starts here is never closed with a quote"),
        ("a: {b: c\n", "1:4: bad YAML: the { here is never closed"),
        ("a: [b, c\n", "1:4: bad YAML: the [ here is never closed"),
        ("version: 1\nname\nlimits: {}\n", "2:1: bad YAML: a key needs a ':' after it"),
        (
            "a:\n  b: 1\n c: 2\n",
            "3:2: bad YAML: expected <block end>, but found '<block mapping start>' (check the indentation)",
        ),
        ("a: 1\n---\nb: 2\n", "2:1: bad YAML: a second document starts here (---); a chat file holds one"),
        ("a: *b\n", "1:4: bad YAML: found undefined alias 'b' (a text that starts with * must be in quotes)"),
        (
            "a: [*.png]\n",
            "1:6: bad YAML: expected alphabetic or numeric character, but found '.'"
            " (a text that starts with * or & must be in quotes)",
        ),
        (
            'a: "DONE:\\s"\n',
            "1:11: bad YAML: found unknown escape character 's' (write a backslash twice, or use single quotes)",
        ),
        ("a: `b`\n", "1:4: bad YAML: found character '`' that cannot start any token (put the text in quotes)"),
        ("a: &x b\nc: &x d\n", "2:4: bad YAML: the anchor (&) is defined twice"),
        (
            "model: {api_key: ${env:KEY}}\n",
            "1:19: bad YAML: expected ',' or '}', but got '{' (put ${env:NAME} in quotes inside { })",
        ),
        ("a: \x1b[31mred\n", "1:4: the character U+001B is not allowed in YAML (remove it)"),
        ("- a\n", "1:1: expected a mapping (version, name, participants, ...), got a list"),
        ("words\n", "1:1: expected a mapping (version, name, participants, ...), got 'words'"),
    ],
)
def test_bad_yaml_is_located_and_said_in_plain_words(text: str, said: str) -> None:
    assert lines(text) == [f"chat.yaml:{said}"]


def test_what_is_nested_or_repeated_without_end_is_refused() -> None:
    bomb = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert "too many values" in lines("b0: &b0 [x, x, x, x, x, x, x, x, x, x]\n" + bomb)[0]
    assert lines("a: &a [*a]\n") == ["chat.yaml:1:4: nested too deeply"]
    assert lines("[" * 4000) == ["chat.yaml: nested too deeply"]


# Keys and values


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: debate", "nmae: debate", ["1:1: name: missing (give the chat a name)", None]),
        ("limits:", "limit:", [None, "11:1: limit: unknown key (did you mean 'limits'?)"]),
        ("rounds: 3", "round: 3", ["11:10: limits.round: unknown key (did you mean 'rounds'?)"]),
        ("rounds: 3", "rounds: six", ["11:18: limits.rounds: expected a whole number, got 'six'"]),
        (
            "rounds: 3",
            'rounds: "3"',
            ["11:18: limits.rounds: expected a whole number, got '3' (without quotes it is a number)"],
        ),
        ("rounds: 3", "rounds: 3.5", ["11:18: limits.rounds: expected a whole number, got 3.5"]),
        ("rounds: 3", "rounds: true", ["11:18: limits.rounds: expected a whole number, got true"]),
        ("rounds: 3", "rounds: 0", ["11:18: limits.rounds: must be above 0, got 0"]),
        ("rounds: 3", "rounds: -1", ["11:18: limits.rounds: must be above 0, got -1"]),
        ("rounds: 3", "usd: .inf", ["11:15: limits.usd: expected a finite number, got inf"]),
        (
            "rounds: 3",
            "rounds:",
            ["11:1: limits: no hard limit (give at least one of turns, rounds, tokens, usd, seconds)"],
        ),
        ("{rounds: 3}", "[3]", ["11:9: limits: expected a mapping, got a list"]),
        (
            "Argue for it.",
            "7",
            ["6:37: participants.proposer.goal: expected text, got 7 (put it in quotes if a text is meant)"],
        ),
        ("Argue for it.", "''", ["6:37: participants.proposer.goal: is empty"]),
        ("[proposer]", "proposer", ["10:44: participants.runner.runs_code_from: expected a list, got 'proposer'"]),
        ("[proposer]", "[]", ["10:44: participants.runner.runs_code_from: is empty"]),
        (
            "role: executor",
            "role: exectuor",
            [
                "10:18: participants.runner.role: expected 'assistant', 'executor' or 'human', got 'exectuor'"
                " (did you mean 'executor'?)"
            ],
        ),
        (
            "role: executor, ",
            "",
            ["10:3: participants.runner.role: missing (write role: assistant, role: executor or role: human)"],
        ),
        ("version: 1", "version: 2", ["1:10: version: expected 1, got 2"]),
        ("version: 1", "version: true", ["1:10: version: expected 1, got true"]),
        ("name: debate", "name: a b", ["2:7: name: expected letters, digits, - and _, a letter first, got 'a b'"]),
        ("playbook:debate", "[a]", ["4:8: model: expected a model's name or a mapping, got a list"]),
        ("playbook:debate", "{base_url: http://x}", ["4:1: model.model: missing"]),
    ],
)
def test_bad_keys_and_values_are_said_in_plain_words(old: str, new: str, said: list[str | None]) -> None:
    assert GOOD.count(old) == 1
    found = lines(GOOD.replace(old, new))
    assert len(found) == len(said)
    assert [line for line, expected in zip(found, said, strict=True) if expected] == [
        f"chat.yaml:{expected}" for expected in said if expected
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("speakers: roundrobin\n", "12:11: speakers: expected 'round_robin', 'selector', or a mapping with a graph or a selector, got 'roundrobin' (did you mean 'round_robin'?)"),
        ("speakers: {graph: [5]}\n", "12:20: speakers.graph[0]: expected text, got 5 (put it in quotes if a text is meant)"),
        ("inputs: {x: {type: txt, default: a}}\n", "12:20: inputs.x.type: expected 'text', 'number' or 'file', got 'txt' (did you mean 'text'?)"),
        ("inputs: {x: {default: [1]}}\n", "12:23: inputs.x.default: expected text or a number, got a list"),
        ("inputs: {x: {default: 1}}\n", "12:23: inputs.x.default: expected text, got 1"),
        ("inputs: {x: {type: number, default: one}}\n", "12:37: inputs.x.default: expected a number, got 'one'"),
        ("inputs: {x: {}}\n", "12:10: inputs.x: no value (give one with --set inputs.x=...)"),
        ("inputs: {a-b: {default: c}}\n", "12:10: inputs.a-b: 'a-b' cannot be an input's name: only letters, digits and _, not a digit first"),
        ("sandbox: {memory: 1 TB}\n", "12:19: sandbox.memory: expected a size such as 512m or 1g, got '1 TB'"),
        ("sandbox: {memory: 512}\n", "12:19: sandbox.memory: expected a size such as 512m or 1g, got 512"),
        ("sandbox: {network: host}\n", "12:20: sandbox.network: expected 'none', got 'host'"),
        ("sandbox: {pids: 2}\n", "12:17: sandbox.pids: must be at least 16, got 2"),
        ("result: {from: judge}\n", "12:16: result.from: nobody is called 'judge' (participants: proposer, critic, runner)"),
        ("result: {extract: 'a(b'}\n", "12:21: result.extract: no regular expression: missing ), unterminated subpattern"),
        ("result: {extract: DONE}\n", "12:19: result.extract: needs one group, has 0 (put ( ) around what is wanted, (?: ) around the rest)"),
        ("approval: []\n", "12:1: approval: unknown key (did you mean 'approvals'?)"),
        ("? [a]\n: b\n", "12:3: a key must be a word, not a list or mapping (a text that starts with { or [ must be in quotes)"),
        ("speakers: !!python/name:os.system round_robin\n", "12:11: speakers: unknown tag '!!python/name:os.system' (remove it)"),
    ],
)  # fmt: skip
def test_bad_sections_are_said_in_plain_words(more: str, said: str) -> None:
    assert lines(GOOD + more) == [f"chat.yaml:{said}"]


def test_two_participants_of_one_name_and_any_key_that_is_there_twice() -> None:
    assert lines(GOOD.replace("  critic:", "  proposer:")) == [
        "chat.yaml:7:3: participants.proposer: two participants are called 'proposer' (the first in line 6)"
    ]
    assert lines(GOOD + "limits: {turns: 1}\n") == ["chat.yaml:12:1: limits: the key is there twice (first in line 11)"]


def test_a_name_that_no_agent_can_have_is_refused_with_one_that_could_do() -> None:
    found = lines(GOOD.replace("  critic:", "  fact-checker:"))
    assert found == [
        "chat.yaml:7:3: participants.fact-checker: 'fact-checker' cannot be a participant's name:"
        " only letters, digits and _, not a digit first (did you mean 'fact_checker'?)"
    ]
    assert "is a word of the edges" in lines(GOOD.replace("  critic:", "  otherwise:"))[0]
    assert lines(GOOD.replace("  critic:", "  user:")) == [
        "chat.yaml:7:3: participants.user: 'user' cannot be a participant's name: it stands for whoever gives the task"
    ]


def test_an_assistant_needs_something_to_do_and_a_model() -> None:
    text = GOOD.replace("model: playbook:debate\n", "").replace("goal: Argue for it.", "backstory: An optimist.")
    assert lines(text) == [
        "chat.yaml:5:3: participants.proposer: needs a goal or instructions",
        "chat.yaml:5:3: participants.proposer: no model (give it one, or one for the whole chat: `model: ...`)",
        "chat.yaml:6:3: participants.critic: no model (give it one, or one for the whole chat: `model: ...`)",
    ]


def test_an_executor_runs_the_code_of_others_that_exist() -> None:
    text = GOOD.replace("[proposer]", "[proposer, citic, runner, proposer]")
    assert lines(text) == [
        "chat.yaml:10:55: participants.runner.runs_code_from[1]: nobody is called 'citic' (did you mean 'critic'?)",
        "chat.yaml:10:62: participants.runner.runs_code_from[2]: an executor writes no code of its own to run",
        "chat.yaml:10:70: participants.runner.runs_code_from[3]: proposer is named twice",
    ]


# Limits, models and secrets


def test_a_chat_without_a_hard_limit_is_refused() -> None:
    said = "limits: no hard limit (give at least one of turns, rounds, tokens, usd, seconds)"
    assert lines(GOOD.replace("rounds: 3", "code_runs: 3")) == [f"chat.yaml:11:1: {said}"]
    assert lines(GOOD.replace("limits: {rounds: 3}\n", "")) == [f"chat.yaml:1:1: {said}"]


def test_models_that_nobody_knows_and_models_without_a_price_are_refused() -> None:
    Path("chat.yaml").write_text(
        GOOD.replace("rounds: 3", "usd: 3").replace("    role: assistant", "    model: opnai/x\n    role: assistant")
    )

    def check(name: str) -> None:
        if not name.startswith("playbook:"):
            raise ValueError(f"unknown model {name!r}: expected playbook:FILE or openai/NAME")

    def priced(model: str | ModelEntry) -> bool:
        return False

    with pytest.raises(SpecError) as caught:
        load_chat_file("chat.yaml", check_model=check, priced=priced)
    assert [problem.one_line for problem in caught.value.problems] == [
        "chat.yaml:4:8: model: limits.usd cannot hold: the price of 'playbook:debate' is not known"
        " (give it as a mapping with a price, or take limits.usd out: --set limits.usd=null)",
        "chat.yaml:8:12: participants.critic.model: unknown model 'opnai/x': expected playbook:FILE or openai/NAME",
    ]


def test_a_key_is_refused_and_never_shown() -> None:
    model = "{base_url: 'http://me:hunter2@x/v1', model: m, api_key: sk-123456, pric: 1}"
    error = errors(GOOD.replace("playbook:debate", model))
    assert [problem.one_line for problem in error.problems] == [
        "chat.yaml:4:19: model.base_url: expected an address such as http://localhost:11434/v1, without user or password",
        "chat.yaml:4:64: model.api_key: a key may only be given as ${env:NAME}, the environment variable that holds it",
        "chat.yaml:4:75: model.pric: unknown key (did you mean 'price'?)",
    ]
    assert "hunter2" not in str(error)
    assert "sk-123456" not in str(error)
    assert "sk-123456" not in str(errors("model: {api_key: sk-123456\n"))


# Graphs


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("critic -> runner", "critic -> runer", ["15:17: speakers.graph[1]: nobody is called 'runer' (did you mean 'runner'?)"]),
        ("critic -> runner", "critic => runner", ["15:14: speakers.graph[1]: expected '->', got '=>' (did you mean '->'?)"]),
        ("critic -> runner", "critic -> runner wen timed_out", ["15:24: speakers.graph[1]: expected 'when CONDITION', 'otherwise' or the end of the edge, got 'wen' (did you mean 'when'?)"]),
        ("critic -> runner", '"critic -> runner when sayz \\"x\\""', ["15:30: speakers.graph[1]: expected a condition (exit_code, says \"TEXT\", contains \"TEXT\", timed_out, approved, rejected), got 'sayz' (did you mean 'says'?)"]),
        ("critic -> runner", 'critic -> runner when says "a: b"', ["15:7: speakers.graph[1]: expected text, got a mapping (a text that holds ': ' must be in quotes)"]),
        ("critic -> runner", 'critic -> runner when says "a #b"', ["15:34: speakers.graph[1]: the text is not closed (quote the whole edge if the text holds ' #' or ': ')"]),
        ("critic -> runner", "critic -> runner when exit_code == 0", ["15:7: speakers.graph[1]: critic runs no code, so that 'exit_code == 0' says nothing about it"]),
        ("critic -> runner", "critic -> proposer", ["10:3: participants.runner: no edge ever reaches this participant"]),
        ("    - runner -> proposer\n", "", ["15:17: speakers.graph[1]: the graph cannot be left: nobody follows runner and no stop rule looks at what it says (add an edge from runner or a stop rule for it)"]),
        ("critic -> runner", "critic -> runner\n    - critic  ->  runner", ["16:7: speakers.graph[2]: the same as edge 2"]),
    ],
)  # fmt: skip
def test_a_bad_graph_is_located_in_its_edge(old: str, new: str, said: list[str]) -> None:
    text = GOOD + EDGES
    assert text.count(old) == 1
    found = lines(text.replace(old, new))
    assert found == [f"chat.yaml:{line}" for line in said]


def test_a_graph_that_no_stop_rule_listens_to_is_refused() -> None:
    edges = EDGES.replace("critic -> runner", "critic -> critic").replace("    - runner -> proposer\n", "")
    rule = "stop: [{id: done, says: {participant: runner, starts: 'DONE:'}}]\n"
    assert lines(GOOD + edges + rule) == [
        "chat.yaml:10:3: participants.runner: no edge ever reaches this participant",
        "chat.yaml:14:7: speakers.graph[0]: the graph cannot be left: no stop rule looks at anybody reached from"
        " proposer, critic (stop rules look at runner)",
    ]


def test_a_misspelt_name_in_a_stop_rule_does_not_make_the_graph_wrong_too() -> None:
    for name in ("runer", "somebody_else"):
        (found,) = lines(GOOD + EDGES + f"stop: [{{id: done, says: {{participant: {name}, starts: 'DONE:'}}}}]\n")
        assert found.startswith(f"chat.yaml:17:39: stop[0].says.participant: nobody is called '{name}'")


def test_an_edge_in_a_folded_text_is_located_by_its_words() -> None:
    edges = EDGES.replace("- critic -> runner", "- >-\n        critic ->\n        nobody")
    assert lines(GOOD + edges)[-1].startswith("chat.yaml:17:9: speakers.graph[1]: nobody is called 'nobody'")


# Stop rules


def test_stop_rules_that_cannot_be_asked_are_refused() -> None:
    rules = """\
stop:
  - {id: turns, says: {participant: judge, starts: a, contains: b}}
  - {id: a}
  - {id: a, says: {participant: critic}}
  - {id: b, says: {participant: critic, matches: "x("}, outcome: gaol}
  - {id: c, all: [{code_succeeded: true, any: [{code_succeeded: false}]}]}
"""
    assert lines(GOOD + rules) == [
        "chat.yaml:13:10: stop[0].id: 'turns' is the name of a limit or policy (choose another id)",
        "chat.yaml:13:17: stop[0].says: needs exactly one of starts, contains, matches; got starts and contains",
        "chat.yaml:13:37: stop[0].says.participant: nobody is called 'judge' (participants: proposer, critic, runner)",
        "chat.yaml:14:5: stop[1]: a stop rule has exactly one of says, spoke, approved_by, rejections, code_succeeded, all, any; got none",
        "chat.yaml:15:10: stop[2].id: two stop rules have the id 'a'",
        "chat.yaml:15:13: stop[2].says: needs exactly one of starts, contains, matches; got none",
        "chat.yaml:16:52: stop[3].says.matches: no regular expression: missing ), unterminated subpattern",
        "chat.yaml:16:66: stop[3].outcome: expected 'goal', 'limit', 'rejected', 'stalled', 'stopped' or 'failed',"
        " got 'gaol' (did you mean 'goal'?)",
        "chat.yaml:17:19: stop[4].all[0]: a stop rule has exactly one of says, spoke, approved_by, rejections, code_succeeded, all,"
        " any; got code_succeeded and any",
        "chat.yaml:17:65: stop[4].all[0].any[0].code_succeeded: expected true, got false",
    ]


def test_a_rule_about_code_needs_somebody_who_runs_code() -> None:
    text = GOOD.replace("  runner: {role: executor, runs_code_from: [proposer]}\n", "")
    assert lines(text + "stop: [{id: ran, code_succeeded: true}]\n") == [
        "chat.yaml:11:18: stop[0].code_succeeded: nobody in this chat runs code (add a participant with role: executor)"
    ]


# Inputs and files


def test_a_text_that_names_an_unknown_input_is_located_at_the_name() -> None:
    text = GOOD.replace("Adopt a 4-day week?", "Adopt {thng} or {nothing at all} or {{this}} or {").replace(
        "Argue against it.", ">-\n      Argue against\n      {thing} and against {thin}."
    )
    assert lines(text + "inputs: {thing: {default: a week}}\n") == [
        "chat.yaml:3:13: task: {thng} names no input (did you mean 'thing'?)",
        "chat.yaml:3:23: task: {nothing at all} names no input (write '{{' and '}}' for braces)",
        "chat.yaml:3:55: task: a single '{' (write '{{' for a brace)",
        "chat.yaml:11:27: participants.critic.instructions: {thin} names no input (did you mean 'thing'?)",
    ]
    assert lines(GOOD.replace("Adopt a 4-day week?", "Adopt {it}?")) == [
        "chat.yaml:3:13: task: {it} names no input (this chat has no inputs; write '{{' for a brace)"
    ]


def test_an_input_without_a_value_is_said_once_and_not_of_the_texts_it_stands_in() -> None:
    more = "inputs: {file: {type: file}, x: {}}\ntask: '{x}'\nsandbox: {files: ['{file}', 'data/{x}']}\n"
    assert lines(GOOD.replace("task: ", "# task: ") + more) == [
        "chat.yaml:12:10: inputs.file: no value (give one with --set inputs.file=...)",
        "chat.yaml:12:30: inputs.x: no value (give one with --set inputs.x=...)",
    ]


def test_a_text_that_is_empty_once_filled_in_is_refused() -> None:
    text = GOOD.replace("Argue for it.", '"{how}"') + "inputs: {how: {default: ''}}\n"
    assert lines(text) == [
        "chat.yaml:6:37: participants.proposer.goal: is empty once its inputs are filled in",
    ]


def test_files_that_cannot_be_used_are_refused(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "table.csv").write_text("")
    files = "sandbox: {files: [table.csv, tabel.csv, sub, sub/table.csv, /dev/null, '{f}']}\n"
    assert lines(GOOD + files + "inputs: {f: {type: file, default: gone}}\n") == [
        "chat.yaml:12:30: sandbox.files[1]: no such file: 'tabel.csv' (did you mean 'table.csv'?)",
        "chat.yaml:12:41: sandbox.files[2]: is a directory, not a file: 'sub'",
        "chat.yaml:12:46: sandbox.files[3]: two files would be called 'table.csv' in the workspace:"
        f" {folder / 'table.csv'} and {folder / 'sub' / 'table.csv'} (rename one)",
        "chat.yaml:12:61: sandbox.files[4]: is no regular file: '/dev/null'",
        "chat.yaml:13:35: inputs.f.default: no such file: 'gone'",
    ]


def test_a_file_named_by_an_unknown_input_is_one_error() -> None:
    assert lines(GOOD + "sandbox: {files: ['{nofile}']}\n") == [
        "chat.yaml:12:20: sandbox.files[0]: {nofile} names no input (this chat has no inputs; write '{{' for a brace)"
    ]


def test_neither_the_name_asked_for_nor_a_link_to_nothing_is_suggested(folder: Path) -> None:
    for name in ("tables.csv", "chats.yaml", "chat.yml"):
        (folder / name).symlink_to(folder / "nothing")
    assert lines(GOOD + "sandbox: {files: [tables.csv, tables.cs, tble.csv]}\n") == [
        "chat.yaml:12:19: sandbox.files[0]: is a link to a file that is not there: 'tables.csv'"
        " (did you mean 'table.csv'?)",
        "chat.yaml:12:31: sandbox.files[1]: no such file: 'tables.cs' (did you mean 'table.csv'?)",
        "chat.yaml:12:42: sandbox.files[2]: no such file: 'tble.csv' (did you mean 'table.csv'?)",
    ]
    (folder / "table.csv").unlink()
    (found,) = lines(GOOD + "sandbox: {files: [tables.csv]}\n")
    assert found == "chat.yaml:12:19: sandbox.files[0]: is a link to a file that is not there: 'tables.csv'"
    with pytest.raises(SpecError) as caught:
        load_chat_file("chat.yml")
    assert str(caught.value) == "chat.yml: no such file (did you mean 'chat.yaml'?)"


def test_a_file_that_is_larger_than_the_workspace_is_refused(folder: Path) -> None:
    with (folder / "big.csv").open("wb") as stream:
        stream.truncate(3 << 20)
    assert lines(GOOD + "sandbox: {workspace: 2m, files: [big.csv]}\n") == [
        "chat.yaml:12:33: sandbox.files: big.csv (3.0 MiB) do not fit into the workspace of 2m"
        " (raise sandbox.workspace and sandbox.memory)"
    ]


def test_sizes_that_do_not_go_together_are_refused() -> None:
    (found,) = lines(GOOD + "sandbox: {memory: 64m}\n")
    assert found.startswith("chat.yaml:12:19: sandbox.memory: memory='64m' is too little")


# --set


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("limits__rounds", "six", "--set limits.rounds: expected a whole number, got 'six'"),
        ("limits__round", "6", "--set limits.round: unknown key (did you mean 'rounds'?)"),
        ("participants__critc__model", "x", "--set participants.critc.model: unknown participant (did you mean 'critic'?)"),
        ("participants__critic__modle", "x", "--set participants.critic.modle: unknown key (did you mean 'model'?)"),
        ("inputs__x", "1", "--set inputs.x: unknown input"),
        ("name__first", "x", "--set name.first: name is 'debate' and has no parts"),
        ("stop__0__id", "x", "--set stop.0.id: stop has no parts"),
        ("speakers__graph__7", "x", "--set speakers.graph.7: speakers.graph has 3 parts, none is '7' (they count from 0)"),
        ("speakers__graph__0", "proposer -> critc", "--set speakers.graph.0: nobody is called 'critc' (did you mean 'critic'?)"),
        ("limits", "3", "--set limits: expected a mapping, got 3"),
        ("", "3", "--set : unknown key"),
        ("sandbox__files", "table.csv", "--set sandbox.files: expected a list, got 'table.csv'"),
        ("sandbox__files", "", "--set sandbox.files: expected a list, got ''"),
        ("sandbox__image", "", "--set sandbox.image: expected text, got nothing"),
        ("sandbox__image", " ", "--set sandbox.image: expected text, got nothing"),
        ("sandbox__memory", "", "--set sandbox.memory: expected a size such as 512m or 1g, got ''"),
        ("model", "", "--set model: expected text, got nothing"),
        ("participants__critic__model", "", "--set participants.critic.model: expected text, got nothing"),
        ("limits__rounds", "", "--set limits.rounds: expected a whole number, got ''"),
        ("name", "", "--set name: expected letters, digits, - and _, a letter first, got ''"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_said_without_a_place_in_the_file(key: str, value: str, said: str) -> None:
    (found,) = errors(GOOD + EDGES, **{key: value}).problems
    assert found.one_line.startswith(said)
    assert (found.line, found.column, found.excerpt) == (None, None, None)


def test_a_file_that_is_set_and_missing_is_said_to_be_set() -> None:
    text = GOOD + "inputs: {f: {type: file, default: table.csv}}\nsandbox: {files: ['{f}']}\n"
    assert lines(text, inputs__f="tabel.csv") == [
        "--set inputs.f: no such file: 'tabel.csv' (did you mean 'table.csv'?)"
    ]


def test_inputs_that_are_set_to_nothing() -> None:
    text = GOOD + "inputs: {f: {type: file, default: t}, n: {type: number, default: 3}, t: {default: a}}\n"
    assert lines(text, inputs__f="", inputs__n="", inputs__t="") == [
        "--set inputs.f: expected the name of a file, got nothing",
        "--set inputs.n: expected a number, got ''",
    ]


def test_null_takes_a_key_of_the_file_out() -> None:
    assert lines(GOOD, limits__rounds="null") == [
        "chat.yaml:11:1: limits: no hard limit (give at least one of turns, rounds, tokens, usd, seconds)"
    ]


# All at once, and the lines themselves


def test_everything_that_is_wrong_is_reported_at_once_in_file_order() -> None:
    text = (GOOD + EDGES).replace("name: debate", "name: debate\nnmae: x").replace("rounds: 3", "rounds: six")
    text = text.replace("critic -> runner", "critic -> runer") + "result: {from: judge}\n"
    error = errors(text)
    assert [problem.path for problem in error.problems] == [
        "nmae",
        "limits.rounds",
        "speakers.graph[1]",
        "result.from",
    ]
    assert error.one_line.endswith("[and 3 more]")
    assert str(error).count("^") == 4


def test_what_only_follows_from_another_error_is_not_reported() -> None:
    text = GOOD.replace("role: executor, runs_code_from: [proposer]", "role: executer") + EDGES
    assert len(lines(text.replace("rounds: 3", "rounds: many"))) == 2


def test_thousands_of_errors_are_cut_short() -> None:
    assert len(lines(GOOD + "".join(f"k{n}: 1\n" for n in range(5000)))) == 50


@pytest.mark.parametrize("indent", [0, 1, 7])
@pytest.mark.parametrize("before", ["", "# a comment\n", "\n\n", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_place_is_right_wherever_the_key_stands(indent: int, before: str, newline: str) -> None:
    pad = " " * (indent + 1)
    text = before + GOOD.replace("limits: {rounds: 3}", f"limits:\n{pad}rounds: 3\n{pad}tokns: 5")
    (problem,) = errors(text.replace("\n", newline)).problems
    assert (problem.line, problem.column) == (13 + before.count("\n"), indent + 2)
    assert problem.excerpt == f"{pad}tokns: 5"


def test_the_caret_stands_under_its_column_after_wide_characters_and_tabs() -> None:
    wide = Problem("f", "p", 1, 4, excerpt="\u6f22\u5b57: x")
    assert wide.explain().splitlines()[1:] == ["\u6f22\u5b57: x", "     ^"]
    tabbed = Problem("f", "p", 1, 3, excerpt="\t\tx")
    assert tabbed.explain().splitlines()[1:] == ["\t\tx", "\t\t^"]


def test_a_long_line_is_cut_around_the_caret() -> None:
    problem = Problem("f", "p", 1, 501, excerpt="a" * 500 + "b" + "c" * 500)
    _, line, caret = problem.explain().splitlines()
    assert len(line) == 122
    assert line[caret.index("^")] == "b"


def test_control_characters_never_reach_the_terminal() -> None:
    error = errors(GOOD.replace("rounds: 3", 'rounds: "\\e[31m"') + '"\\e]0;x\\a": 1\n')
    assert "\x1b" not in str(error)
    assert "\x07" not in error.one_line


def test_errors_are_sorted_by_who_must_act() -> None:
    for kind in (SpecError, UserError, StoreError):
        assert issubclass(kind, ChatError)
    assert issubclass(Fenced, StoreError)
    assert UserError("two\nlines").one_line == "two lines"
    with pytest.raises(ValueError, match="needs a problem"):
        SpecError()


def test_a_model_that_is_set_as_a_mapping_is_checked_like_one_in_the_file() -> None:
    assert lines(GOOD, model="{base_url: http://x/v1, modle: y}") == [
        "--set model: missing",
        "--set model: unknown key (did you mean 'model'?)",
    ]
    assert lines(GOOD, model="{base_url: http://x/v1") == ["--set model:1:1: bad YAML: the { here is never closed"]
