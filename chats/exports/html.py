"""A run as one page of HTML that needs nothing besides: no network, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from markupsafe import Markup

from moot.agents.origins import honest
from moot.agents.ran import StoredFile
from moot.chats import marks, notes, words
from moot.chats.clean import clean, clean_line
from moot.chats.exports import prose, told
from moot.chats.exports.pictures import Picture
from moot.chats.followed import followed, speakers
from moot.chats.notes import Asked, Note
from moot.chats.story import Story
from moot.chats.telling import Telling
from moot.termination.outcome import Outcome

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.runtime import Context

MOST_FILES = 50
"""How many files one list names."""
MOST_LINKED = 150
"""How many turns the page's index has room for."""
MOST_ACROSS = 12
"""How many speakers a matrix has room for; of more there is a list."""
COLORS = 8
"""How many participants have a colour of their own."""
_WITHIN = frozenset({"failed", "abandoned", "doubt"})
"""What is told of a turn before its reply."""
_SAID_ELSEWHERE = frozenset({"asked", "decided", "waits"})
"""What the questions of a turn say."""
_SIGNS = {Outcome.GOAL: "✔", Outcome.FAILED: "✘", Outcome.REJECTED: "✘"}
_KINDS = {"scripted": "SCRIPTED", "replayed": "REPLAYED", "mixed": "PARTLY SCRIPTED OR REPLAYED"}


@dataclass(slots=True)
class Shown:
    """A turn with what is told beside it."""

    turn: Telling
    questions: list[Asked] = field(default_factory=list)
    within: list[Note] = field(default_factory=list)
    after: list[Note] = field(default_factory=list)
    said_before: bool = False
    """Whether the code it ran stands in an earlier message, so that it need not be read twice."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, or why it does not go on. `kind` is an outcome, or `open`."""

    kind: str
    sign: str
    word: str
    reason: str
    rule: str = ""
    questions: Sequence[str] = ()


def html(story: Story, pictures: Mapping[str, Picture]) -> str:
    """The whole page. Whatever the journal holds is text in it: names, messages, code and reasons alike."""
    created = story.created
    turns, before = _turns(story)
    names = speakers(story)
    page = {
        "story": story,
        "created": created,
        "ending": _ending(story),
        "damage": told.damage(story) if created is None else "",
        "kind": _KINDS.get(created.model_kind, "") if created is not None else "",
        "honest": honest(created.model_kind, [*created.models.values()]) if created is not None else [],
        "facts": told.facts(story, created) if created is not None else {},
        "before": before,
        "turns": turns,
        "spenders": list(told.spenders(story)),
        "doubt": told.doubt(story),
        "pairs": told.pairs(story),
        "followed": followed(story),
        "names": names,
        "pictures": pictures,
        "first": _first(story),
        "colors": prose.Colors(),
        "seat": lambda name: _seat(story, name),
        "who": lambda name: _who(story, name),
    }
    return _template().render(page)


def _seat(story: Story, name: str) -> str:
    """The class of what is a participant's: its colour."""
    return f"p{marks.place(story, name) % COLORS}" if _is_seated(story, name) else "nobody"


def _who(story: Story, name: str) -> Markup:
    """A name in its colour, with its sign."""
    sign = f"{marks.mark(story, name)} " if _is_seated(story, name) else ""
    return Markup('<bdi class="who {}">{}{}</bdi>').format(_seat(story, name), sign, clean_line(name, 80))


def _is_seated(story: Story, name: str) -> bool:
    return story.created is not None and name in story.created.participants


def _ending(story: Story) -> Ending:
    done = story.finished
    if done is None:
        reason, questions = told.left(story)
        word = "waiting" if questions else "not finished"
        return Ending("open", "‖", word, reason, "", questions)
    rule = f"rule {done.rule}, turn {done.turn}"
    reason = done.reason.partition("\n")[0]  # the rest of an error stands with the attempt that failed
    return Ending(str(done.outcome), _SIGNS.get(done.outcome, "■"), str(done.outcome), reason, rule)


def _turns(story: Story) -> tuple[list[Shown], list[Note]]:
    """Each turn with what belongs to it, and what was told before the first."""
    shown = {number: Shown(turn) for number, turn in sorted(story.turns.items())}
    written: list[str] = []
    for one in shown.values():
        codes = [block.code.strip() for block in one.turn.blocks.values() if block.code.strip()]
        one.said_before = bool(codes) and all(any(code in text for text in written[-8:]) for code in codes)
        written.append(one.turn.text)
    for asked in story.asked.values():
        if asked.request.turn in shown:
            shown[asked.request.turn].questions.append(asked)
    before: list[Note] = []
    last = next(reversed(shown.values()), None)
    for note in story.notes:
        if note.kind in _SAID_ELSEWHERE and note.turn in shown:
            continue
        if note.turn in shown and note.kind in _WITHIN:
            shown[note.turn].within.append(note)
        elif note.turn in shown:
            shown[note.turn].after.append(note)
        else:  # of a turn that nobody took yet
            (last.after if note.turn and last is not None else before).append(note)
    return list(shown.values()), before


def _first(story: Story) -> dict[str, tuple[int, str]]:
    """In which turn each content was made first, and under which name: there it is shown."""
    first: dict[str, tuple[int, str]] = {}
    for number, turn in sorted(story.turns.items()):
        for block in turn.blocks.values():
            for file in block.ran.files if block.ran is not None else ():
                first.setdefault(file.sha256, (number, file.name))
    return first


def _few(files: Sequence[StoredFile]) -> tuple[Sequence[StoredFile], int]:
    """As many as a reader has patience for, and how many there are besides."""
    return files[:MOST_FILES], max(0, len(files) - MOST_FILES)


@cache
def _template() -> Template:
    """The page's template, read once. Every text that is put into it is cleaned, then escaped."""
    from jinja2 import Environment, StrictUndefined, pass_context

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_safe
    )
    environment.filters.update(
        prose=pass_context(_prose), code=pass_context(_code), output=prose.output, line=clean_line, size=words.size,
        money=words.money, seconds=words.seconds, tokens=words.tokens, time=told.time_words, few=_few,
    )  # fmt: skip
    environment.globals.update(
        policy=told.policy, others=told.others, ran_words=told.ran_words, question=notes.question,
        payload=notes.payload, verdicts=notes.VERDICTS, edit_of=told.edit_of, count=words.count,
        selecting=told.SELECTING, most_linked=MOST_LINKED, most_across=MOST_ACROSS, css=Markup(_read("page.css")),  # noqa: S704 - ours
    )  # fmt: skip
    return environment.from_string(_read("page.html.jinja"))


def _prose(context: Context, text: str) -> Markup:
    return prose.prose(text, context["colors"])


def _code(context: Context, text: str, language: str = "") -> Markup:
    return prose.code(text, language, context["colors"])


def _safe(value: object) -> object:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(name: str) -> str:
    return resources.files("moot.chats.exports").joinpath(name).read_text(encoding="utf-8")
