"""A run as people read it: programs of any executor, calls told once, and what cut-off calls may have cost."""

from __future__ import annotations

import pytest

from moot.chats import event_types as ev
from moot.chats.calls import call_words, inner_lines
from moot.chats.events import Event
from moot.chats.exports.md import markdown
from moot.chats.story import Story

CREATED = ev.RunCreated(chat="study", participants=("exec",), limits={"turns": 4})


def told(*data: tuple[int, object], turn: int = 1) -> Story:
    """Events of one turn of `exec`, each with its attempt; attempt 0 is outside the turn."""
    chosen = ev.SpeakerSelected(policy="p", candidates=("exec",), chosen=("exec",), reason="first", step=1)
    events = [(0, 0, CREATED), (turn, 0, chosen), *((turn if n else 0, n, d) for n, d in data)]
    return Story.of(
        "01run",
        [
            Event(str(type(d).type), at, n, "exec" if n else "", d, "", seq, 1.0)  # type: ignore[attr-defined,arg-type]
            for seq, (at, n, d) in enumerate(events, 1)
        ],
    )


def ran(result: object) -> list[tuple[int, object]]:
    return [
        (1, ev.TurnStarted()),
        (1, ev.EffectIntended(key="code/0", kind="code", digest="d")),
        (1, ev.EffectCompleted(key="code/0", result=result, spent=ev.Spent(code_runs=1))),
    ]


def finished(text: str) -> tuple[int, object]:
    return 1, ev.TurnFinished(reply={"content": text, "source": "exec"})


def calls(*made: tuple[str, str, str]) -> ev.Inner:
    return ev.Inner(message={"content": [{"id": i, "name": n, "arguments": a} for i, n, a in made]})


def test_a_program_of_an_executor_that_is_not_ours_is_shown_with_its_output_and_exit_code() -> None:
    written = {"content": "look", "code_blocks": [{"language": "python", "code": "print(42)"}]}
    begun, *more = ran({"exit_code": 3, "output": "42\n"})
    story = told(begun, (1, ev.Inner(message=written)), *more, finished("x"))
    (block,) = story.turns[1].blocks.values()
    assert block.ran is not None
    assert (block.code, block.ran.exit_code, block.ran.stdout) == ("print(42)", 3, "42\n")
    text = markdown(story)
    assert "```python\nprint(42)\n```\n\n**Exit code 3**\n\nstdout:\n\n```text\n42\n```" in text
    assert "```text\nx\n```" in text  # what it said besides


@pytest.mark.parametrize("result", [None, 7, "text", [], {}, {"exit_code": "no"}, {"language": 1}, {"output": {}}])
def test_a_result_of_unknown_shape_is_shown_as_it_is_and_crashes_no_reader(result: object) -> None:
    story = told(*ran(result), finished("said"))
    (block,) = story.turns[1].blocks.values()
    assert block.ran is None
    assert block.unread
    assert "a shape that this version does not know" in markdown(story)


def test_what_a_later_attempt_repeats_is_told_once() -> None:
    asked = calls(("c1", "look", '{"x": 1}'), ("c2", "look", '{"x": 1}'))
    done = ev.Inner(message={"content": [{"call_id": "c1", "name": "look", "content": "saw 1", "is_error": False}]})
    story = told((1, ev.TurnStarted()), (1, asked), (2, ev.TurnStarted()), (2, asked), (2, done), (2, asked))
    assert story.turns[1].inner == ["look(x=1)"] * 2 + ["look -> saw 1"] + ["look(x=1)"] * 2
    assert "- look(x=1)\n- look(x=1)\n- look -\\> saw 1\n" in markdown(story)


def test_the_output_of_a_block_that_is_not_run_again_stays_known() -> None:
    block = {"language": "python", "exit_code": 0, "stdout": "2"}
    proposed = ev.CodeProposed(key="code/0", language="python", code="print(2)")
    served = ev.CodeFinished(key="code/0", language="python", exit_code=0)
    story = told(
        (1, ev.TurnStarted()), (1, proposed), *ran(block)[1:], (2, ev.TurnStarted()), (2, proposed), (2, served)
    )
    known = story.turns[1].blocks["code/0"].ran
    assert known is not None
    assert known.stdout == "2"


def test_calls_and_results_are_words_and_their_text_has_no_power() -> None:
    hostile = "\x1b[31m\u202ered\nnext" + "x" * 900
    assert call_words("pay", '{"amount": 3, "to": "ann"}') == 'pay(amount=3, to="ann")'
    assert call_words("pay", "{broken") == "pay({broken)"
    failed = {"content": [{"call_id": "c", "name": "pay", "content": hostile, "is_error": True}]}
    (line,) = inner_lines(failed)
    assert line.startswith("pay failed: red next")
    assert len(line) == 300
    rejected = {**failed["content"][0], "content": "This call was not made: rejected by ann: too dear"}
    assert inner_lines({"content": [rejected]}) == ("pay was not made: rejected by ann: too dear",)
    for odd in ({}, {"content": None}, {"content": [1, {"a": object}]}, {"result": 4}, "text", None, 3):
        assert isinstance(inner_lines(odd), tuple)


def intended(usd: float | None) -> ev.EffectIntended:
    reserved = ev.Spent(input_tokens=70, output_tokens=30, usd=usd)
    return ev.EffectIntended(key="model/0", kind="model", digest="d", reserved=reserved)


@pytest.mark.parametrize("usd", [None, 0.5])
def test_a_call_that_was_cut_off_may_have_cost_what_was_held_for_it(usd: float | None) -> None:
    story = told((1, ev.TurnStarted()), (1, intended(usd)), (1, ev.TurnAbandoned(reason="stopped")))
    perhaps = story.spending.doubtful("exec")
    assert (perhaps.tokens, perhaps.usd, story.usage.tokens) == (100, usd, 0)


def test_a_call_that_is_made_again_may_have_cost_twice_and_one_that_was_found_costs_once() -> None:
    spent = ev.EffectCompleted(key="model/0", result={}, spent=ev.Spent(input_tokens=10, usd=0.1))
    again: list[tuple[int, object]] = [
        (2, ev.TurnStarted()),
        (2, ev.EffectUnknown(key="model/0", then="retry")),
        (2, intended(0.5)),
        (2, spent),
    ]
    story = told((1, ev.TurnStarted()), (1, intended(0.5)), *again)
    assert (story.usage.usd, story.spending.doubtful().usd) == (0.1, 0.5)
    found = told(
        (1, ev.TurnStarted()), (1, intended(0.5)), (2, ev.EffectUnknown(key="model/0", then="found")), (2, spent)
    )
    assert (found.usage.usd, found.spending.doubtful().tokens) == (0.1, 0)


def test_an_error_of_several_lines_keeps_them_and_they_are_told_once() -> None:
    error = "TapeError: no reply, it differs:\n- old\n+ new"
    failed = ev.RunFinished(outcome="failed", rule="turn.failed", reason=f"failed: {error}", turn=1)
    story = told((1, ev.TurnStarted()), (1, ev.TurnFailed(error=error)), (0, failed))
    (note,) = story.notes
    assert (note.text[-32:], note.body) == ("TapeError: no reply, it differs:", "- old\n+ new")
    assert markdown(story).count("+ new") == 1


def unknown(then: str, **more: str) -> ev.EffectUnknown:
    return ev.EffectUnknown(key="tool/c1", then=then, **more)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (unknown("retry"), "exec: pay(amount=3) was under way when its process ended: it is made again"),
        (unknown("park"), "exec: pay(amount=3) was under way when its process ended: a person is asked"),
        (unknown("found"), "it was looked up, and what came of it counts"),
        (unknown("given up"), "it is not asked for again"),
        (unknown("raised", error="OSError: gone"), "pay(amount=3) ended with OSError: gone: nobody knows whether"),
    ],
)  # fmt: skip
def test_what_was_done_about_a_call_in_doubt_names_the_call(event: ev.EffectUnknown, said: str) -> None:
    call = ev.EffectIntended(key="tool/c1", kind="tool", digest="d")
    story = told((1, ev.TurnStarted()), (1, calls(("c1", "pay", '{"amount": 3}'))), (1, call), (2, event))
    assert said in story.notes[-1].text


def test_code_that_was_killed_is_said_to_have_taken_its_variables_along() -> None:
    code = ev.EffectIntended(key="code/0", kind="code", digest="d")
    story = told((1, ev.TurnStarted()), (1, code), (2, ev.EffectUnknown(key="code/0", then="found")))
    assert "the variables of the code before it went with that process" in story.notes[-1].text
    assert "looked up" not in story.notes[-1].text


def test_another_request_than_before_an_interruption_is_told_in_one_sentence() -> None:
    facts: dict[str, object] = {"key": "model/0", "recorded": "a", "now": "b"}
    warned = ev.Warned(text="exec asked for something else than before the interruption (model/0)", facts=facts)
    given_up = ev.EffectUnknown(key="model/0", then="given up")
    story = told((1, ev.TurnStarted()), (1, intended(0.5)), (2, warned), (2, given_up))
    assert [note.text for note in story.notes] == [warned.text]


def test_a_question_about_a_call_in_doubt_shows_the_call() -> None:
    payload: dict[str, object] = {"tool": "pay", "arguments": {"amount": 3}, "effect": "tool", "key": "tool/c1"}
    asked = ev.RequestAsked(id="q1", key="k", kind="doubt", digest="d", payload=payload, allow=("approve",))
    story = told((1, ev.TurnStarted()), (1, asked))
    assert "nobody knows whether pay(amount=3) was made" in story.notes[-1].text


def test_a_journal_without_its_beginning_is_damaged_not_empty() -> None:
    event = Event("warning", 0, 0, "", ev.Warned(text="x"), "", 2, 1.0)
    assert "Its journal is damaged" in markdown(Story.of("01run", [event]))
    assert "Its journal is empty" in markdown(Story.of("01run", []))
