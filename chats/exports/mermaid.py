"""A run as a sequence diagram for Mermaid: its turns with their reasons."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from moot.chats.clean import clean_line
from moot.chats.exports import told
from moot.chats.followed import speakers, steps
from moot.chats.marks import MARKS, mark
from moot.chats.notes import Note
from moot.chats.story import Story
from moot.chats.telling import Telling

MOST_CHARACTERS = 45_000
"""Of a diagram. Mermaid refuses more than 50,000, so of longer runs the middle is left out."""
_SAID, _WHY = 80, 100
"""Characters of what was said and of a reason that are shown."""
_PLAIN = frozenset(" .,!?()'/+-=_…" + MARKS)
"""What stands for itself besides letters and digits. Everything else is written as a number, as Mermaid reads it: no
text can end a line, begin a comment, or be read as a keyword, a formula or HTML.
"""
_ITS_OWN = frozenset("ﬂ")
"""A letter by which Mermaid marks such numbers inside."""


def mermaid(story: Story) -> str:
    """The diagram: `user` gives the task, each speaker addresses the one who speaks next."""
    lines = ["sequenceDiagram"]
    names = {name: f"p{number}" for number, name in enumerate(speakers(story), 1)}
    lines += ["    actor u as user"]
    lines += [f"    participant {alias} as {_text(f'{mark(story, name)} {name}', 40)}" for name, alias in names.items()]
    opening = [_over(names, f"run {story.run}, chat {story.created.chat}" if story.created else told.damage(story))]
    return "\n".join([*lines, *opening, *_fitting(list(_steps(story, names))), *_end(story, names)]) + "\n"


def _steps(story: Story, names: dict[str, str]) -> Iterator[list[str]]:
    """The lines of each step: what was said before it, to whom, and why they speak."""
    before = [("u", " ".join(story.task) or "the task")]
    notes = deque(note for note in story.notes if note.kind != "waits")  # the question says so
    for step in steps(story):
        lines = []
        while notes and notes[0].turn < step[0].number:
            lines.append(_over(names, _note(notes.popleft())))
        lines += list(_arrows(before, [names[turn.participant] for turn in step]))
        lines += [f"    Note over {names[turn.participant]}: {_text(_why(turn), _WHY)}" for turn in step]
        before = [(names[turn.participant], _said(turn)) for turn in step]
        yield lines
    rest = [_over(names, _note(note)) for note in notes]
    yield [*rest, *_arrows(before, ["u"])] if story.turns else rest


def _arrows(said: Sequence[tuple[str, str]], to: Sequence[str]) -> Iterator[str]:
    """Everything that was said goes to the first of those who speak next; the others heard the same."""
    for alias, text in said:
        yield f"    {alias}->>{to[0]}: {_text(text, _SAID)}"
    for alias in to[1:]:
        yield f"    {said[0][0]}->>{alias}: (the same)"


def _why(turn: Telling) -> str:
    if turn.why is None:
        return f"turn {turn.number}"
    return f"turn {turn.number}: {clean_line(turn.why.reason, _WHY - 30)} ({told.policy(turn.why)})"


def _said(turn: Telling) -> str:
    if not turn.finished:
        return "(not finished)"
    last = next(reversed(turn.blocks.values()), None)
    if not turn.reported or last is None or last.ran is None:
        return turn.text.strip() or "(empty reply)"
    ended, _ = told.ran_words(last.ran, last.own)
    printed = last.ran.stdout.strip() or last.ran.stderr.strip()
    return f"{ended}: {printed}" if printed else ended


def _note(note: Note) -> str:
    return f"{note.kind}: {note.text}"


def _over(names: dict[str, str], text: str) -> str:
    """A note that belongs to nobody."""
    last = list(names.values())[-1] if names else "u"
    return f"    Note over u{',' + last if last != 'u' else ''}: {_text(text, 160)}"


def _end(story: Story, names: dict[str, str]) -> list[str]:
    done = story.finished
    if done is None:
        return [_over(names, told.left(story)[0])]
    reason = clean_line(done.reason.partition("\n")[0], 110)
    return [_over(names, f"{done.outcome}: {reason} (rule {done.rule}, turn {done.turn})")]


def _fitting(parts: Sequence[list[str]]) -> list[str]:
    """As many of the first and of the last as there is room for, and how many are missing between them."""
    room, first, last = MOST_CHARACTERS, 0, len(parts)
    while first < last:
        at = first if first <= len(parts) - last else last - 1
        room -= sum(len(line) + 1 for line in parts[at])
        if room < 0:
            break
        first, last = (first + 1, last) if at == first else (first, last - 1)
    kept = [line for part in parts[:first] for line in part]
    if first < last:
        kept.append(f"    Note over u: {_text(f'{last - first:,} steps are left out here', 60)}")
    return [*kept, *(line for part in parts[last:] for line in part)]


def _text(text: str, limit: int) -> str:
    """As it is, whatever Mermaid would make of it; never empty."""
    line = clean_line(text, limit) or "…"
    return "".join(char if _is_plain(char) else f"#{ord(char)};" for char in line)


def _is_plain(char: str) -> bool:
    return char in _PLAIN or (char.isalnum() and char not in _ITS_OWN)
