"""The events of a journal: each is read back as it was said."""

import json
from typing import Any

import pytest
from autogen_agentchat.messages import MessageFactory, TextMessage, ThoughtEvent
from autogen_core.models import CreateResult, RequestUsage
from pydantic import BaseModel

from moot.agents.ran import StoredFile
from moot.agents.seat import WholeTurn
from moot.chats import event_types as ev
from moot.chats.event_schema import event_schema
from moot.chats.event_types import TYPES, Unknown
from moot.chats.events import VERSION, Draft, Event, dumped, read
from moot.termination.outcome import Outcome

FILE = StoredFile(name="plot.png", size=3, sha256="ab" * 32)
SPENT = ev.Spent(input_tokens=3, output_tokens=4, usd=None, code_runs=1)
SAID = TextMessage(content="words \x1b[1m ü \U0001f600", source="anna", models_usage=RequestUsage(1, 2))
RESULT = CreateResult(finish_reason="stop", content="words", usage=RequestUsage(1, 2), cached=False)

EXAMPLES: list[BaseModel] = [
    ev.RunCreated(
        chat="debate", participants=("anna", "ben"), limits={"turns": 6},
        models={"anna": "playbook:p"}, model_kind="scripted", inputs={"ben": (FILE,)}, spec={"version": 1}, moot="0.1",
    ),
    ev.RunStarted(owner="me"),
    ev.RunResumed(owner="me"),
    ev.RunPaused(reason="asked"),
    ev.RunFinished(
        outcome=Outcome.GOAL, rule="says(anna)", reason="anna said so", turn=4, cause="", result="42",
        artifacts=(FILE,), turns=4, usage=SPENT, digest="d",
    ),
    ev.MessageSaid(message=SAID, to=("anna",)),
    ev.SpeakerSelected(
        policy="graph", candidates=("anna", "ben"), chosen=("ben",), reason="edge 1", step=2, attempts=2,
        fallback="first",
    ),
    ev.TurnStarted(),
    ev.TurnFinished(reply=SAID, contexts={"": [0, "model/0", {"type": "UserMessage"}]}, state="turn/0", seconds=1.5),
    ev.TurnFailed(error="ConnectionError: down", cause="model", seconds=0.5),
    ev.TurnAbandoned(reason="stopped", seconds=0.5),
    ev.Inner(message=ThoughtEvent(content="hm", source="anna")),
    ev.EffectIntended(key="model/0", kind="model", digest="d", reserved=SPENT),
    ev.EffectCompleted(key="model/0", result=RESULT, spent=SPENT),
    ev.EffectFailed(key="model/0", error="down"),
    ev.EffectUnknown(key="model/0", then="retry"),
    ev.CodeProposed(key="code/0", language="python", code="print(4)\n"),
    ev.CodeFinished(key="code/0", language="python", exit_code=137, oom=True, files=(FILE,), not_kept=("x: big",)),
    ev.BudgetWarning(limit="turns", spent="8 of 10 turns"),
    ev.Warned(text="look", facts={"n": 1}),
    ev.RunForked(parent="01kag", turn=3, head=40, edits={"model": "openai/gpt-5-mini"}),
    ev.RequestAsked(
        id="q1", key="ask-code/0", kind="code", digest="d", payload={"code": "print(4)"}, allow=("approve", "reject")
    ),
    ev.RequestDecided(id="q1", decision="reject", text="no", by="ann", digest="d", command=2),
    ev.RequestExpired(id="q1", reason="asked for something else"),
    ev.HumanSaid(message=SAID, to=("anna",), by="ann", command=3),
    ev.PauseAsked(command=4, by="ann", now=True),
    ev.StopAsked(command=5, by="ann", reason="enough"),
    ev.CommandRefused(command=6, by="ann", reason="too late"),
]  # fmt: skip


def as_json(data: BaseModel) -> Any:
    return json.loads(dumped(data))


def test_there_is_an_example_of_every_type() -> None:
    assert {type(example) for example in EXAMPLES} == set(TYPES.values())


@pytest.mark.parametrize("data", EXAMPLES, ids=lambda data: data.type)
def test_every_type_of_event_is_read_back_as_it_was(data: BaseModel) -> None:
    back = read(data.type, dumped(data))  # type: ignore[attr-defined]
    assert type(back) is type(data)
    assert as_json(back) == as_json(data)


def test_messages_are_read_back_as_they_were_said() -> None:
    back = read("message", dumped(ev.MessageSaid(message=SAID)))
    assert isinstance(back, ev.MessageSaid)
    assert isinstance(back.message, dict)
    assert MessageFactory().create(back.message) == SAID


def test_a_whole_turn_is_written_with_all_that_came_of_it() -> None:
    turn = WholeTurn((ThoughtEvent(content="hm", source="anna"),), SAID, {"spoken": 1}, (1, 2))
    result = as_json(ev.EffectCompleted(key="turn/0", result=turn))["result"]
    assert set(result) == {"inner", "reply", "state", "tokens"}
    assert MessageFactory().create(result["reply"]) == SAID
    assert result["inner"][0]["content"] == "hm"


@pytest.mark.parametrize("text", ["half \ud83d of it", "\\ud83d is only spelled", "a\x00b", "\u2028"])
def test_whatever_characters_are_in_a_text_come_back(text: str) -> None:
    back = read("warning", dumped(ev.Warned(text=text, facts={"deep": [text]})))
    assert back == ev.Warned(text=text, facts={"deep": [text]})


def test_an_unknown_type_is_kept_as_it_is() -> None:
    data = read("from.the.future", '{"x": [1, 2]}')
    assert data == Unknown(facts={"x": [1, 2]})
    assert as_json(data) == {"x": [1, 2]}


def test_unknown_parts_of_a_known_event_are_ignored() -> None:
    assert read("run.paused", '{"reason": "asked", "by": "anna"}') == ev.RunPaused(reason="asked")


def test_an_envelope_says_where_in_the_run_an_event_belongs() -> None:
    event = Event("run.paused", 3, 2, "anna", ev.RunPaused(reason="asked"), "model/0", 7, 12.5)
    assert event.envelope("r1") == {
        "v": VERSION, "seq": 7, "ts": 12.5, "run": "r1", "turn": 3, "attempt": 2, "type": "run.paused",
        "participant": "anna", "span": "model/0", "data": {"reason": "asked", "waiting": []},
    }  # fmt: skip


def test_the_schema_describes_every_type_and_the_envelopes_as_they_are() -> None:
    schema: Any = event_schema()
    assert set(schema["types"]) == set(TYPES)
    for number, data in enumerate(EXAMPLES, 1):
        envelope = Event(data.type, 1, 1, "anna", data, "", number, 1.0).envelope("r1")  # type: ignore[attr-defined]
        assert fits(envelope, schema, schema) == []
        described = schema["types"][data.type]  # type: ignore[attr-defined]
        assert fits(envelope["data"], described, described) == []


def test_the_schema_refuses_what_is_no_event() -> None:
    schema: Any = event_schema()
    assert fits({"seq": 1}, schema, schema) != []
    finished = schema["types"]["run.finished"]
    assert fits({"outcome": "no such", "rule": "x", "reason": "x", "turn": 1}, finished, finished) != []


def test_text_that_is_only_shown_is_no_event() -> None:
    assert not isinstance(Draft(1, 1, "anna", "token", "wo"), Event)


def nested(levels: int) -> object:
    tree: object = {}
    for level in range(levels):
        tree = [tree] if level % 2 else {"x": tree}
    return tree


HOSTILE: dict[str, object] = {
    "deep": nested(200),
    "deeper than pydantic reads": nested(240),
    "no number": [float("nan"), float("inf"), -float("inf")],
    "half in a value": ["\ud800", "\udfff\ud83d", "\ud83d\ude00"],
    "half in a key": {"\ud800": {"\udfff": 1}},
    "spelled": "a\\ud800b",
    "large number": 10**4299,
    "empty keys": {"": {"": [{}, [], "", None]}},
    "deep and half": [nested(210), {"\ud83d": "\ud83d"}],
    "control": "\x00\x1b\u2028",
    "tiny": 5e-324,
    "digits": "9" * 10_000,
}
UNREADABLE: dict[str, object] = {
    "too deep": nested(300),
    "much too deep": nested(3_000),
    "huge number": 10**4300,
    "huger, at an odd place": {"x" * 1234: [-(10**6000)]},
}


def hostile(data: BaseModel, content: object) -> BaseModel | None:
    """The event with that content wherever it takes any, and in its texts where it is one; None where there is none."""
    anywhere: dict[str, object] = {
        "<class 'object'>": content, "dict[str, object]": {"x": content}, "dict[str, object] | None": {"x": content},
        "dict[str, list[object]]": {"": [content, 0]},
    }  # fmt: skip
    if isinstance(content, str):
        anywhere |= {"<class 'str'>": content, "tuple[str, ...]": (content, content), "dict[str, str]": {"x": content}}
    kinds = {name: str(field.annotation).replace("typing.", "") for name, field in type(data).model_fields.items()}
    changed = {name: anywhere[kind] for name, kind in kinds.items() if kind in anywhere}
    return data.model_copy(update=changed) if changed else None


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_written_in_whatever_type_of_event_is_read_back(content: object) -> None:
    tried = 0
    for data in filter(None, (hostile(example, content) for example in EXAMPLES)):
        back = read(data.type, dumped(data))  # type: ignore[attr-defined]
        assert type(back) is type(data)
        assert same(back) == same(data), type(data)
        tried += 1
    assert tried >= (len(EXAMPLES) - 2 if isinstance(content, str) else 8)


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_what_could_not_be_read_back_is_refused_before_it_is_written(content: object) -> None:
    tried = 0
    for data in filter(None, (hostile(example, content) for example in EXAMPLES)):
        with pytest.raises(ValueError, match=r"depth|digits|[Cc]ircular"):
            dumped(data)
        tried += 1
    assert tried >= 8


def test_a_line_that_is_nested_beyond_reading_is_damaged_and_no_crash() -> None:
    for kind in ("warning", "from.the.future"):
        with pytest.raises(ValueError, match="nested too deeply"):
            read(kind, '{"text": "", "facts": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}")


def same(data: BaseModel) -> str:
    return json.dumps(data.model_dump(), default=str)


def fits(value: object, schema: Any, root: Any) -> list[str]:
    """What does not fit: the part of JSON Schema that our models use."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        tried = [fits(value, one, root) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{value!r} is none of {schema['enum']}"]
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
        "boolean": (bool,), "null": (type(None),),
    }  # fmt: skip
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return [f"{value!r} is no {schema['type']}"]
    problems: list[str] = []
    if isinstance(value, dict):
        problems += [f"{name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, part in value.items():
            described = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            if isinstance(described, dict):
                problems += fits(part, described, root)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        problems += [problem for part in value for problem in fits(part, schema["items"], root)]
    return problems
