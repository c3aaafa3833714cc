"""One question to the person at the terminal: it is shown, they look closer, and say what they decide."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.text import Text

from moot.agents.edits import editable, fits, same
from moot.agents.questions import Verdict
from moot.chats.clean import clean, clean_line, shown_json
from moot.chats.errors import UserError
from moot.chats.notes import VERDICTS, payload
from moot.chats.requests import Request
from moot.chats.story import Story
from moot.cli import question_shown
from moot.cli.clip import clip
from moot.cli.editing import Ears, Written, edit_until_fits, edited, suffix_of
from moot.cli.lines import Left, Lines, Typed
from moot.cli.paging import page
from moot.cli.words import count

ROWS_BELOW = 8
"""Rows of the terminal that a question leaves to what stands around it."""
LEAST_ROWS = 10
AHEAD_CHARACTERS = 60
KEYS: Mapping[str, tuple[Verdict, str]] = {
    "a": ("approve", "[a]pprove"),
    "e": ("edit", "[e]dit"),
    "r": ("reject", "[r]eject"),
    "w": ("respond", "[w]rite an answer"),
}
_BEGUN = re.compile(r"\s*(?P<key>r|reject|w|write)\s+(?P<text>\S.*)", re.DOTALL | re.IGNORECASE)
"""A reason or an answer on the line of its key: it is the beginning of what is written."""
_HELP: Mapping[Verdict, str] = {
    "approve": "a  approve: exactly what is shown is done",
    "edit": "e  edit: it opens in your editor, and what you make of it is done instead",
    "reject": "r  reject: it is not done; whoever asked is told your reason",
    "respond": "w  write an answer, instead of a decision",
}


class Answer(NamedTuple):
    """What somebody decides."""

    decision: Verdict
    text: str = ""
    edited: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a run, and where it stands among those that are asked together."""

    request: Request
    story: Story
    short: str
    place: str = ""
    late: bool = False
    """Whether what was said before it is not on the screen."""

    @property
    def before(self) -> tuple[str, str] | None:
        """What was last approved of whoever asks, of the same kind, and how that is called; where nothing was, what was
        last decided.
        """
        now = self.request
        decided, approved = None, None
        for asked in self.story.asked.values():
            made, one = asked.decided, asked.request
            if made is None or (one.kind, one.participant) != (now.kind, now.participant) or one.id == now.id:
                continue
            decided = f"{clean_line(one.id, 40)}, which was {VERDICTS[made.decision]}", made.edited or payload(one)
            if made.decision in ("approve", "edit"):
                approved = decided
        return approved or decided


class Dialog:
    """Asks until there is a decision. A key counts once the question was drawn: what was typed before that answers
    nothing, and is kept as the beginning of what is written.
    """

    def __init__(self, asked: Asked, lines: Lines, on: Console, ears: Ears) -> None:
        self._asked, self._request, self._lines, self._on, self._ears = asked, asked.request, lines, on, ears
        self.free = asyncio.Event()
        """Whether no program of the user's has the terminal."""
        self.free.set()
        self._ahead = ""
        self._draft: str | None = None
        """What was made of it in an editor and not decided yet."""
        self._hides = False
        """Whether something of it has not been shown."""

    async def decide(self) -> Answer:
        """Raises Left where the person leaves it for later."""
        self._show()
        self._ahead = self._lines.ahead()
        self._say_ahead()
        if tuple(self._request.allow) == ("respond",):
            self._say(self._lines.hint + (", Ctrl-O shows all of it" if self._hides and self._lines.keeps else ""))
            while not (text := await self._text("answer> ")):
                self._say("an answer needs some text")
            return Answer("respond", text)
        self._say_keys()
        while True:
            answer = await self._chosen(await self._lines.line("> "))
            if answer is not None:
                return answer

    async def _chosen(self, typed: Typed) -> Answer | None:
        """What one key comes to. None: nothing is decided by it."""
        key = {"editor": "e", "all": "v"}.get(typed.ended) or typed.text.strip().lower()
        key = next((one for one, (verdict, _) in KEYS.items() if key == verdict), key)
        begun = _BEGUN.match(typed.text)
        if begun is not None and KEYS[begun["key"].lower()[0]][0] in self._request.allow:
            key, self._ahead = begun["key"].lower()[0], begun["text"]
        match key:
            case "l" | "later":
                raise Left
            case "v" | "view":
                await self._view()
            case "d" | "diff":
                self._differences()
            case "?" | "help":
                self._help()
            case _ if key in KEYS and KEYS[key][0] in self._request.allow:
                return await self._verdict(KEYS[key][0])
            case _:
                if key:
                    self._say(f"{clean_line(key, AHEAD_CHARACTERS)!r} is none of these; nothing is decided yet")
                self._say_keys()
        return None

    async def _verdict(self, verdict: Verdict) -> Answer | None:
        match verdict:
            case "approve":
                if self._hides:
                    self._hides = False
                    self._say("not all of it was shown: v shows it; a once more approves it unseen")
                    return None
                return Answer("approve")
            case "reject":
                return await self._worded("reject", "reason> ", "a rejection needs a reason: whoever asked is told it")
            case "respond":
                return await self._worded("respond", "answer> ", "an answer needs some text")
            case "edit":
                return await self._edit()

    async def _worded(self, verdict: Verdict, label: str, refusal: str) -> Answer | None:
        text = await self._text(label)
        if text:
            return Answer(verdict, text)
        self._say(f"{refusal}; nothing is decided yet")
        self._say_keys()
        return None

    async def _text(self, label: str) -> str:
        """What is written, empty where it is blank. What was typed ahead is its beginning."""
        begun, self._ahead = (self._ahead, "") if self._lines.keeps else ("", "")
        while True:
            typed = await self._lines.line(label, begun)
            if typed.ended == "sent":
                return typed.text.strip()
            begun = typed.text
            if typed.ended == "all":
                await self._view()
            else:
                begun = await self._in_editor(begun)

    async def _in_editor(self, text: str) -> str:
        try:
            return (await self._opened(text, ".md")).text
        except UserError as error:
            self._say(str(error))
            return text

    async def _edit(self) -> Answer | None:
        shown = editable(self._request.kind, self._request.payload)
        if shown is None:
            self._say("it cannot be edited")
            return None
        start = shown if self._draft is None else self._draft

        def wrong(text: str) -> str | None:
            kind = self._request.kind
            return fits(kind, text) or ("nothing was changed" if same(kind, shown, text) else None)

        try:
            written = await edit_until_fits(start, lambda text: self._opened(text, self._suffix), wrong, self._again)
        except UserError as error:
            self._say(str(error))
            return None
        if written.failure and not (written.text == start and self._draft is not None and not wrong(start)):
            self._draft = written.text if written.text != shown else None
            kept = "; e opens what you wrote again" if self._draft is not None else ""
            self._say(f"{written.failure}; nothing is decided yet{kept}")
            self._say_keys()
            return None
        self._draft = written.text
        return await self._confirmed(shown, written.text)

    async def _confirmed(self, shown: str, text: str) -> Answer | None:
        """An edit is looked at once more: an editor that was left is no decision yet."""
        self._on.print(question_shown.difference(shown, text))
        typed = await self._lines.line("this instead? [y]es, [n]o> ")
        if typed.text.strip().lower() in ("y", "yes"):
            return Answer("edit", "", text)
        self._say("nothing is decided yet; e opens what you wrote again")
        self._say_keys()
        return None

    async def _again(self, wrong: str) -> bool:
        self._say(f"it does not fit: {wrong}")
        typed = await self._lines.line("Enter opens it again, n goes back> ")
        return not typed.text.strip()

    async def _opened(self, text: str, suffix: str) -> Written:
        with self._lent():
            return await edited(text, suffix=suffix, ears=self._ears)

    @contextlib.contextmanager
    def _lent(self) -> Iterator[None]:
        """Another program has the terminal, as it was before anything of ours."""
        self.free.clear()
        self._lines.close()
        try:
            yield
        finally:
            self._lines.open()
            self.free.set()

    @property
    def _suffix(self) -> str:
        return suffix_of(self._request.kind, self._request.payload)

    def _show(self) -> None:
        rows = max(LEAST_ROWS, self._on.size.height - ROWS_BELOW)
        text = payload(self._request)
        missing = clip(text, rows, question_shown.CHARACTERS)[1]
        self._hides = bool(missing) or clean(text) != text
        self._on.print()
        for part in self._heard if self._asked.late else ():
            self._on.print(part)
        self._on.print(question_shown.head(self._request).append(self._asked.place, style="dim not bold"))
        for part in question_shown.body(self._request, rows, question_shown.CHARACTERS, how=self._how):
            self._on.print(part)

    @property
    def _how(self) -> str:
        if tuple(self._request.allow) != ("respond",):
            return "v shows all of it"
        name = shlex.quote(clean_line(self._request.id, 40))
        return "Ctrl-O shows all of it" if self._lines.keeps else f"moot inbox show {self._asked.short} {name}"

    @property
    def _heard(self) -> Iterable[RenderableType]:
        return question_shown.heard(self._request, self._asked.story, self._asked.short)

    async def _view(self) -> None:
        parts: list[RenderableType] = [*self._heard, *question_shown.in_full(self._request)]
        if (text := payload(self._request)) != clean(text):
            parts.append(Text(f"character by character: {shown_json(text)}", style="yellow"))
        self._hides = False
        with self._lent():
            await page(parts, self._on, self._ears)

    def _differences(self) -> None:
        before = self._asked.before
        if before is None:
            self._say("nothing of this kind was decided before")
        else:
            self._say(f"compared with {before[0]}:")
            self._on.print(question_shown.difference(before[1], payload(self._request)))

    def _say_keys(self) -> None:
        self._say("  ".join([words for verdict, words in KEYS.values() if verdict in self._request.allow] + self._more))

    @property
    def _more(self) -> list[str]:
        return [*(["[d]iff"] if self._asked.before is not None else []), "[v]iew all", "[l]ater", "?"]

    def _help(self) -> None:
        lines = [_HELP[verdict] for verdict, _ in KEYS.values() if verdict in self._request.allow]
        if self._asked.before is not None:
            lines.append("d  what is different from what was last approved, or else decided")
        lines += ["v  all of it", "l  later: the run is left waiting (so do Ctrl-C and Ctrl-D)"]
        self._say("\n".join([*lines, "A key and Enter."]))

    def _say_ahead(self) -> None:
        if self._ahead:
            use = "it begins what you write" if self._lines.keeps else "it is not used"
            size = f", {count(len(self._ahead.splitlines()), 'line')}" if "\n" in self._ahead else ""
            quoted = clean_line(self._ahead, AHEAD_CHARACTERS)
            self._say(f"typed before this was asked{size}: {quoted!r}: no decision; {use}")

    def _say(self, text: str) -> None:
        self._on.print(Text(clean(text), style="dim"))
