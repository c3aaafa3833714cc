"""Whether a journal is what was written, and what it says: its rows beside the digest that was recorded with them, and
its events folded again from the first and compared with what they claim. What a fork copied is compared with the run
that it was copied from.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Sequence

from moot.agents.executor import REPORTED_CHARACTERS
from moot.agents.ran import RanBlock
from moot.agents.typed_reply import KnownWords
from moot.chats import event_types as ev
from moot.chats.build import result_from_source
from moot.chats.errors import StoreError
from moot.chats.events import Event
from moot.chats.files_named import files_named
from moot.chats.result import result_of
from moot.chats.state import State
from moot.chats.store import Chain, Store
from moot.chats.verify_fork import fork_problems, reworded_turns
from moot.chats.verify_order import order_problems


async def verify_run(store: Store, run: str) -> list[str]:
    """Everything that is wrong with a run's journal, in words; empty when nothing is.

    Looks at the digest of the rows, at the order of events, turns, attempts and effects, at what `run.finished` and
    the reports of code claim, at what was copied from another run, and at the content of every file that is named. A
    run of agents with message types of their own cannot be folded here, and says so.
    """
    try:
        events, chain = await store.load(run), await store.chain(run)
    except StoreError as error:
        return [str(error)]
    if not events:
        return ["the journal is empty"]
    if not isinstance(events[0].data, ev.RunCreated):
        return [f"the first event is {events[0].type}, not run.created: what the run was made of is lost"]
    problems = [*_rows(chain), *_numbers(events), *order_problems(events), *_claims(run, events)]
    problems += await fork_problems(store, events)
    return problems + [problem async for problem in _contents(store, events)]


def _rows(chain: Chain) -> Iterator[str]:
    if chain.found != chain.recorded:
        yield (
            "the journal was changed after it was written: "
            f"its rows have the digest {chain.found or 'of none'}, recorded was {chain.recorded or 'that of none'}"
        )


def _numbers(events: Sequence[Event]) -> Iterator[str]:
    for expected, event in enumerate(events, 1):
        if event.seq != expected:
            yield f"event {expected} is missing: {event.seq} stands in its place"
            return


def _claims(run: str, events: Sequence[Event]) -> Iterator[str]:
    """Every `run.finished`, and every turn that ran code, beside the fold up to it."""
    state, resumed, reworded = State(run, KnownWords()), False, reworded_turns(events)
    for event in events:
        resumed = resumed or isinstance(event.data, ev.RunResumed)
        if isinstance(event.data, ev.RunFinished):
            state.close_step()
            yield from _claim(event.seq, event.data, state)
            if not resumed:  # whoever drove it on may have brought a chat of their own
                yield from _result(event.seq, event.data, state)
        try:
            if isinstance(event.data, ev.TurnFinished) and event.turn not in reworded:
                yield from _code(event, event.data, state)
            state.apply(event)
        except StoreError as error:
            yield f"event {event.seq} ({event.type}): {error}"
            return
        except (KeyError, AttributeError, ValueError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
            yield f"event {event.seq} ({event.type}) does not follow from those before it ({why})"
            return


def _claim(seq: int, done: ev.RunFinished, state: State) -> Iterator[str]:
    where = f"run.finished (event {seq})"
    if done.turns != state.turns:
        yield f"{where} claims {done.turns} turns, the journal has {state.turns}"
    if done.digest != state.digest:
        yield f"{where} claims a transcript of digest {done.digest}, the journal's is {state.digest}"
    spent = state.usage()
    for name in ("input_tokens", "output_tokens", "code_runs"):
        if getattr(done.usage, name) != getattr(spent, name):
            yield f"{where} claims {getattr(done.usage, name)} {name}, the journal has {getattr(spent, name)}"
    if not _same(done.usage.usd, spent.usd):
        yield f"{where} claims {_dollars(done.usage.usd)}, the journal has {_dollars(spent.usd)}"
    files = sorted((f.name, f.sha256) for f in state.made())
    if sorted((f.name, f.sha256) for f in done.artifacts) != files:
        yield f"{where} names other files than the turns made"


def _result(seq: int, done: ev.RunFinished, state: State) -> Iterator[str]:
    """Known where the run came from a chat file, which says how the result is taken from the transcript."""
    if state.created.spec is None:
        return
    try:
        found = result_of(state.transcript, result_from_source(state.created.spec), done.outcome)
    except Exception as error:  # noqa: BLE001 - whatever a changed chat brings about is a finding
        yield f"run.created describes a chat that cannot be made again ({type(error).__name__}: {error})"
        return
    if found != done.result:
        yield f"run.finished (event {seq}) claims another result than the transcript gives: {found!r:.200}"


def _code(event: Event, done: ev.TurnFinished, state: State) -> Iterator[str]:
    """What a turn that ran code says of each block, beside the block's recorded result."""
    turn = state.open[event.turn]
    if any("~" in key for key in turn.recorded):  # an attempt that took another way: its keys are not the blocks'
        return
    told = state.message(done.reply).to_text() if turn.code else ""
    for said in turn.code:
        effect = turn.recorded.get(said.key)
        if effect is None or effect.state != "completed":
            continue
        ran = RanBlock.read(effect.result)
        where = f"turn {event.turn}: the recorded result of {said.key}"
        if ran.facts(said.key) != said.facts(said.key):
            yield f"{where} is not what code.finished says of it"
        # a block of a nested team is told to the team alone
        if said.key.startswith("code/") and not all(part in told for part in _output(ran)):
            yield f"{where} printed what turn.finished (event {event.seq}) does not report"


def _output(ran: RanBlock) -> Iterator[str]:
    return (text for text in (ran.stdout, ran.stderr, ran.value) if text and len(text) <= REPORTED_CHARACTERS)


async def _contents(store: Store, events: Sequence[Event]) -> AsyncIterator[str]:
    checked: dict[str, int] = {}
    for event in events:
        for file in files_named(event.data):
            try:
                size = checked.get(file.sha256)
                if size is None:
                    size = checked[file.sha256] = len(await store.blobs.get(file.sha256))
            except StoreError as error:
                checked[file.sha256] = file.size
                yield f"{file.name} (event {event.seq}): {error}"
                continue
            if size != file.size:
                yield f"{file.name} (event {event.seq}) is said to have {file.size} bytes, it has {size}"


def _same(a: float | None, b: float | None) -> bool:
    return a == b if a is None or b is None else math.isclose(a, b, abs_tol=1e-12)


def _dollars(usd: float | None) -> str:
    return "an unpriced sum" if usd is None else f"${usd:.6f}"
