"""The end of a run that nobody drives: decided by whoever asks for it, since no driver will."""

from __future__ import annotations

from moot.agents.typed_reply import KnownWords
from moot.chats.commands import End, read_command
from moot.chats.errors import ChatError, StoreError
from moot.chats.event_types import RunCreated, RunResumed
from moot.chats.journal import Journal
from moot.chats.owner import new_owner
from moot.chats.result import ResultSpec
from moot.chats.speakers import round_robin
from moot.chats.state import State
from moot.chats.store import Claim, Store
from moot.chats.table import Rules, Table
from moot.termination.outcome import Stop


async def stop_idle(store: Store, run: str) -> Stop | None:
    """Take in what was posted to a run, and end it; None: nobody asked for its end, and nothing is changed.

    Needs none of its models, agents and sandboxes; of its chat file only how the result is found. Raises `Fenced` where
    somebody drives the run after all: they take it in. Raises StoreError for a run whose messages only its own agents
    can read: it ends when it is opened with them.
    """
    owner = new_owner()
    claim = await store.claim(run, owner)
    try:
        table = await _table(store, claim)
    except BaseException:
        await store.release(claim)
        raise
    try:
        if not await _asked(store, table.state):
            return None
        table.record(RunResumed(owner=owner))
        stop = await table.ended()
        if stop is not None:
            await table.finish(stop)
        return stop
    finally:
        await table.close()


async def _asked(store: Store, state: State) -> bool:
    posted = await store.posted(state.run, state.commands)
    return state.stop_asked is not None or any(isinstance(read_command(each.command), End) for each in posted)


async def _table(store: Store, claim: Claim) -> Table:
    events = await store.load(claim.run)
    if not events or not isinstance(events[0].data, RunCreated):
        raise StoreError(f"run {claim.run} does not begin with run.created: its journal is damaged")
    state = State(claim.run, KnownWords())
    state.fold(events)
    rules = Rules(round_robin(), None, _result(claim.run, state.created))  # nobody speaks any more
    return Table(Journal(store, claim), state, {}, rules)


def _result(run: str, created: RunCreated) -> ResultSpec | None:
    """How the result is found; where the chat cannot be made again it is what was said last."""
    if created.spec is None:
        return None
    from moot.chats.build import result_from_source

    try:
        return result_from_source(created.spec)
    except ChatError:
        return None
