"""A run as a diagram: a line for each thing that happened, which no text can end."""

import re

from moot.chats import event_types as ev
from moot.chats.exports.mermaid import MOST_CHARACTERS, mermaid
from moot.chats.memory_store import MemoryStore
from moot.chats.story import Story
from tests.told_runs import HOSTILE, events_of, everything, message

TEXT = r"(?:[\w .,!?()'/+\-=…●▲■◆★✚▼◇]|#\d+;)+"
LINE = re.compile(
    rf"sequenceDiagram|    actor u as user|    participant p\d as {TEXT}|    (?:p\d|u)->>(?:p\d|u): {TEXT}"
    rf"|    Note over (?:p\d|u)(?:,p\d)?: {TEXT}"
)


async def drawn(text: str) -> list[str]:
    return mermaid(Story.of("01run", await everything(text, MemoryStore()))).splitlines()


async def test_a_diagram_has_who_spoke_to_whom_why_and_how_it_ended() -> None:
    lines = await drawn("It seems so")
    assert lines[:5] == [
        "sequenceDiagram", "    actor u as user", "    participant p1 as ● ann", "    participant p2 as ▲ bob",
        "    participant p3 as ■ It seems so",
    ]  # fmt: skip
    arrows = [line.strip() for line in lines if "->>" in line]
    assert arrows == [
        "u->>p1: It seems so",
        "p1->>p2: It seems so",
        "p1->>p3: (the same)",
        "p2->>u: It seems so",
        "p3->>u: SKIPPED (no sandbox)",
    ]
    why = "turn 1#58; It seems so (It seems so, 3 tries, fallback It seems so)"
    assert f"    Note over p1: {why}" in lines
    assert lines[-1] == "    Note over u,p3: rejected#58; It seems so (rule It seems so, turn 3)"


async def test_no_text_can_end_its_line_or_be_read_as_anything_else() -> None:
    calm, hostile = await drawn("It seems so"), await drawn(HOSTILE)
    assert len(hostile) == len(calm)
    shapes = [[re.sub(r"(as|:) .*", r"\1", line) for line in lines] for lines in (calm, hostile)]
    assert shapes[0] == shapes[1]
    assert [line for line in hostile if not LINE.fullmatch(line)] == []


async def test_each_character_that_mermaid_reads_otherwise_is_a_number() -> None:
    text = 'a;b#c%%d"e<f>g`h$i{j}k[l]m:n|o&p\\q~r^s@t*u\u201cv\U0001f600ﬂ'
    (line,) = [line for line in await drawn(text) if line.startswith("    u->>p1")]
    body = line.partition(": ")[2]
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), body) == text
    assert set(re.sub(r"#\d+;", "", body)) <= set("abcdefghijklmnopqrstuv")


def test_of_a_long_run_the_middle_is_left_out_and_counted() -> None:
    data: list[tuple[int, str, object]] = [
        (0, "", ev.RunCreated(chat="long", participants=("ann", "bob"), limits={"turns": 1000})),
    ]
    for turn in range(1, 1001):
        who = ("ann", "bob")[turn % 2]
        choice = ev.SpeakerSelected(policy="order", candidates=(), chosen=(who,), reason=";" * 90, step=turn)
        reply = ev.TurnFinished(reply=message(f"turn {turn} {';' * 90}", who))
        data += [(turn, "", choice), (turn, who, ev.TurnStarted()), (turn, who, reply)]
    text = mermaid(Story.of("01run", events_of(data)))
    assert len(text) < MOST_CHARACTERS + 2_000
    found = re.search(r"Note over u: ([\d,]+) steps are left out here", text)
    assert found is not None
    kept = {int(number) for number in re.findall(r"Note over p\d: turn (\d+)", text)}
    assert {1, 2, 3, 998, 999, 1000} <= kept
    assert len(kept) + int(found[1].replace(",", "")) == 1000


async def test_a_run_that_was_left_at_any_point_is_a_diagram_too() -> None:
    events = await everything("It seems so", MemoryStore())
    for end in range(len(events)):
        for start in (0, 1):
            lines = mermaid(Story.of("01run", events[start:end])).splitlines()
            assert [line for line in lines if not LINE.fullmatch(line)] == []
