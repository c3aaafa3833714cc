"""What a run looks like, live and in a log."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from moot.agents.ran import RanBlock, StoredFile
from moot.chats import event_types as ev
from moot.chats.clean import clean, clean_line, shown_json
from moot.chats.events import Event
from moot.chats.story import Story
from moot.cli import shown
from moot.cli.budget import budget_left
from moot.cli.clip import clip
from moot.cli.display_live import Region, Speaking
from moot.cli.display_plain import PlainDisplay
from moot.cli.words import count, dollars, few, money, seconds, size, spent, tokens
from moot.termination.ledger import Usage
from moot.termination.outcome import Outcome


class Journal:
    """Events of one run, each applied and shown as it is added."""

    def __init__(self, width: int = 80, **created: object) -> None:
        self.out = io.StringIO()
        self.story = Story("01run")
        self.display = PlainDisplay(
            Console(file=self.out, width=width, markup=False, emoji=False, highlight=False, force_terminal=False)
        )
        self.display.open("01ru")
        given: dict[str, object] = {"chat": "c", "participants": ("ann", "runner"), "limits": {"turns": 4}, **created}
        self.add(ev.RunCreated.model_validate(given))
        self.turn = 0

    def add(self, data: object, turn: int = 0, who: str = "") -> None:
        event = Event(str(type(data).type), turn, 1 if who else 0, who, data)  # type: ignore[attr-defined,arg-type]
        self.story.apply(event)
        self.display.event(event, self.story, past=False)

    def says(self, who: str, text: str, spent: ev.Spent | None = None) -> None:
        self.begin(who)
        if spent is not None:
            self.add(ev.EffectIntended(key="model/0", kind="model", digest=""), self.turn, who)
            self.add(ev.EffectCompleted(key="model/0", result={}, spent=spent), self.turn, who)
        self.end(who, text)

    def runs(self, who: str, code: str, ran: RanBlock) -> None:
        self.begin(who)
        self.add(ev.CodeProposed(key="code/0", language="python", code=code), self.turn, who)
        self.add(ev.EffectIntended(key="code/0", kind="code", digest=""), self.turn, who)
        self.add(ev.EffectCompleted(key="code/0", result=ran, spent=ev.Spent(code_runs=1)), self.turn, who)
        self.add(ev.CodeFinished.model_validate(ran.facts("code/0")), self.turn, who)
        self.end(who, "exit code")

    def begin(self, who: str) -> None:
        self.turn += 1
        choice = ev.SpeakerSelected(policy="p", candidates=(who,), chosen=(who,), reason="[b]why[/b]", step=self.turn)
        self.add(choice, self.turn)
        self.add(ev.TurnStarted(), self.turn, who)

    def end(self, who: str, text: str) -> None:
        reply = {"type": "TextMessage", "source": who, "content": text}
        self.add(ev.TurnFinished(reply=reply, seconds=0.4), self.turn, who)

    @property
    def text(self) -> str:
        return self.out.getvalue()


WIDTHS = [20, 40, 80, 200]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    journal = Journal(width, inputs={"runner": ()}, models={"ann": "playbook:x"}, model_kind="scripted")
    journal.add(ev.MessageSaid(message={"content": "question " * 40, "source": "user"}))
    journal.says("ann", "a long answer " * 60)
    journal.says("ann", "漢字" * 120)
    journal.says("ann", "```python\nprint('" + "x" * 300 + "')\n```")
    journal.runs("runner", "print('" + "x" * 300 + "')", RanBlock(language="python", exit_code=0, stdout="y" * 500))
    journal.add(ev.Warned(text="something " * 30))
    journal.display.end(journal.story)
    from rich.cells import cell_len

    assert max(cell_len(line) for line in journal.text.splitlines()) <= width
    assert "why[/b]" in journal.text.replace("\n", "")


def test_a_turn_of_code_is_one_block_of_program_output_and_files() -> None:
    journal = Journal(inputs={"runner": ()})
    journal.says("ann", "Look:\n```python\nprint(2)\n```\nDone.")
    plot = StoredFile(name="plot.png", size=23_000, sha256="a" * 64)
    ran = RanBlock(
        language="python", exit_code=0, stdout="2\n", seconds=1.2, files=(plot,), not_kept=("big.bin: too large",)
    )
    journal.runs("runner", "print(2)\n", ran)
    shown_lines = [line.rstrip() for line in journal.text.splitlines()]
    at = shown_lines.index("   ┌ python")
    assert shown_lines[at : at + 6] == [
        "   ┌ python",
        "   │ print(2)",
        "   ├ exit code 0 · 1.2s",
        "   │ 2",
        "   │ not kept: big.bin: too large",
        "   └ plot.png 23 kB",
    ]
    assert journal.text.count("print(2)") == 1  # where it runs, not where it was said
    assert "[python, 1 line: shown where it runs]" in journal.text


def test_code_that_nobody_ran_is_shown_at_the_end() -> None:
    journal = Journal(inputs={"runner": ()})
    journal.says("ann", "```python\nprint(2)\n```")
    journal.display.end(journal.story)
    assert "┌ python, not run" in journal.text
    assert "│ print(2)" in journal.text


def test_code_that_nobody_runs_next_is_shown_where_it_was_said() -> None:
    journal = Journal(inputs={"runner": ()}, participants=("ann", "bob", "runner"))
    journal.says("ann", "```python\nprint(2)\n```")
    journal.says("bob", "I would not.")
    journal.display.end(journal.story)
    assert journal.text.count("print(2)") == 1
    assert journal.text.index("● ann") < journal.text.index("│ print(2)") < journal.text.index("▲ bob")


def test_blocks_that_cannot_be_run_or_may_never_be_stay_where_they_were_said() -> None:
    journal = Journal(inputs={"runner": ()})
    blocks = ("```javascript\nalert(1)\n```", "~~~python\nprint(2)\n~~~", "```python\nprint(3)\n```")
    journal.says("ann", "\n\n".join(["First:", *blocks, "That is all."]))
    said = journal.text
    for words in ("alert(1)", "[python, 1 line: shown where it runs]", "print(3)", "That is all."):
        assert words in said
    assert "print(2)" not in said
    journal.runs("runner", "print(2)\n", RanBlock(language="python", exit_code=1))
    journal.says("ann", "It failed.")
    journal.display.end(journal.story)
    later = journal.text[len(said) :]
    assert later.count("print(2)") == 1
    assert "alert(1)" not in later
    assert "print(3)" not in later
    assert "not run" not in later


def test_a_program_that_the_executor_passes_over_is_shown_with_it() -> None:
    journal = Journal(inputs={"runner": ()})
    journal.says("ann", "```python\nprint(2)\n```")
    journal.runs("runner", "print(1)\n", RanBlock(language="python", exit_code=0))
    assert journal.text.index("│ print(1)") < journal.text.index("┌ python, not run") < journal.text.index("│ print(2)")


@pytest.mark.parametrize(
    "text",
    [
        "```a\n" * 20_000,
        "```\n" * 20_001,
        "```python\n" + "```a\n" * 20_000 + "~~~",
        "```python " * 20_000,
        "`" * 100_000,
    ],
)
def test_a_reply_of_nothing_but_fences_is_shown_at_once(text: str) -> None:
    """What would take minutes where every fence was looked for from every other."""
    journal = Journal(inputs={"runner": ()})
    journal.says("ann", text)
    journal.display.end(journal.story)
    assert "in all" in journal.text


def test_thousands_of_files_take_a_few_lines() -> None:
    journal = Journal(inputs={"runner": ()})
    files = tuple(StoredFile(name=f"f{n}.csv", size=1, sha256="a" * 64) for n in range(9_000))
    not_kept = tuple(f"g{n}.csv (1 bytes): too many" for n in range(1_005))
    journal.runs("runner", "x", RanBlock(language="python", exit_code=0, files=files, not_kept=not_kept))
    assert len(journal.text.splitlines()) < 20
    assert "f4.csv 1 B · and 8,995" in journal.text
    assert "│ not kept: g4.csv (1 bytes): too many\n   │ and 1,000 more\n" in journal.text
    assert few([]) == []
    assert few(list("abcde")) == list("abcde")


def test_the_reason_for_a_goal_does_not_repeat_the_answer_and_a_failure_keeps_all_of_it() -> None:
    answer = "DONE: Yes, mpg falls as weight rises: r = -0.83 (95 % interval -0.86 to -0.80)"
    said = f"ann said {answer!r} and the last code run (runner) succeeded"
    for outcome, reason, words in (
        (
            Outcome.GOAL,
            said,
            "goal: ann said 'DONE: Yes, mpg falls as ...' and the last code run (runner) succeeded (rule",
        ),
        (Outcome.GOAL, "ann said 'DONE: 2'", "goal: ann said 'DONE: 2' (rule"),
        (Outcome.GOAL, f'ann said "{answer}"', 'rises: r = -0.83 (95 % interval ..." (rule'),
        (Outcome.GOAL, "x" * 500, f"goal: {'x' * 79}… (rule"),
        (
            Outcome.FAILED,
            "the engine is gone, " * 40,
            f"failed: {'the engine is gone, ' * 39}the engine is gone, (rule",
        ),
    ):
        journal = Journal(width=2000)
        journal.add(ev.RunFinished(outcome=outcome, rule="done", reason=reason, turn=1))
        journal.display.end(journal.story)
        assert words in journal.text


@pytest.mark.parametrize(
    ("ran", "words"),
    [
        (RanBlock(language="python", exit_code=124, timed_out=True), "exit code 124 · 0.0s · timed out"),
        (RanBlock(language="python", exit_code=137, oom=True), "out of memory"),
        (RanBlock(language="python", exit_code=0, truncated=True), "output truncated"),
        (RanBlock(language="python", exit_code=0, state_lost=True), "variables lost"),
        (RanBlock(language="python", exit_code=0), "nothing was printed"),
        (RanBlock(language="python", exit_code=-1, skipped="no sandbox: no engine"), "SKIPPED (no sandbox): no engine"),
    ],
)
def test_what_became_of_code_is_said(ran: RanBlock, words: str) -> None:
    journal = Journal(inputs={"runner": ()})
    journal.runs("runner", "x", ran)
    assert words in journal.text


def test_failures_warnings_and_budgets_are_shown() -> None:
    journal = Journal()
    journal.begin("ann")
    journal.add(ev.TurnFailed(error="RuntimeError: \x1b[31mno"), 1, "ann")
    journal.add(ev.Warned(text="a warning"), 1, "ann")
    journal.add(ev.BudgetWarning(limit="turns", spent="3 of 4 turns"))
    journal.add(ev.MessageSaid(message={"content": "Wrap up.", "source": "moot"}, to=("ann",)))
    for words in (
        "! attempt 1 of ann failed: RuntimeError: no",
        "! a warning",
        "! 3 of 4 turns are spent",
        "· to ann: Wrap up.",
    ):
        assert words in journal.text
    assert "\x1b" not in journal.text


def test_money_that_is_not_known_is_never_zero() -> None:
    journal = Journal()
    journal.says("ann", "words", ev.Spent(input_tokens=5, output_tokens=5, usd=None))
    journal.add(ev.RunFinished(outcome=Outcome.GOAL, rule="done", reason="so", turn=1))
    journal.display.end(journal.story)
    assert "✔ goal: so (rule done, turn 1) · 10 tok · unpriced · 0.4s" in journal.text
    assert money(Usage(known_usd=0.5, priced=False)) == "$0.50 + unpriced"
    assert money(Usage()) == "$0.00"


def test_what_is_left_of_every_limit_is_counted_from_the_journal() -> None:
    journal = Journal(limits={"rounds": 3, "turns": 5, "usd": 1, "tokens": 5000, "seconds": 90, "code_runs": 8})
    journal.says("ann", "words", ev.Spent(input_tokens=900, output_tokens=100, usd=0.25))
    journal.runs("runner", "x", RanBlock(language="python", exit_code=0))
    assert budget_left(journal.story) == "3 turns · $0.75 · 4.0k tok · 1m29s of work · 7 code runs"


SIZES = [(40, 8), (80, 24), (120, 6), (200, 60)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("speakers", [0, 1, 2, 30])
def test_the_live_region_is_never_higher_than_the_terminal(width: int, height: int, speakers: int) -> None:
    journal = Journal()
    region = Region(journal.story, notice="stopping after this turn; Ctrl-C again stops now")
    for number in range(1, speakers + 1):
        turn = Speaking(number, "ann", 0.0, code="print()\n" * 50, language="python")
        turn.hear("stdout", "line of output \x1b[31m that is long\n" * 500)
        region.speaking[number] = turn
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, markup=False, highlight=False, force_terminal=False)
    console.print(region)
    lines = out.getvalue().splitlines()
    assert len(lines) <= height - 2
    assert max(len(line) for line in lines) <= width
    assert any("stopping after this turn" in line for line in lines)
    assert any("left 4 turns" in line for line in lines)
    assert "\x1b" not in out.getvalue()


def test_a_text_that_still_comes_is_remembered_only_as_far_as_it_fits() -> None:
    turn = Speaking(1, "ann", 0.0)
    for _ in range(1000):
        turn.hear("token", "0123456789" * 100)
    assert len(turn.said) <= 8000
    assert turn.doing == "speaking"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain\ttext\nof two lines", "plain\ttext\nof two lines"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r\x1b\\dcs", "dcs"),
        ("\x9b31mc1 \x85 next", "31mc1 \n next"),
        ("a\x1b", "a"),
        ("10%\r20%\r\nnext", "10%\n20%\nnext"),
        ("\u202eabc\u2066def\u200e", "abcdef"),
        ("bell\x07 back\x08 null\x00", "bell back null"),
        ("lone \ud800 half", "lone \ufffd half"),
        ("familie 👩‍👩‍👧 漢字 é", "familie 👩‍👩‍👧 漢字 é"),
        ("\x1b\x1b[[31mnested", "31mnested"),
    ],
)
def test_what_drives_terminals_is_taken_out_and_the_rest_stays(text: str, safe: str) -> None:
    assert clean(text) == safe
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", clean(text))


def test_a_text_is_clipped_by_lines_and_characters_and_says_how_long_it_is() -> None:
    assert clip("short") == ("short", "")
    assert clip("\n".join("abc"), lines=2) == ("a\nb", "5 B in all, 3 lines")
    assert clip("x" * 50, characters=10) == ("x" * 10, "50 B in all, 1 line")
    assert clip("\x1b[31m" * 2_000_000 + "x")[1] == "10 MB in all, 1 line"
    assert clean_line("one\ntwo " * 99, 20) == "one two one two one…"


def test_json_keeps_every_character_and_drives_no_terminal() -> None:
    import json

    value = {"a": "\x1b[31m \u202e é 漢 \x9b \U000e0041 \ud800"}
    text = shown_json(value)
    assert json.loads(text) == value
    assert "é 漢" in text
    assert not re.search("[\x1b\u202e\x9b\U000e0041\ud800]", text)


def test_numbers_that_json_cannot_hold_are_texts() -> None:
    import json

    value = {"a": [float("nan"), {"b": float("-inf")}], "c": (1.5, 2)}
    for indent in (None, 2):
        text = shown_json(value, indent)
        assert json.loads(text, parse_constant=pytest.fail) == {"a": ["NaN", {"b": "-Infinity"}], "c": [1.5, 2]}


def test_amounts_are_read_easily() -> None:
    assert [size(n) for n in (0, 999, 1000, 23_456, 5_000_000, 2 * 10**9)] == [
        "0 B", "999 B", "1.0 kB", "23 kB", "5.0 MB", "2.0 GB",
    ]  # fmt: skip
    assert [seconds(s) for s in (0.04, 9.94, 9.96, 59.4, 59.6, 3599, 7620)] == [
        "0.0s", "9.9s", "10s", "59s", "1m00s", "59m59s", "2h07m",
    ]  # fmt: skip
    assert [tokens(n) for n in (0, 999, 1900, 2_500_000)] == ["0 tok", "999 tok", "1.9k tok", "2.5M tok"]
    assert [dollars(d) for d in (0, 0.0004, 0.01, 12)] == ["$0.00", "$0.0004", "$0.01", "$12.00"]
    assert [count(n, "turn") for n in (0, 1, 2)] == ["0 turns", "1 turn", "2 turns"]


def test_names_of_participants_keep_their_mark_and_colour() -> None:
    journal = Journal(participants=tuple(f"p{n}" for n in range(12)))
    marks = [shown.who(journal.story, f"p{n}") for n in range(12)]
    assert len({(mark.plain[0], str(mark.style)) for mark in marks[:8]}) == 8
    assert marks[0].plain == "● p0"


def asks(journal: Journal, kind: str, payload: dict[str, object], *allow: str) -> None:
    """The participant whose turn it is asks a person."""
    data = ev.RequestAsked(
        id="q1", key="ask/0", kind=kind, digest="d", payload=payload, allow=allow or ("approve", "reject")
    )
    journal.add(data, journal.turn, "ann")


DANGERS = ("\x1b", "\x07", "\u202e")
EVIL = "rm -rf \x1b]0;owned\x07/ \u202e" + "w" * 300
QUESTIONS: list[tuple[str, dict[str, object], str]] = [
    ("code", {"code": f"```bash\n{EVIL}\n```"}, "ann asks whether to run this code"),
    ("code", {"code": f"{EVIL}\n```bash\nls\n```"}, "ann asks whether to run this code"),
    ("code", {"code": EVIL, "language": "python\x1b"}, "ann asks whether to run this code"),
    ("tool", {"tool": "send\x1b[2J", "arguments": {"to": EVIL}}, "ann asks whether to call send"),
    ("input", {"prompt": EVIL}, "ann asks for an answer"),
    ("doubt", {"effect": "tool", "key": f"tool/{EVIL}", "name": "r/1/tool"}, "nobody knows whether tool"),
    ("later", {"anything": [EVIL]}, "ann asks for a decision (later)"),
]


@pytest.mark.parametrize(("kind", "payload", "words"), QUESTIONS)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_question_is_asked_in_the_width_there_is_whatever_is_in_it(
    width: int, kind: str, payload: dict[str, object], words: str
) -> None:
    from rich.cells import cell_len

    journal = Journal(width)
    journal.begin("ann")
    asks(journal, kind, payload)
    asked = journal.text
    journal.display.end(journal.story)
    assert max(cell_len(line) for line in asked.splitlines()) <= width
    assert not any(danger in journal.text for danger in DANGERS)
    assert "".join(words.split()) in "".join(asked.split()).replace("│", "")
    assert asked.replace("\n", "").count("w") >= 300 or kind in ("doubt", "tool")
    for command in ("moot inbox approve 01ru q1", 'moot inbox reject 01ru q1 "the reason"'):
        assert f"  {command}\n" in journal.text  # on one line at any width: it is to be copied


def test_what_cannot_be_shown_of_a_question_is_said() -> None:
    for payload, hidden in (("print(1)", False), ("print(1) # \u202e", True)):
        journal = Journal()
        journal.begin("ann")
        asks(journal, "code", {"code": payload})
        assert ("it holds characters that are not shown here" in journal.text) == hidden


def test_a_long_question_is_cut_and_says_where_all_of_it_is() -> None:
    journal = Journal()
    journal.begin("ann")
    asks(journal, "code", {"code": "print(1)\n" * 500})
    assert journal.text.count("print(1)") < 100
    assert "4.5 kB in all, 501 lines: moot inbox show 01ru q1" in journal.text


def test_the_end_of_a_run_that_waits_says_for_what_until_it_is_decided() -> None:
    journal = Journal()
    journal.begin("ann")
    asks(journal, "input", {"prompt": "Which table?"}, "respond")
    journal.add(ev.TurnAbandoned(reason="waits for a person to decide q1"), journal.turn, "ann")
    journal.add(ev.RunPaused(reason="waits for a person to decide q1", waiting=("q1",)))
    before = len(journal.text)
    journal.display.end(journal.story)
    assert "given up" not in journal.text
    assert "‖ waiting: 1 question to a person" in journal.text
    assert (
        'q1 ann asks for an answer: Which table?\n  moot inbox respond 01ru q1 "the answer"\n' in journal.text[before:]
    )

    stale = ev.RequestDecided(id="q1", decision="respond", text="the second", by="eve", digest="other")
    journal.story.expect(stale)
    assert len(journal.story.waiting) == 1
    journal.story.expect(stale.model_copy(update={"digest": "d"}))
    assert journal.story.waiting == []
    before = len(journal.text)
    journal.display.end(journal.story)
    assert "‖ paused: what it waited for is decided" in journal.text[before:]
    assert "moot inbox" not in journal.text[before:]


def test_a_question_whose_turn_ended_without_an_answer_waits_for_nobody() -> None:
    journal = Journal()
    journal.begin("ann")
    asks(journal, "input", {"prompt": "Which table?"}, "respond")
    journal.end("ann", "I shall take the second one.")
    assert journal.story.waiting == []
    assert journal.story.asked["q1"].dropped


SAID = {"type": "TextMessage", "source": "eve", "content": "line one\n\x1b[31mline two"}
NOTED: list[tuple[object, str]] = [
    (ev.HumanSaid(message=SAID, by="eve"), "» eve to everybody\n      line one\n      line two\n"),
    (ev.HumanSaid(message=SAID, to=("ann", "runner")), "» somebody to ann, runner\n      line one"),
    (ev.PauseAsked(command=1, by="eve"), "! eve asked to pause\n"),
    (ev.PauseAsked(command=1, now=True), "! somebody asked to pause now\n"),
    (ev.StopAsked(command=1, by="eve\x1b[2J", reason="enough", now=True), "! eve asked to stop now: enough\n"),
    (ev.CommandRefused(command=1, by="eve", reason="too late"), "! what eve asked for changed nothing: too late\n"),
    (
        ev.RequestDecided(id="q1", decision="reject", by="eve", text="not\nthis", digest=""),
        "» q1 rejected by eve\n      not\n      this\n",
    ),
    (ev.RequestDecided(id="q1", decision="approve", digest=""), "» q1 approved by somebody\n"),
]


@pytest.mark.parametrize(("data", "words"), NOTED)
def test_what_people_said_asked_and_decided_is_shown_with_who_did(data: object, words: str) -> None:
    journal = Journal()
    journal.add(data)
    assert f"   {words}" in journal.text
    assert "\x1b" not in journal.text


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("retry", "it is made again"),
        ("park", "a person is asked"),
        ("found", "it was looked up, and what came of it counts"),
        ("given up", "it is not asked for again"),
        ("something new", "something new"),
    ],
)
def test_what_is_done_about_an_effect_in_doubt_is_said_once(then: str, words: str) -> None:
    journal = Journal(120)
    journal.begin("ann")
    journal.add(ev.EffectIntended(key="model/0", kind="model", digest=""), journal.turn, "ann")
    journal.add(ev.EffectUnknown(key="model/0", then=then), journal.turn, "ann")
    if then == "retry":
        facts: dict[str, object] = {"key": "model/0", "kind": "model"}
        journal.add(ev.Warned(text="model/0 is made again", facts=facts), journal.turn, "ann")
    assert f"! ann: model model/0 was under way when its process ended: {words}\n" in journal.text
    assert journal.text.count(words) == 1


def test_what_cut_off_calls_may_have_cost_stands_beside_what_is_spent() -> None:
    free, sure = Usage(), Usage(input_tokens=1200, known_usd=0.01)
    assert spent(free, free) == "0 tok · $0.00"
    assert spent(free, Usage(input_tokens=177, priced=False)).startswith(
        "0 tok · unpriced (+ up to 177 tok, unpriced of"
    )
    assert spent(sure, Usage(output_tokens=4100, known_usd=0.04)) == (
        "1.2k tok · $0.01 (+ up to 4.1k tok, $0.04 of calls that were cut off)"
    )


def test_a_program_that_a_question_showed_is_not_shown_again_when_another_one_runs() -> None:
    journal = Journal(80, inputs={"runner": ()})
    journal.says("ann", "so:\n```python\nprint(6)\n```\n")
    journal.begin("runner")
    asked = {"id": "q1", "key": "ask-code/0", "kind": "code", "digest": "d", "payload": {"code": "print(6)"}}
    journal.add(ev.RequestAsked.model_validate({**asked, "allow": ("edit",)}), journal.turn, "runner")
    journal.end("runner", "exit code: 0")
    assert journal.text.count("print(6)") == 1
    assert "not run" not in journal.text
