"""Questions to people, of all runs: which wait, and what somebody decides about one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moot.agents.edits import editable
from moot.agents.questions import Verdict
from moot.chats.clean import clean_line
from moot.chats.commands import Decide
from moot.chats.errors import StoreError, UserError, did_you_mean
from moot.chats.event_types import RequestDecided
from moot.chats.ids import short
from moot.chats.notes import VERDICTS, Asked
from moot.chats.outside import post
from moot.chats.requests import Request, said_in, unfit
from moot.chats.store import Store
from moot.cli.columns import Columns
from moot.cli.loaded import Loaded, load_named, load_run
from moot.cli.question_shown import answers, one_line
from moot.cli.run_object import request_object
from moot.cli.words import age

if TYPE_CHECKING:
    from rich.table import Table

Json = dict[str, object]
_COLUMNS = Columns(
    titles=("run", "question", "who", "kind", "about", "age"),
    right=("age",),
    least_first=("kind", "age", "who", "about"),
    stretching="about",
    least=12,
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that somebody is to decide, and its run."""

    run: Loaded
    request: Request

    def as_object(self) -> Json:
        """For `--json`."""
        about = {"run": self.run.name, "status": self.run.status, "about": one_line(self.request)}
        return {**about, **request_object(self.request), "commands": answers(self.request, self.run.short)}


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that holds, and the run as it is now. `before`: it had been taken, in the same words."""

    run: Loaded
    decision: RequestDecided
    before: bool

    def as_object(self) -> Json:
        """For `--json`."""
        made = self.decision
        return {
            "run": self.run.name, "id": made.id, "decision": made.decision, "text": made.text, "edited": made.edited,
            "by": made.by,
            "digest": made.digest, "before": self.before, "driven": self.run.row.driven, "status": self.run.status,
        }  # fmt: skip

    @property
    def words(self) -> str:
        """What was decided, by whom."""
        already = " already" if self.before else ""
        who = f" by {self.decision.by}" if self.decision.by else ""
        return f"{self.decision.id} of run {self.run.short} is {VERDICTS[self.decision.decision]}{already}{who}"


async def waiting(store: Store, unread: Callable[[StoreError], None]) -> list[Waiting]:
    """Every question that waits, the newest first. A run that cannot be read is told to `unread`: the others can."""
    rows = await store.runs()
    names = [row.run for row in rows]
    found: list[Waiting] = []
    for row in rows:
        if row.status == "finished" and not row.driven:
            continue
        try:
            run = await load_named(store, row.run, short(row.run, names))
        except StoreError as error:
            unread(error)
            continue
        found += [Waiting(run, request) for request in run.story.waiting if run.status != "finished"]
    return sorted(found, key=lambda one: one.request.asked, reverse=True)


async def find_question(store: Store, prefix: str, name: str) -> tuple[Loaded, Asked]:
    """A question of a run, whatever became of it. Raises UserError for an unknown one, with those that wait."""
    run = await load_run(store, prefix)
    story = run.story
    asked = story.asked.get(name)
    if asked is not None:
        return run, asked
    open_now = ", ".join(clean_line(request.id, 40) for request in story.waiting)
    hint = f"what waits: {open_now}" if open_now else "nothing waits"
    near = did_you_mean(name, story.asked)
    raise UserError(f"run {run.short} has no question {name!r}" + (f" ({near})" if near else "") + f"; {hint}")


async def decide(store: Store, prefix: str, command: Decide, digest: str = "") -> Decided:
    """Decide about exactly what the question shows now; `digest` insists on what was shown before.

    Raises UserError for an unknown run or question, and for a decision that cannot be taken; StoreError.
    """
    run, asked = await find_question(store, prefix, command.request)
    request = asked.request
    _insist(run, request, digest)
    if asked.decided is not None:
        return Decided(run, _same(command, asked.decided), before=True)
    _check(run, asked, command.decision)
    if (why := unfit(request, command)) is not None:
        raise UserError(why)
    await post(run.name, command.model_copy(update={"digest": request.digest}), store)
    now = await load_named(store, run.name, run.short)
    holds = now.story.asked[request.id].decided  # somebody else may have been faster by a hair
    if holds is None:
        raise UserError(f"{request.id} is not waited for any more: look at it again, moot runs show {run.short}")
    return Decided(now, _same(command, holds), before=holds.by != command.by)


def _same(command: Decide, holds: RequestDecided) -> RequestDecided:
    """The decision that holds. Raises UserError where it is another one."""
    if said_in(holds) == said_in(command):
        return holds
    said = f": {clean_line(holds.text)}" if holds.text else ""
    who = holds.by or "somebody"
    raise UserError(f"{holds.id} was decided already: {VERDICTS[holds.decision]} by {who}{said}")


def _insist(run: Loaded, request: Request, digest: str) -> None:
    if digest and digest != request.digest:
        look = f"moot inbox show {run.short} {request.id}"
        raise UserError(f"{request.id} asks about something else (its digest is {request.digest}): {look}")


def _check(run: Loaded, asked: Asked, decision: Verdict) -> None:
    request, done = asked.request, run.story.finished
    if done is not None and not run.row.driven:
        raise UserError(f"run {run.short} is over ({done.outcome}: {done.reason}); nobody waits for {request.id}")
    if asked.dropped:
        raise UserError(f"{request.id} is not waited for any more: turn {request.turn} ended without it")
    if decision not in request.allow:
        how = "; ".join(answers(request, run.short))
        raise UserError(f"{request.id} takes {' or '.join(request.allow)}, not {decision}: {how}")


async def editing(store: Store, prefix: str, name: str) -> tuple[Request, str]:
    """A question that can be edited, and the text that an edit replaces. Raises UserError where it cannot, or is
    decided already.
    """
    run, asked = await find_question(store, prefix, name)
    if (made := asked.decided) is not None:
        raise UserError(f"{name} was decided already: {VERDICTS[made.decision]} by {made.by or 'somebody'}")
    request = asked.request
    _check(run, asked, "edit")
    shown = editable(request.kind, request.payload)
    if shown is None:
        raise UserError(f"{name} shows nothing that can be edited")
    return request, shown


def inbox_table(found: Sequence[Waiting], now: float, width: int) -> Table:
    """Questions for people."""
    return _COLUMNS.table([_cells(one, now) for one in found], width)


def _cells(one: Waiting, now: float) -> dict[str, str]:
    request = one.request
    return {
        "run": one.run.short,
        "question": clean_line(request.id, 12),
        "who": clean_line(request.participant, 20),
        "kind": clean_line(request.kind, 12),
        "about": one_line(request, 200),
        "age": age(now - request.asked),
    }
