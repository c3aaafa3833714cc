"""How a run's turns and notes look, live and in a log: Rich renderables in which nothing is markup."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text

from moot.agents.blocks import Block as Program
from moot.agents.blocks import find_blocks
from moot.agents.fences import fences
from moot.agents.origins import honest, short_name
from moot.agents.ran import RanBlock
from moot.chats.clean import clean_line
from moot.chats.event_types import SpeakerSelected
from moot.chats.marks import mark, place
from moot.chats.notes import Note
from moot.chats.story import Story
from moot.chats.telling import Block, Telling
from moot.chats.words import how_chosen
from moot.cli.clip import clip
from moot.cli.words import count, few, seconds, size, spent, tokens
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome

COLORS = ("cyan", "magenta", "yellow", "green", "blue", "bright_cyan", "bright_magenta", "bright_yellow")
INDENT = 3
REASON_CHARACTERS = 80
"""What is shown of the reason for a goal: the answer it quotes stands right above."""
_QUOTED = re.compile(r"""(?<![^ ])(?P<sign>['"])(?P<text>.*?)(?P=sign)(?![^ ,;.)])""")
_LEAST_QUOTED = 12
_NOTES = {
    "note": ("·", "dim"),
    "resumed": ("·", "dim"),
    "forked": ("·", "dim"),
    "decided": ("»", "bold"),
    "said": ("»", "bold"),
}
_SIGNS = {Outcome.GOAL: ("✔", "green"), Outcome.FAILED: ("✘", "red"), Outcome.REJECTED: ("✘", "red")}


class Gutter:
    """Something with a mark before each of its lines."""

    def __init__(self, inner: RenderableType, mark: str = "│ ", style: str = "dim") -> None:
        self._inner, self._mark, self._style = inner, mark, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(1, options.max_width - cell_len(self._mark))
        style = console.get_style(self._style)
        for line in console.render_lines(self._inner, options.update(width=width), pad=False):
            yield Segment(self._mark, style)
            yield from _stripped(line)
            yield Segment.line()


def _stripped(line: list[Segment]) -> list[Segment]:
    """Without the blanks that fill a line up: they are no part of a program or its output."""
    kept = list(line)
    while kept and not kept[-1].text.strip(" ") and not kept[-1].control:
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style, kept[-1].control)
    return kept


def indented(inner: RenderableType) -> RenderableType:
    """Under the name of a speaker."""
    return Gutter(inner, " " * INDENT, "none")


class Ends:
    """A line with a left and a right end; where both do not fit the right one follows."""

    def __init__(self, left: Text, right: Text) -> None:
        self._left, self._right = left, right

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        gap = options.max_width - self._left.cell_len - self._right.cell_len
        yield Text.assemble(self._left, " " * max(2, gap) if self._right else "", self._right)


def who(story: Story, name: str) -> Text:
    """A participant's mark and name in its colour."""
    color = COLORS[place(story, name) % len(COLORS)]
    return Text(f"{mark(story, name)} {clean_line(name, 40)}", style=f"bold {color}")


def header(story: Story, short: str) -> Iterable[RenderableType]:
    """Which run, of which chat, with which models, within which limits."""
    created = story.created
    if created is None:
        return
    names = list(dict.fromkeys(created.models.values()))
    called = [short_name(name) for name in names]
    models = ", ".join(dict.fromkeys(f"{clean_line(name, 60)}{kind}" for name, kind in called))
    limits = Limits(**created.limits).words()  # type: ignore[arg-type]
    line = Text.assemble(("run ", "dim"), (short, "bold"), f"  {clean_line(created.chat, 40)}")
    if models:
        line.append(f"  {models}")
    yield line.append(f"  limits {limits}", style="dim")
    for words in honest(created.model_kind, names):
        yield Text(clean_line(words), style="yellow")


def task(text: str) -> RenderableType:
    """What the participants are asked."""
    shown, missing = clip(text, 10, 1500)
    return Group(Text.assemble(("task  ", "dim"), shown), *_missing(missing))


def chosen(choice: SpeakerSelected) -> RenderableType:
    """Who speaks next, and why."""
    names = ", ".join(clean_line(n, 40) for n in choice.chosen)
    how = how_chosen(choice)
    words = Text.assemble(
        "next: ", (names, "bold"), f"  because {clean_line(choice.reason)} ({clean_line(how, 80)})", style="dim"
    )
    return indented(words)


def note(note: Note) -> RenderableType:
    """Something a person should know, or said."""
    sign, style = _NOTES.get(note.kind, ("!", "yellow"))
    line = indented(Text(f"{sign} {clean_line(note.text, 500)}", style=style))
    shown, missing = clip(note.body)
    return Group(line, indented(indented(Text(shown))), *_missing(missing)) if shown.strip() else line


def turn(story: Story, telling: Telling, short: str) -> RenderableType:
    """A finished turn: what was said in full, or the code that was run with its output."""
    left = Text.assemble((f"{telling.number:>2} ", "dim"), who(story, telling.participant))
    took = [seconds(telling.seconds)] + ([tokens(telling.usage.tokens)] if telling.usage.tokens else [])
    right = Text("  ".join(took), style="dim")
    if telling.blocks:
        blocks = [part for block in telling.blocks.values() for part in code(block, short, telling.number)]
        return Group(Ends(left, right), *blocks, *([] if telling.reported else _said(telling, short)))
    text, later = folded(telling, story)
    shown, missing = clip(text)
    if not shown.strip():
        return Ends(left.append("   ").append("(empty reply)", style="dim italic"), right)
    if "\n" not in shown and not missing and later is None and cell_len(shown) < 44:
        return Ends(left.append("   ").append(shown, style="not bold default"), right)
    more = f"{missing}: moot runs show {short} --turn {telling.number}" if missing else ""
    return Group(Ends(left, right), indented(Text(shown)), *_missing(more))


def _said(telling: Telling, short: str) -> Iterable[RenderableType]:
    """Words that stand besides what was run."""
    shown, missing = clip(telling.text)
    if shown.strip():
        yield indented(Text(shown))
    yield from _missing(missing and f"{missing}: moot runs show {short} --turn {telling.number}")


def inner(line: str) -> RenderableType:
    """Something done before the reply: a call, a result, a thought."""
    return indented(Text(f"· {clean_line(line)}", style="dim"))


def folded(telling: Telling, story: Story) -> tuple[str, Program | None]:
    """A message with the first program in it replaced by a word, and that program: it is shown with its output when it
    is run. All others stay where they were said, for nobody knows yet whether they will be run.
    """
    text, runs_code = telling.text, story.executors
    runnable = find_blocks(text).blocks if runs_code and telling.participant not in runs_code else ()
    if not runnable:
        return text, None
    first = runnable[0]
    fence = next(f for f in fences(text) if not f.flaw and f.code == first.code)
    word = f"[{first.language}, {count(first.code.count(chr(10)), 'line')}: shown where it runs]"
    return text[: fence.start] + word + text[fence.end :], first


def code(block: Block, short: str = "", number: int = 0) -> Iterable[RenderableType]:
    """A program and what came of it, as one block."""
    if block.code:
        yield _edge("┌", clean_line(block.language, 40))
        shown, missing = clip(block.code, 80, 8000)
        yield _inside(program(shown, block.language.partition(",")[0]))
        yield from _missing(missing and f"{missing}: moot runs show {short} --turn {number}", "│ … ")
    if block.unread:
        shown, missing = clip(block.unread)
        yield _edge("├" if block.code else "┌", "its result has a shape that this version does not know", "yellow")
        yield _inside(Text(shown))
        yield from _missing(missing and f"{missing}: moot runs show {short} --turn {number}", "│ … ")
    if block.ran is None:
        return
    ended = _ended(block.ran) if block.own else f"exit code {block.ran.exit_code}"
    yield _edge("├" if block.code else "┌", ended, "red" if block.ran.exit_code else "green")
    yield from _output(block.ran, short, number)
    yield _edge("└", _left(block.ran))


def program(text: str, language: str) -> RenderableType:
    """Code in colours, in those of the terminal."""
    return Syntax(text, language, theme="ansi_dark", background_color="default", word_wrap=True)


def _output(ran: RanBlock, short: str, number: int) -> Iterable[RenderableType]:
    for text, style in ((ran.stdout, ""), (ran.stderr, "red"), (ran.value or "", "cyan")):
        if text.strip():
            shown, missing = clip(text)
            yield _inside(Text(shown, style=style))
            yield from _missing(missing and f"{missing}: moot runs show {short} --turn {number}", "│ … ")
    for line in few([f"not kept: {clean_line(name)}" for name in ran.not_kept]):
        yield _inside(Text(line, style="yellow"))


def _ended(ran: RanBlock) -> str:
    if ran.skipped is not None:
        kind, _, detail = ran.skipped.partition(": ")
        return f"SKIPPED ({clean_line(kind, 100)}){': ' + clean_line(detail, 400) if detail else ''}"
    words = [f"exit code {ran.exit_code}", seconds(ran.seconds)]
    flags = {
        "timed out": ran.timed_out,
        "out of memory": ran.oom,
        "output truncated": ran.truncated,
        "variables lost": ran.state_lost,
    }
    return " · ".join(words + [word for word, holds in flags.items() if holds])


def _left(ran: RanBlock) -> str:
    if ran.skipped is None and not (ran.stdout.strip() or ran.stderr.strip() or (ran.value or "").strip() or ran.files):
        return "nothing was printed"
    return " · ".join(few([f"{clean_line(f.name, 100)} {size(f.size)}" for f in ran.files]))


def _edge(corner: str, words: str, style: str = "dim") -> RenderableType:
    return indented(Gutter(Text(words, style=style), f"{corner} "))


def _inside(inner: RenderableType) -> RenderableType:
    return indented(Gutter(inner))


def _missing(words: str, mark: str = "… ") -> list[RenderableType]:
    return [indented(Text(mark + words, style="dim"))] if words else []


def ending(story: Story) -> RenderableType:
    """Why the run is over, or left, and what it took."""
    took = f" · {spent(story.usage, story.spending.doubtful())} · {seconds(story.seconds)}"
    done = story.finished
    if done is None:
        word, why = "paused", clean_line(story.paused or "nobody drives it")
        if waiting := story.waiting:
            word, why = "waiting", f"{count(len(waiting), 'question')} to a person"
        elif story.waits_for:
            why = "what it waited for is decided"
        return Text.assemble((f"‖ {word}: ", "bold yellow"), why, (took, "dim"))
    sign, color = _SIGNS.get(done.outcome, ("■", "yellow"))
    rule = f" (rule {clean_line(done.rule, 80)}, turn {done.turn})"
    why = (
        _shortened(clean_line(done.reason))
        if done.outcome is Outcome.GOAL
        else clean_line(first_line(done.reason), 2000)
    )
    return Text.assemble((f"{sign} {done.outcome}: ", f"bold {color}"), why, rule, (took, "dim"))


def first_line(reason: str) -> str:
    """Why a run ended; the further lines of an error stand where the attempt failed."""
    return reason.partition("\n")[0]


def _shortened(reason: str) -> str:
    """What is quoted first, since it was shown already; then the rest."""
    excess = len(reason) - REASON_CHARACTERS
    quoted = _QUOTED.search(reason)
    if excess > 0 and quoted is not None:
        words = quoted["text"][: max(_LEAST_QUOTED, len(quoted["text"]) - excess - len(" ..."))]
        words = words.rpartition(" ")[0] or words
        reason = f"{reason[: quoted.start('text')]}{words} ...{reason[quoted.end('text') :]}"
    return clean_line(reason, REASON_CHARACTERS)
