"""What a run waits for, asked at the terminal of whoever drives it; others may answer meanwhile, from anywhere."""

from __future__ import annotations

import asyncio
import contextlib

from rich.console import Console
from rich.text import Text

from moot.chats.clean import clean_line
from moot.chats.commands import Decide, End, read_command
from moot.chats.errors import StoreError, UserError
from moot.chats.notes import VERDICTS
from moot.chats.outside import last_command, post, requests
from moot.chats.requests import Request
from moot.chats.store import Store
from moot.chats.story import Story
from moot.cli.asking import login
from moot.cli.conduct import Interrupts
from moot.cli.consoles import console
from moot.cli.dialog import Answer, Asked, Dialog
from moot.cli.lines import Left, Lines, lines_here
from moot.cli.terminal import Restoring

NOBODY_ASKED = "nobody was asked (--ask deny)"


class Settled(Exception):
    """The question needs no answer any more; says why."""


class Inline:
    """Asks one question after another. A decision is durable as soon as it is typed."""

    def __init__(
        self, store: Store, interrupts: Interrupts, lines: Lines | None = None, on: Console | None = None
    ) -> None:
        self._store, self._interrupts = store, interrupts
        self._lines, self._on = lines or lines_here(), on or console()

    async def ask(self, story: Story, short: str, *, late: bool = False) -> bool:
        """Whether the run is to go on: everything was decided, here or elsewhere. False: somebody left it for later.
        `late`: what was said before was shown elsewhere. Raises StoreError.
        """
        waiting = story.waiting
        restoring = Restoring()
        act, leaving = self._interrupts.act, self._interrupts.leaving

        def last() -> None:
            restoring()
            leaving()

        self._interrupts.leaving = last
        self._lines.open()
        try:
            for number, request in enumerate(waiting, 1):
                place = f"  {number} of {len(waiting)}" if len(waiting) > 1 else ""
                if not await self._settled(Asked(request, story, short, place, late)):
                    return False
            return True
        finally:
            self._lines.close()
            self._interrupts.act, self._interrupts.leaving = act, leaving

    async def _settled(self, asked: Asked) -> bool:
        """Until it is decided. What cannot be taken (somebody was faster) is said."""
        run, request = asked.story.run, asked.request
        try:
            answer = await self._answer(asked)
        except Settled as settled:
            self._say(str(settled))
            return True
        except Left:
            return False
        try:
            await post(run, decision(request, answer), self._store)
        except UserError as error:
            self._say(f"what you decided was not taken: {error}")
        return True

    async def _answer(self, asked: Asked) -> Answer:
        """What the person says, unless others settle it first. Raises Left, Settled, StoreError."""
        dialog = Dialog(asked, self._lines, self._on, self._interrupts)
        gone = asyncio.Event()
        self._interrupts.act = lambda _: gone.set()
        person = asyncio.ensure_future(dialog.decide())
        others = asyncio.ensure_future(self._others(asked.story.run, asked.request))
        going = asyncio.ensure_future(gone.wait())
        free = asyncio.ensure_future(self._free(others, dialog))
        try:
            await asyncio.wait({person, free, going}, return_when=asyncio.FIRST_COMPLETED)
            if person.done():
                return person.result()
            if going.done():
                raise Left
            raise Settled(free.result())
        finally:
            tasks = {person, others, going, free}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _free(self, others: asyncio.Future[str], dialog: Dialog) -> str:
        """What others did, once the person is not in the middle of an editor."""
        words = await others
        await dialog.free.wait()
        return words

    async def _others(self, run: str, request: Request) -> str:
        """Who else has settled it, and how, once somebody has; never, where that cannot be found out."""
        try:
            return await self._noticed(run, request)
        except (StoreError, UserError):  # the answer itself will say what is wrong
            never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            return await never

    async def _noticed(self, run: str, request: Request) -> str:
        seen = last_command(await self._store.load(run))
        while True:
            for posted in await self._store.posted(run, seen):
                seen, command = posted.number, read_command(posted.command)
                who = clean_line(getattr(command, "by", "") or "somebody", 40)
                if isinstance(command, End):
                    return f"the run was ended by {who} meanwhile"
                if isinstance(command, Decide) and command.request == request.id and await self._decided(run, request):
                    what = VERDICTS.get(command.decision, command.decision)
                    return f"{clean_line(request.id, 40)} was {what} by {who} meanwhile"
            await self._store.knock(run, seen)

    async def _decided(self, run: str, request: Request) -> bool:
        return all(one.id != request.id for one in await requests(run, self._store))

    def _say(self, text: str) -> None:
        self._on.print(Text(text, style="yellow"))


async def deny(store: Store, story: Story) -> bool:
    """Reject what can be rejected, where nobody is to be asked; whether there was anything. Raises StoreError."""
    denied = False
    for request in story.waiting:
        if "reject" not in request.allow:
            continue
        with contextlib.suppress(UserError):  # somebody else has decided it
            await post(story.run, decision(request, Answer("reject", NOBODY_ASKED)), store)
        denied = True
    return denied


def decision(request: Request, answer: Answer) -> Decide:
    """What is posted: about exactly what was shown."""
    return Decide(
        request=request.id, decision=answer.decision, text=answer.text, edited=answer.edited, by=login(),
        digest=request.digest,
    )  # fmt: skip
