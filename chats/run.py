"""A run: started or opened here, driven in the background, followed by whoever wants to see it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

from autogen_agentchat.messages import TextMessage

from moot.agents.questions import Verdict
from moot.agents.ran import StoredFile
from moot.chats.chat import Chat, drive
from moot.chats.commands import Decide
from moot.chats.creating import created_from
from moot.chats.errors import StoreError, UserError
from moot.chats.event_types import MessageSaid, RunCreated, Warned
from moot.chats.events import Draft, Event
from moot.chats.find import find_run
from moot.chats.fork_edits import NO_EDITS, Edits
from moot.chats.forking import Forking
from moot.chats.home import open_store
from moot.chats.ids import new_run
from moot.chats.journal import Journal
from moot.chats.outside import post
from moot.chats.owner import new_owner
from moot.chats.requests import Request
from moot.chats.state import State, Status
from moot.chats.store import Claim, Store
from moot.chats.table import Rules, Table, factory
from moot.termination.ledger import Usage
from moot.termination.outcome import Outcome, Stop
from moot.termination.transcript import Transcript


class Artifact:
    """A file that a run made, by content."""

    def __init__(self, file: StoredFile, store: Store) -> None:
        self.name, self.bytes, self.sha256 = file.name, file.size, file.sha256
        self._store = store

    async def read(self) -> bytes:
        """The content. Raises StoreError when it is missing or damaged."""
        return await self._store.blobs.get(self.sha256)

    @property
    def path(self) -> Path | None:
        """Where the content lies on disk, None for a store in memory."""
        path = getattr(self._store.blobs, "path", None)
        return path(self.sha256) if path is not None else None

    def __repr__(self) -> str:
        return f"Artifact({self.name!r}, {self.bytes} bytes)"


class Run:
    """One execution of a chat, driven by a task of its own: a viewer that goes away changes nothing."""

    def __init__(self, table: Table, chat: Chat, *, owns_store: bool) -> None:
        self._table, self._chat, self._owns_store = table, chat, owns_store
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._drive(), name=f"moot run {self.id}")
        self._task.add_done_callback(lambda t: t.cancelled() or t.exception())  # raised by `finish`
        self._stopping = self._closed = False

    @property
    def id(self) -> str:
        """Time-ordered and unique."""
        return self._table.state.run

    @property
    def status(self) -> Status:
        """`running`, `waiting` (for a person), `paused` or `finished`."""
        return self._table.state.status

    @property
    def stopped_by(self) -> Stop | None:
        """The rule or limit that ended the run, its reason and the turn; None while it goes on."""
        return self._table.state.stop()

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, None while it goes on."""
        stop = self.stopped_by
        return stop.outcome if stop is not None else None

    @property
    def cause(self) -> str:
        """Whose failure a failed run was: `sandbox`, `model`, or empty."""
        done = self._table.state.finished
        return done.cause if done is not None else ""

    @property
    def result(self) -> str | None:
        """What came of it."""
        done = self._table.state.finished
        return done.result if done is not None else None

    @property
    def transcript(self) -> Transcript:
        """What has been said so far."""
        return self._table.state.transcript

    @property
    def turns(self) -> int:
        """How many turns have been taken."""
        return self._table.state.turns

    @property
    def usage(self) -> Usage:
        """What was spent; `usd` is a lower bound where `priced` is False."""
        return self._table.state.ledger.total

    @property
    def usage_by_participant(self) -> Mapping[str, Usage]:
        """The same for each participant that spent anything."""
        return self._table.state.ledger.by_participant

    @property
    def requests(self) -> list[Request]:
        """The questions that wait for a person, oldest first. `decide` answers them."""
        return [*self._table.state.requests.open.values()]

    async def decide(self, request: str, decision: Verdict, text: str = "", *, by: str = "", edited: str = "") -> None:
        """Answer a question of this run: `approve`, `edit` with what stands in place of what was shown (`edited`: the
        program, the arguments as JSON, the message), `reject` with a reason, `respond` with an answer.

        Where the run waits it is to be opened again (`open_run`). Raises UserError where it cannot be taken.
        """
        asked = self._table.state.requests.open.get(request)
        digest = asked.digest if asked is not None else ""
        where = self._table.store
        if self._owns_store and self._closed:
            where, _ = open_store(getattr(where, "path", None))
        try:
            command = Decide(request=request, decision=decision, text=text, by=by, edited=edited, digest=digest)
            await post(self.id, command, where)
        finally:
            if where is not self._table.store:
                await where.close()

    @property
    def artifacts(self) -> list[Artifact]:
        """The files that the code left: of each executor the newest content of each name."""
        return [Artifact(f, self._table.store) for f in self._table.state.made()]

    @property
    def created(self) -> RunCreated:
        """What the run was made of."""
        return self._table.state.created

    async def events(self, *, drafts: bool = False) -> AsyncIterator[Event | Draft]:
        """Every event from the first on, each after it was committed, until the run is not driven here any more.

        With `drafts` also the text as it comes, which is never stored.
        """
        with self._table.journal.subscribe() as queue:
            seen = 0
            for event in await self._recorded():
                seen = event.seq
                yield event
            while not (self._task.done() and queue.empty()):
                item = await queue.get()
                if item is None:
                    return
                if isinstance(item, Draft):
                    if drafts:
                        yield item
                elif item.seq > seen:
                    yield item

    async def _recorded(self) -> list[Event]:
        store = self._table.store
        if not (self._owns_store and self._closed):
            return await store.load(self.id)
        again, _ = open_store(getattr(store, "path", None))  # ours was closed with the run
        try:
            return await again.load(self.id)
        finally:
            await again.close()

    async def finish(self) -> Run:
        """Wait until the run is over or paused. Raises what kept it from going on: StoreError, `Fenced`."""
        await asyncio.shield(self._task)
        return self

    def pause_after_turn(self, reason: str = "asked to stop after this turn") -> None:
        """Leave the run after the turns that are under way; it can be resumed."""
        self._table.hearing.pausing = reason

    async def stop_now(self, reason: str = "stopped in the middle of a turn") -> None:
        """Leave the run at once: what is under way is cut off, the sandbox removed. It can be resumed."""
        self._table.hearing.pausing = reason
        self._interrupt()
        await asyncio.wait({self._task})

    def fork(
        self, turn: int | None = None, *, model: str | None = None, edits: Edits = NO_EDITS, chat: Chat | None = None
    ) -> Forking:
        """A new run that goes on from the end of that turn (None: the last), with another `model` and other `edits`:
        `await` it for the run, driven in the background, or `await run.fork(turn=3).finish()`. This one is not
        touched; `chat` replaces its own. Raises, when awaited, what `fork` and `open_run` raise.
        """
        edits = edits if model is None else replace(edits, model=model)
        store = self._table.store
        where = getattr(store, "path", None) if self._owns_store else store  # ours is closed with the run
        return Forking(self.id, turn=turn, edits=edits, chat=chat or self._chat, store=where)

    async def begun(self) -> Run:
        """Itself, once it is driven: a task that is cancelled before its first step would never give anything back."""
        try:
            await asyncio.shield(self._begun)
        except asyncio.CancelledError:
            await self._begun
            await self.stop_now("cancelled while it was started")
            raise
        return self

    async def _drive(self) -> None:
        table, listening = self._table, None
        try:
            self._begun.set_result(None)
            await table.hearing.take()
            listening = asyncio.get_running_loop().create_task(table.hearing.listen(self._interrupt))
            await drive(table)
            while await table.reclaimed():
                await drive(table)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(table.leave(table.hearing.pausing or "cancelled")))
            if not self._stopping:
                raise
        except StoreError as error:
            with contextlib.suppress(StoreError):  # where it was not the journal that failed, say so in it
                await table.leave(error.one_line)
            raise
        except Exception as error:  # a policy or a rule of the user's: give the run back, so that it can be resumed
            await table.pause(f"{type(error).__name__}: {error}")
            raise
        finally:
            if listening is not None:
                listening.cancel()
            await asyncio.shield(asyncio.ensure_future(self._close()))

    def _interrupt(self) -> None:
        """Cut off the turns that are under way, because somebody asked for it. Once: a second time would cut off how
        they clean up. Where the run does not go on any more, its last word is on its way.
        """
        if self.status == "running" and not self._stopping:
            self._stopping = True
            self._task.cancel()

    async def _close(self) -> None:
        await self._table.close()
        self._closed = True
        if self._owns_store:
            await self._table.store.close()


async def start(chat: Chat, task: str, where: Store | Path | str | None) -> Run:
    """Create a run, journal what it is made of and its task, and drive it. Raises UserError, ModelError, StoreError."""
    if not str(task or "").strip():
        raise UserError("the task is empty: say what the chat is about")
    seats = chat.seats()
    store, opened = open_store(where)
    try:
        run, owner, policy = new_run(), new_owner(), chat.policy()
        created = await created_from(chat, seats, policy, store)
        await store.create(run, chat.name)
        journal = Journal(store, await store.claim(run, owner))
        state = State(run, factory(seats))
        table = Table(journal, state, seats, Rules(policy, chat.stop, chat.result, chat.strict))
        try:
            table.record(created)
            table.record(MessageSaid(message=TextMessage(content=task, source="user")))
            await table.open(owner, [])
        except BaseException:
            await table.close()
            raise
    except BaseException:
        if opened:
            await store.close()
        raise
    return await Run(table, chat, owns_store=opened).begun()


async def open_run(run: str, *, chat: Chat | None = None, store: Store | Path | str | None = None) -> Run:
    """Drive a run on where it was left: paused, killed, or failed for want of a sandbox or a model.

    `run` is the id or the beginning of one. A run that came from a chat file is rebuilt from its journal; one made of
    Python objects needs its `chat` again. Raises UserError for an unknown, finished or incomplete run, `Fenced` while
    another process drives it, StoreError.
    """
    kept, opened = open_store(store)
    try:
        name = await find_run(kept, run)
        owner = new_owner()
        claim = await kept.claim(name, owner)
        try:
            table, chat = await _reopen(kept, claim, chat, owner)
        except BaseException:
            await kept.release(claim)
            raise
    except BaseException:
        if opened:
            await kept.close()
        raise
    return await Run(table, chat, owns_store=opened).begun()


async def _reopen(store: Store, claim: Claim, given: Chat | None, owner: str) -> tuple[Table, Chat]:
    from moot.chats.rebuild import rebuild

    posted = await store.posted(claim.run)  # before anything that takes long: what comes from now on is for this driver
    events = await store.load(claim.run)
    created = events[0].data if events else None
    if not isinstance(created, RunCreated):
        raise StoreError(f"run {claim.run} does not begin with run.created: its journal is damaged")
    chat = given or rebuild(claim.run, created)
    seats = chat.seats()
    state = State(claim.run, factory(seats))
    gained = state.fold(events)
    if tuple(state.created.participants) != chat.names:
        raise UserError(
            f"run {claim.run} was made with {', '.join(state.created.participants)}, not with {', '.join(chat.names)}"
        )
    done = state.finished
    if done is not None and not done.cause:
        raise UserError(f"run {claim.run} is finished ({done.outcome}: {done.reason}); there is nothing to resume")
    other = chat.limits != state.ledger.limits
    if other:
        replace(chat, limits=state.ledger.limits)  # refused where the run's own limits could not end this chat
    journal = Journal(store, claim)
    rules = Rules(chat.policy(), chat.stop, chat.result, chat.strict)
    table = Table(journal, state, seats, rules, before=posted[-1].number if posted else 0)
    try:
        await table.open(owner, gained)
        if other:
            text = f"the chat has other limits than the run: what holds are the run's ({state.ledger.limits.words()})"
            table.record(Warned(text=text))
    except BaseException:
        await table.close()
        raise
    return table, chat
