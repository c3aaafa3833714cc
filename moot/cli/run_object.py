"""What `--json` says of a run."""

from __future__ import annotations

from collections.abc import Sequence

from moot.chats.requests import Request
from moot.chats.story import Story
from moot.cli.artifact_files import CopiedFile
from moot.cli.exit_codes import ExitCode
from moot.cli.words import time_of
from moot.termination.ledger import Usage

Json = dict[str, object]


def run_object(story: Story, status: str, code: ExitCode, files: Sequence[CopiedFile]) -> Json:
    """One run that is over or was left. `usd` is null where a call had no known price."""
    done = story.finished
    stopped = None if done is None else {"rule": done.rule, "reason": done.reason, "turn": done.turn}
    return {
        "run": story.run,
        "chat": story.created.chat if story.created is not None else "",
        "status": status,
        "outcome": None if done is None else str(done.outcome),
        "stopped_by": stopped,
        "result": None if done is None else done.result,
        "waiting": [request_object(request) for request in story.waiting] if done is None else [],
        "turns": story.count,
        "usage": {**_whole(story), "by_participant": by_participant(story)},
        "model_kind": story.created.model_kind if story.created is not None else "none",
        "artifacts": [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256, "path": str(f.path)} for f in files],
        "exit_code": int(code),
    }


def request_object(request: Request) -> Json:
    """A question to a person. What is decided about stands in it character by character."""
    return {
        "id": request.id,
        "kind": request.kind,
        "participant": request.participant,
        "turn": request.turn,
        "payload": dict(request.payload),
        "digest": request.digest,
        "ask": request.ask,
        "allow": list(request.allow),
        "asked": time_of(request.asked),
    }


def _whole(story: Story) -> Json:
    """What was spent for certain, and what calls may have cost at most whose results are not known."""
    doubtful = story.spending.doubtful()
    known = usage_object(story.usage)
    if not doubtful.priced:
        known.update(usd=None, priced=False)
    return {**known, "doubtful": {**usage_object(doubtful), "code_runs": doubtful.code_runs}}


def usage_object(usage: Usage) -> Json:
    """What was spent."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "usd": None if usage.usd is None else round(usage.usd, 9),
        "priced": usage.priced,
    }


def by_participant(story: Story) -> Json:
    """What each spent, in the order of the table."""
    seated = story.created.participants if story.created is not None else ()
    names = dict.fromkeys([*seated, *story.by_participant])  # picking the speakers spends, too, and is nobody's turn
    return {name: usage_object(story.by_participant.get(name, Usage())) for name in names}
