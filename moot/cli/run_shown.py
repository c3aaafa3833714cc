"""One run looked at afterwards."""

from __future__ import annotations

from moot.agents.ran import RanBlock
from moot.chats.exports.told import SELECTING, Spender, spenders
from moot.chats.notes import VERDICTS, Asked
from moot.chats.story import Story
from moot.chats.telling import Block, Telling
from moot.cli.artifact_files import CopiedFile, found
from moot.cli.consoles import console
from moot.cli.display_plain import PlainDisplay
from moot.cli.exit_codes import exit_code
from moot.cli.followed_shown import followed_object, followed_shown
from moot.cli.loaded import Loaded
from moot.cli.run_object import Json, request_object, run_object, usage_object
from moot.cli.words import count, few, seconds, spent, time_of


def show(run: Loaded) -> None:
    """The run as it was shown while it went on, on stdout, then files and cost by participant."""
    on, story = console(stderr=False), Story(run.name)
    display = PlainDisplay(on)
    display.open(run.short)
    for event in run.events:
        story.apply(event)
        display.event(event, story, past=False)
    run.decide(story)
    if run.row.driven:
        display.hint(f"it goes on in another process: moot watch {run.short}")
    else:
        display.end(story)
    for decision in run.decisions:
        who = decision.by or "somebody"
        display.hint(f"{decision.id} was {VERDICTS[decision.decision]} by {who}; to go on: {run.go_on}")
    if story.finished is not None and story.finished.result is not None:
        display.hint(f"result: {story.finished.result}")
    files = [f"file {f.name} ({f.size} bytes, sha256 {f.sha256}) in {found(run.name, f)}" for f in story.files.values()]
    for line in few(files):
        display.hint(line)
    for one in spenders(story):
        if line := _cost(one):
            display.hint(line)
    for part in followed_shown(story, on.width):
        on.print(part)


def _cost(one: Spender) -> str:
    """What a participant took, or picking the speakers; empty of somebody who did nothing."""
    parts = [spent(one.usage, one.doubtful, ", ")] if one.usage.tokens or one.doubtful.tokens else []
    parts += [count(one.usage.code_runs, "code run")] if one.usage.code_runs else []
    if not parts and not one.turns:
        return ""
    whose = one.name if one.seated else f"{one.name} ({SELECTING})"
    return f"cost of {whose}: {', '.join([*parts, seconds(one.seconds)])}"


def full_turn(telling: Telling) -> str:
    """What was said; or what was run and all it printed."""
    if not telling.blocks:
        return telling.text
    parts = []
    for block in telling.blocks.values():
        ran = block.ran
        parts += [block.code.rstrip("\n")] if block.code else []
        parts += ["--- a result of unknown shape", block.unread] if block.unread else []
        if ran is not None:
            parts.append(f"--- {'skipped: ' + ran.skipped if ran.skipped else f'exit code {ran.exit_code}'}")
            parts += [text.rstrip("\n") for text in (ran.stdout, ran.stderr, ran.value) if text]
    return "\n".join(parts if telling.reported else [*parts, "---", telling.text])


def known_files(story: Story) -> list[CopiedFile]:
    """What the code of a run left, and where it can be opened."""
    return [CopiedFile(f.name, f.size, f.sha256, found(story.run, f)) for f in story.files.values()]


def shown_object(story: Story, status: str) -> Json:
    """Everything for `--json`: the object of `run --json`, and what led there."""
    done, created = story.finished, story.created
    code = exit_code(done.outcome if done is not None else None, done.cause if done is not None else "")
    return {
        **run_object(story, status, code, known_files(story)),
        "started": time_of(story.started),
        "forked_from": _forked(story),
        "task": "\n".join(story.task),
        "participants": list(created.participants) if created is not None else [],
        "models": dict(created.models) if created is not None else {},
        "limits": dict(created.limits) if created is not None else {},
        "followed": followed_object(story),
        "history": [_turn(t) for _, t in sorted(story.turns.items())],
        "questions": [question_object(asked) for asked in story.asked.values()],
        "notes": [{"turn": n.turn, "kind": n.kind, "text": n.text, "body": n.body, "by": n.by} for n in story.notes],
    }


def question_object(asked: Asked) -> Json:
    """A question, and what became of it."""
    decided = asked.decided
    made = None if decided is None else {"decision": decided.decision, "text": decided.text, "by": decided.by}
    return {**request_object(asked.request), "waits": asked.waits, "decided": made}


def _forked(story: Story) -> Json | None:
    forked = story.forked
    return None if forked is None else {"run": forked.parent, "turn": forked.turn, "edits": dict(forked.edits)}


def _turn(telling: Telling) -> Json:
    why = telling.why
    return {
        "turn": telling.number,
        "participant": telling.participant,
        "policy": why.policy if why is not None else None,
        "reason": why.reason if why is not None else None,
        "attempt": telling.attempt,
        "finished": telling.finished,
        "seconds": telling.seconds,
        "text": telling.text,
        "inner": list(telling.inner),
        "code": [_block(block) for block in telling.blocks.values()],
        "usage": usage_object(telling.usage),
    }


def _block(block: Block) -> Json:
    ran = RanBlock.model_dump(block.ran, mode="json") if block.ran is not None else {}
    unread = {"unread": block.unread} if block.unread else {}
    return {**ran, **unread, "language": block.language, "code": block.code}
