"""A run as a document in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from moot.agents.origins import honest
from moot.agents.ran import StoredFile
from moot.chats.clean import clean, clean_line
from moot.chats.event_types import RunCreated, SpeakerSelected
from moot.chats.exports import told
from moot.chats.notes import Note
from moot.chats.story import Story
from moot.chats.telling import Block, Telling
from moot.termination.ledger import Usage

MOST_LISTED = 50
"""How many files one list names."""
_WITHIN = frozenset({"asked", "decided", "failed", "abandoned", "waits"})
"""What happens on the way to a reply: it is told before it."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~&$])")
_ITEM = re.compile(r"^(\d{0,9})([-+.)])(?= |$)")
_ADDRESS = re.compile(r"(?i)\b(www(?=\.)|(?:https?|ftp|mailto|xmpp)(?=:))(.)")
"""What some readers of Markdown make a link of, wherever it stands."""


def markdown(story: Story) -> str:
    """The run as a document. What was said, written or printed stands in fences: none of it is Markdown here."""
    return "\n".join(line for part in _parts(story) for line in (*part, "")).rstrip("\n") + "\n"


def _parts(story: Story) -> Iterator[list[str]]:
    created = story.created
    yield [f"# Run {_inline(story.run)}"]
    if created is None:
        yield [told.damage(story)]
        return
    yield _facts(story, created)
    for text in story.task:
        yield ["## Task", "", *_fenced(text)]
    notes = list(story.notes)
    for number, telling in sorted(story.turns.items()):
        while notes and notes[0].turn < number:
            yield _note(notes.pop(0))
        yield from _head(telling)
        within = max(
            (at for at, note in enumerate(notes, 1) if note.turn == number and note.kind in _WITHIN), default=0
        )
        yield from map(_note, notes[:within])
        del notes[:within]
        yield from _turn(telling)
    for note in notes:
        yield _note(note)
    yield from _end(story)


def _facts(story: Story, created: RunCreated) -> list[str]:
    lines = [f"- {name}: {_inline(value)}" for name, value in told.facts(story, created).items()]
    lines += [f"- {_inline(words)}" for words in honest(created.model_kind, [*created.models.values()])]
    for who, files in created.inputs.items():
        lines += [f"- Input of {_inline(who)}: {_file(file)}" for file in files]
    return lines


def _head(telling: Telling) -> Iterator[list[str]]:
    yield [f"## Turn {telling.number}: {_inline(telling.participant)}"]
    if (why := telling.why) is not None:
        yield _chosen(why)


def _turn(telling: Telling) -> Iterator[list[str]]:
    if telling.inner:
        yield _listed([_inline(line) for line in telling.inner])
    for block in telling.blocks.values():
        yield from _block(block)
    if not telling.finished:
        yield ["*Not finished.*"]
        return
    if not telling.reported:
        yield _fenced(telling.text) if telling.text.strip() else ["*(empty reply)*"]
    spent = f", {telling.usage.tokens} tokens, {_money(telling.usage)}" if telling.usage.tokens else ""
    yield [f"*{telling.seconds:.1f} s{spent}*"]


def _chosen(why: SpeakerSelected) -> list[str]:
    words = f"Chosen because {_inline(why.reason)} ({_inline(told.policy(why))})."
    others = told.others(why)
    return [f"{words} Could have been chosen: {_inline(', '.join(others))}." if others else words]


def _block(block: Block) -> Iterator[list[str]]:
    if block.code:
        yield _fenced(block.code, block.language)
    ran = block.ran
    if block.unread:
        yield ["*Its result has a shape that this version does not know:*"]
        yield _fenced(block.unread)
        return
    if ran is None:
        yield ["*Nothing is known of how it ended.*"]
        return
    ended, details = told.ran_words(ran, block.own)
    between = ": " if ran.skipped is not None else " "
    yield [f"**{_inline(ended)}**{between if details else ''}{_inline(details)}"]
    for name, text in (("stdout", ran.stdout), ("stderr", ran.stderr), ("value", ran.value or "")):
        if text:
            yield [f"{name}:", "", *_fenced(text)]
    if ran.files or ran.not_kept:
        kept = _listed([_file(file) for file in ran.files])
        yield [*kept, *_listed([f"not kept: {_inline(name)}" for name in ran.not_kept])]


def _end(story: Story) -> Iterator[list[str]]:
    done = story.finished
    if done is None:
        yield ["## Not finished", "", *_left(story)]
    else:
        reason = done.reason.partition("\n")[0]  # the rest of an error stands with the attempt that failed
        yield [f"## End: {done.outcome}", "", f"{_inline(reason)} (rule {_inline(done.rule)}, turn {done.turn})"]
        if done.result is not None:
            yield ["### Result", "", *_fenced(done.result)]
    if story.files:
        yield ["### Files", "", *_listed([_file(file) for file in story.files.values()])]
    yield ["### Usage", "", *_usage(story)]
    if pairs := told.pairs(story):
        yield ["### Who spoke after whom", "", *_followed(pairs)]


def _left(story: Story) -> list[str]:
    words, questions = told.left(story)
    return [_inline(words), *(["", *_listed([_inline(question) for question in questions])] if questions else [])]


def _usage(story: Story) -> list[str]:
    rows = [(f"{s.name}{'' if s.seated else f' ({told.SELECTING})'}", s.usage) for s in told.spenders(story)]
    rows.append(("all", story.usage))
    lines = ["| participant | input tokens | output tokens | cost | code runs |", "|---|---:|---:|---:|---:|"]
    for name, usage in rows:
        counts = f"{usage.input_tokens} | {usage.output_tokens} | {_money(usage)} | {usage.code_runs}"
        lines.append(f"| {_inline(name)} | {counts} |")
    if doubt := told.doubt(story):
        lines += ["", _inline(doubt)]
    return lines


def _followed(pairs: Sequence[tuple[str, str, int]]) -> list[str]:
    rows = [f"| {_inline(first) or '*(beginning)*'} | {_inline(then)} | {times} |" for first, then, times in pairs]
    return ["| after | spoke | times |", "|---|---|---:|", *rows]


def _note(note: Note) -> list[str]:
    line = f"> {note.kind}: {_inline(note.text)}"
    return [line, "", *_fenced(note.body)] if note.body.strip() else [line]


def _money(usage: Usage) -> str:
    if usage.usd is not None:
        return f"${usage.usd:.4f}"
    return f"${usage.known_usd:.4f} + unpriced" if usage.known_usd else "unpriced"


def _listed(items: Sequence[str]) -> list[str]:
    """As a list, as long as a reader has patience; the JSON export has them all."""
    more = [f"- and {len(items) - MOST_LISTED:,} more"] if len(items) > MOST_LISTED else []
    return [*(f"- {item}" for item in items[:MOST_LISTED]), *more]


def _file(file: StoredFile) -> str:
    return f"{_inline(file.name)} ({file.size} bytes, sha256 {_inline(file.sha256)})"


def _fenced(text: str, language: str = "text") -> list[str]:
    """In a fence longer than any in the text."""
    text = clean(text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{language if language.isalnum() else 'text'}", *text.split("\n"), fence]


def _inline(text: str) -> str:
    """As it is, whatever Markdown would make of it."""
    text = _SPECIAL.sub(r"\\\1", clean_line(text, 1000))
    return _ITEM.sub(r"\1\\\2", _ADDRESS.sub(r"\1\\\2", text))
