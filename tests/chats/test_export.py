"""A run written down for others, from its journal alone."""

from __future__ import annotations

import json
import re

from markdown_it import MarkdownIt

from moot.agents.ran import RanBlock, StoredFile
from moot.chats import event_types as ev
from moot.chats.events import Event
from moot.chats.exports.jsonl import jsonl
from moot.chats.exports.md import markdown
from moot.chats.memory_store import MemoryStore
from moot.chats.story import Story
from moot.termination.outcome import Outcome
from tests import told_runs
from tests.told_runs import events_of, everything

HOSTILE = (
    "# Not a heading\n```\nnot the end\n````\n<script>alert(1)</script> ![x](http://elsewhere) \x1b[31mred \u202eback"
)


def message(text: str, source: str = "user") -> dict[str, object]:
    return {"type": "TextMessage", "source": source, "content": text}


def chosen(who: str, reason: str, step: int) -> ev.SpeakerSelected:
    return ev.SpeakerSelected(policy="graph", candidates=(who,), chosen=(who,), reason=reason, step=step)


def told(text: str = "said", *, usd: float | None = 0.25) -> list[Event]:
    """One turn of talk and one of code, as a journal that was read back."""
    created = ev.RunCreated(
        chat="study",
        participants=("coder", "runner"),
        limits={"turns": 4, "usd": 2},
        models={"coder": "openai/gpt-5-mini"},
        model_kind="real",
        inputs={"runner": (StoredFile(name="in.csv", size=3, sha256="a" * 64),)},
    )
    file = StoredFile(name="plot|.png", size=9, sha256="b" * 64)
    ran = RanBlock(language="python", exit_code=1, stdout=text, stderr="boom", files=(file,), timed_out=True)
    asked = ev.Spent(input_tokens=5, output_tokens=2, usd=usd)
    done = ev.RunFinished(outcome=Outcome.LIMIT, rule="limits.turns", reason="4 turns taken", turn=2, result=text)
    data: list[tuple[int, str, object]] = [
        (0, "", created),
        (0, "", ev.MessageSaid(message=message(text))),
        (1, "", chosen("coder", "it *opens*", 1)),
        (1, "coder", ev.TurnStarted()),
        (1, "coder", ev.EffectIntended(key="model/0", kind="model", digest="d")),
        (1, "coder", ev.EffectCompleted(key="model/0", result={}, spent=asked)),
        (1, "coder", ev.TurnFinished(reply=message(text, "coder"), seconds=1.5)),
        (2, "", chosen("runner", "coder -> runner", 2)),
        (2, "runner", ev.TurnStarted()),
        (2, "runner", ev.CodeProposed(key="code/0", language="python", code="print('```')")),
        (2, "runner", ev.EffectIntended(key="code/0", kind="code", digest="d")),
        (2, "runner", ev.EffectCompleted(key="code/0", result=ran.model_dump(), spent=ev.Spent(code_runs=1))),
        (2, "runner", ev.CodeFinished(**ran.facts("code/0"))),
        (2, "runner", ev.TurnFinished(reply=message("exit code: 1", "runner"), seconds=0.5)),
        (0, "", ev.Warned(text="something to know")),
        (0, "", done),
    ]  # fmt: skip
    return [
        Event(str(type(d).type), turn, 1 if who else 0, who, d, "", n, 100.0 + n)  # type: ignore[arg-type,attr-defined]
        for n, (turn, who, d) in enumerate(data, 1)
    ]


def outside_fences(text: str) -> str:
    """What Markdown would interpret."""
    kept, fence = [], ""
    for line in text.split("\n"):
        found = re.match(r"(`{3,})(.*)$", line)
        if not fence and found:
            fence = found[1]
        elif fence and line.startswith(fence) and not line.strip("`"):
            fence = ""
        elif not fence:
            kept.append(line)
    assert fence == ""
    return "\n".join(kept)


def test_the_document_tells_who_why_what_was_run_what_it_cost_and_why_it_ended() -> None:
    text = markdown(Story.of("01run", told("the answer is 4")))
    for words in (
        "# Run 01run",
        "- Chat: study",
        "- Models: coder: openai/gpt-5-mini",
        "- Limits: 4 turns, \\$2.00",
        f"- Input of runner: in.csv (3 bytes, sha256 {'a' * 64})",
        "## Turn 1: coder",
        "Chosen because it \\*opens\\* (graph).",
        "*1.5 s, 7 tokens, $0.2500*",
        "````python\nprint('```')\n````",
        "**Exit code 1** after 0.00 s, timed out",
        "stderr:\n\n```text\nboom\n```",
        f"- plot\\|.png (9 bytes, sha256 {'b' * 64})",
        "> warning: something to know",
        "## End: limit",
        "4 turns taken (rule limits.turns, turn 2)",
        "| coder | 5 | 2 | $0.2500 | 0 |",
        "| runner | 0 | 0 | $0.0000 | 1 |",
        "| all | 5 | 2 | $0.2500 | 1 |",
    ):
        assert words in text
    assert text.index("## Turn 1") < text.index("## Turn 2") < text.index("> warning") < text.index("## End")


def test_what_was_said_cannot_leave_its_fence() -> None:
    text = markdown(Story.of("01run", told(HOSTILE)))
    assert text.count("# Not a heading") == 4  # the task, the reply, the output, the result
    seen = outside_fences(text)
    for danger in ("Not a heading", "script", "elsewhere", "not the end"):
        assert danger not in seen
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_what_has_no_price_is_unpriced_not_free() -> None:
    text = markdown(Story.of("01run", told(usd=None)))
    assert "*1.5 s, 7 tokens, unpriced*" in text
    assert "| coder | 5 | 2 | unpriced | 0 |" in text


def test_a_run_that_was_left_and_an_empty_one_can_be_told() -> None:
    events = told()
    for end in range(len(events)):
        assert markdown(Story.of("01run", events[:end])).startswith("# Run 01run")
    assert "## Not finished" in markdown(Story.of("01run", events[:5]))
    assert "*Not finished.*" in markdown(Story.of("01run", events[:5]))


def test_each_line_is_an_envelope_that_holds_every_character_and_drives_no_terminal() -> None:
    events = told(HOSTILE)
    lines = list(jsonl("01run", events))
    assert [json.loads(line) for line in lines] == [event.envelope("01run") for event in events]
    assert json.loads(lines[6])["data"]["reply"]["content"] == HOSTILE
    assert all("\x1b" not in line and "\u202e" not in line and "\n" not in line for line in lines)


def test_a_run_that_was_resumed_says_where_it_went_on() -> None:
    events = told()[:7]
    paused = ev.RunPaused(reason="asked to stop after this turn")
    for data in (paused, ev.RunResumed()):
        events.append(Event(str(data.type), 0, 0, "", data, seq=len(events) + 1))
    text = markdown(Story.of("01run", events))
    assert "> paused: asked to stop after this turn\n\n> resumed: the run goes on with turn 2\n" in text


def test_a_list_of_files_ends_where_patience_does() -> None:
    files = tuple(StoredFile(name=f"f{n}.csv", size=1, sha256="a" * 64) for n in range(1_050))
    not_kept = tuple(f"g{n}.csv: too many" for n in range(51))
    ran = RanBlock(language="python", exit_code=0, files=files, not_kept=not_kept)
    events = [
        Event(event.type, event.turn, event.attempt, event.participant, ev.CodeFinished(**ran.facts("code/0")))
        if isinstance(event.data, ev.CodeFinished)
        else event
        for event in told()
        if not (isinstance(event.data, ev.EffectCompleted) and event.turn == 2)
    ]
    text = markdown(Story.of("01run", events))
    assert text.count("(1 bytes, sha256") == 2 * 50
    assert text.count("- and 1,000 more\n") == 2
    assert "- not kept: g49.csv: too many\n- and 1 more\n" in text


def asking(*more: tuple[int, str, object]) -> Story:
    """A run in which somebody was asked, and whatever came after."""
    payload: dict[str, object] = {"code": f"```bash\n{HOSTILE}\n```"}
    question = ev.RequestAsked(
        id="q1", key="ask-code/0", kind="code", digest="d", payload=payload, allow=("approve", "reject")
    )
    data: list[tuple[int, str, object]] = [
        (0, "", ev.RunCreated(chat="study", participants=("coder",), limits={"turns": 4})),
        (1, "", chosen("coder", "first", 1)),
        (1, "coder", ev.TurnStarted()),
        (1, "coder", question),
        (1, "coder", ev.TurnAbandoned(reason="waits for a person to decide q1")),
        (0, "", ev.RunPaused(reason="waits for a person to decide q1", waiting=("q1",))),
        *more,
    ]  # fmt: skip
    return Story.of("01run", [event(seq, *each) for seq, each in enumerate(data, 1)])


def event(seq: int, turn: int, who: str, data: object) -> Event:
    return Event(str(type(data).type), turn, 1 if who else 0, who, data, seq=seq, ts=1.0)  # type: ignore[attr-defined,arg-type]


def test_a_run_that_waits_is_written_down_with_its_question_and_without_the_power_of_its_words() -> None:
    text = markdown(asking())
    assert "> asked: q1: coder asks whether to run this code" in text
    assert "It waits for a person to decide:\n\n- q1: coder asks whether to run this code" in text
    outside = outside_fences(text)
    assert "alert" not in outside
    assert "Not a heading" not in outside
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_decisions_and_what_people_said_are_written_down_with_who_and_in_order() -> None:
    said = ev.HumanSaid(message=message("look again", "eve"), by="eve", command=2)
    decided = ev.RequestDecided(id="q1", decision="reject", text=HOSTILE, by="eve", digest="d", command=1)
    text = markdown(asking((0, "", ev.RunResumed()), (0, "", decided), (0, "", said)))
    assert text.index("> decided: q1 rejected by eve") < text.index("> said: eve to everybody")
    assert "```text\nlook again\n```" in text
    outside = outside_fences(text)
    assert "alert" not in outside


def test_what_a_person_decided_stands_before_the_reply_that_came_of_it() -> None:
    decided = ev.RequestDecided(id="q1", decision="approve", by="eve", digest="d", command=1)
    done = ev.TurnFinished(reply=message("it is deployed", "coder"))
    text = markdown(
        asking((0, "", ev.RunResumed()), (0, "", decided), (1, "coder", ev.TurnStarted()), (1, "coder", done))
    )
    told = ["## Turn 1: coder", "> asked: q1", "> decided: q1 approved by eve", "it is deployed", "## Not finished"]
    assert [text.index(each) for each in told] == sorted(text.index(each) for each in told)


def test_a_run_whose_question_was_decided_and_that_did_not_go_on_says_so() -> None:
    story = asking()
    story.expect(ev.RequestDecided(id="q1", decision="approve", by="eve", digest="d"))
    assert "What it waited for is decided; nobody has driven it on yet." in markdown(story)


async def test_markdown_of_a_run_in_which_all_happens_has_only_the_headings_of_the_document() -> None:
    calm, hostile = [
        outside_fences(markdown(Story.of("01run", await everything(text, MemoryStore()))))
        for text in ("It seems so", told_runs.HOSTILE)
    ]
    headings = [re.findall(r"^(?:#+ \w+|> \w+:|[-*] |\d+\.|\|)", text, re.MULTILINE) for text in (calm, hostile)]
    assert headings[0] == headings[1]
    read = [MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(text) for text in (calm, hostile)]
    kinds = [[token.type for token in tokens] for tokens in read]
    assert kinds[0] == kinds[1]
    inner = [child.type for tokens in read for token in tokens for child in token.children or []]
    assert set(inner) <= {"text", "text_special", "strong_open", "strong_close", "em_open", "em_close", "softbreak"}
    assert not re.search(r"https?:", hostile)
    for words in (
        "| select (picking the speakers) | 14 | 4 | $1.0000 | 0 |",
        "Could have been chosen: bob, It seems so.",
    ):
        assert words in calm
    assert "| ann | bob | 1 |" in calm


async def test_an_edit_is_written_down_with_the_difference() -> None:
    text = markdown(Story.of("01run", await everything("It seems so", MemoryStore())))
    assert "> decided: q1 edited and approved by It seems so" in text
    assert "--- shown\n+++ edited\n@@ -1 +1 @@\n-It seems so\n+It seems so\n```" in text


def test_what_would_be_a_list_a_link_or_a_mark_is_none() -> None:
    for reason, shown in (
        ("1. first", "1\\. first"), ("- x", "\\- x"), ("12) x", "12\\) x"), ("see http://a.example", "see http\\://a.example"),
        ("WWW.a.example", "WWW\\.a.example"), ("1.5 s", "1.5 s"), ("a - b", "a - b"),
    ):  # fmt: skip
        events = events_of(
            [
                (0, "", ev.RunCreated(chat="study", participants=("coder",), limits={"turns": 4})),
                (0, "", ev.RunPaused(reason="")),
                (0, "", ev.Warned(text=reason)),
            ]
        )
        assert f"> warning: {shown}\n" in markdown(Story.of("01run", events))
