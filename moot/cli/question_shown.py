"""A question to a person as it stands on a screen: what is asked, what is decided about, and how to answer it."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from moot.chats.calls import call_words
from moot.chats.clean import clean, clean_line
from moot.chats.notes import doubted, payload, question
from moot.chats.requests import Request
from moot.chats.story import Story
from moot.cli.clip import clip
from moot.cli.shown import Gutter, indented, program

LINES, CHARACTERS = 80, 8000
"""What is shown of one question while a run goes on; `moot inbox show` has all of it."""
_FENCED = re.compile(r"```(\w*)\n(.*?)\n```(?:\n\n|\Z)", re.DOTALL)
_ANSWERS = {"approve": "", "reject": ' "the reason"', "respond": ' "the answer"'}
_CHANGED = {"+": "green", "-": "red", "@": "dim"}
_DOUBT = "approve: it is made again. respond: it is not, and this is what came of it. reject: it is not."


def one_line(request: Request, limit: int = 80) -> str:
    """What is decided about, in one line."""
    facts = request.payload
    match request.kind:
        case "tool":
            about = call_words(facts.get("tool", "a tool"), facts.get("arguments", {}))
        case "doubt":
            about = doubted(request)
        case "code":
            about = _FENCED.sub(r"\2 ", payload(request))
        case _:
            about = payload(request)
    return clean_line(about, limit)


def answers(request: Request, short: str) -> list[str]:
    """The commands that decide it."""
    name = shlex.quote(clean_line(request.id, 40))
    return [f"moot inbox {verb} {short} {name}{_ANSWERS.get(verb, '')}" for verb in request.allow]


def still_open(story: Story, short: str) -> Iterable[str]:
    """What a run waits for, and the commands that answer; nothing where it is over."""
    for request in story.waiting if story.finished is None else ():
        yield f"{clean_line(request.id, 40)}  {clean_line(question(request), 120)}: {one_line(request)}"
        yield from answers(request, short)


def asked(request: Request, short: str) -> Iterable[RenderableType]:
    """The question, and as much of what it is about as a person reads."""
    yield indented(head(request))
    yield from _indented(body(request, LINES, CHARACTERS, short=short))


def in_full(request: Request) -> Iterable[RenderableType]:
    """The question and all that it is about."""
    yield head(request)
    if request.kind == "doubt":
        yield Text(_DOUBT, style="dim")
    text = payload(request)
    yield from body(request, len(text) + 2, len(text) + 2)


def heard(request: Request, story: Story, short: str) -> Iterable[RenderableType]:
    """What was said last before somebody is asked for an answer, for whoever did not see the run; nothing for a
    decision, which shows what it is about.
    """
    said = [turn for turn in story.turns.values() if turn.finished and turn.number < request.turn and turn.text.strip()]
    if request.kind != "input" or not said:
        return
    last = max(said, key=lambda turn: turn.number)
    shown, missing = clip(last.text, LINES, CHARACTERS)
    yield Text(f"{clean_line(last.participant, 40)} said (turn {last.number}):", style="dim")
    yield Gutter(Text(shown))
    if missing:
        yield Text(f"… {missing}: moot runs show {short} --turn {last.number}", style="dim")


def head(request: Request) -> Text:
    """Which question, whose, in which turn."""
    words = Text("? ", style="bold yellow")
    words.append(clean_line(request.id, 40), style="bold")
    return words.append(f"  {clean_line(question(request), 200)}", style="not bold").append(
        f"  (turn {request.turn})", style="dim not bold"
    )


def body(request: Request, lines: int, characters: int, *, short: str = "", how: str = "") -> Iterable[RenderableType]:
    """The payload in a gutter. What cannot be shown, or is cut, is said: nobody approves what they have not seen.
    `how` all of it can be seen; else by a command on the run `short`.
    """
    text = payload(request)
    shown, missing = clip(text, lines, characters)
    for part in _parts(request, shown):
        yield Gutter(part)
    name = clean_line(request.id, 40)
    if missing:
        yield Text(f"… {missing}: {how or f'moot inbox show {short} {name}'}", style="dim")
    if clean(text) != text:
        where = f"moot inbox show {short} {name} --json" if short else "--json"
        named = f": {how}" if how else f"; {where} names them"
        yield Text(f"! it holds characters that are not shown here{named}", style="yellow")


def difference(before: str, after: str) -> RenderableType:
    """What of a text became another one, by lines."""
    lines = difflib.unified_diff(clean(before).splitlines(), clean(after).splitlines(), lineterm="", n=2)
    shown = [Text(line, style=_CHANGED.get(line[:1], "")) for line in [*lines][2:]]
    return Gutter(Group(*shown) if shown else Text("nothing that can be seen is different", style="dim"))


def _parts(request: Request, text: str) -> Sequence[RenderableType]:
    if request.kind == "code":
        given = request.payload.get("language")
        blocks = _FENCED.findall(text)
        if "".join(found[0] for found in _FENCED.finditer(text)) == text and blocks:
            return [program(code.rstrip("\n"), language or "text") for language, code in blocks]
        return [program(text, given if isinstance(given, str) and given.isalnum() else "text")]
    if request.kind in ("input", "message"):
        return [Text(text)] if text.strip() else []
    return [program(text, "json")]


def _indented(parts: Iterable[RenderableType]) -> Iterable[RenderableType]:
    return (indented(part) for part in parts)
