"""`inbox list|show|approve|edit|reject|respond`: what waits for a person, and what is decided about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from moot.cli.edge import wait
from moot.cli.options import Artifacts, Display, Json, Mode, Run

if TYPE_CHECKING:
    from moot.agents.questions import Verdict
    from moot.chats.commands import Decide
    from moot.chats.notes import Asked
    from moot.cli.inbox import Decided, Waiting
    from moot.cli.loaded import Loaded

Question = Annotated[str, typer.Argument(metavar="QUESTION", help="Which question of the run: q1, q2, ...")]
By = Annotated[str | None, typer.Option(help="Who decides; else the login name.", metavar="NAME")]
Digest = Annotated[
    str, typer.Option(help="Decide only if the question still has this digest (see show --json).", metavar="HEX")
]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Drive the run on here, unless another process does.")
]


class Then(NamedTuple):
    """What is done once it is decided."""

    resume: bool
    artifacts: Path | None
    display: Mode
    json: bool


def list_waiting(json: Json = False) -> None:
    """Every question that waits for a person, of all runs, the newest first."""
    import time

    from moot.cli.consoles import console, result_json
    from moot.cli.consoles import say as tell
    from moot.cli.inbox import inbox_table

    found = wait(_waiting())
    if json:
        result_json([one.as_object() for one in found])
    elif not found:
        tell("nothing waits for a person")
    else:
        on = console(stderr=False)
        on.print(inbox_table(found, time.time(), on.width))
        tell(f"  moot inbox show {found[0].run.short} {found[0].request.id}")


def show(run: Run, question: Question, json: Json = False) -> None:
    """All that is decided about, and the commands that decide it.

    With --json character by character, and with the digest that a decision is bound to.
    """
    from moot.chats.clean import clean_line
    from moot.chats.notes import VERDICTS
    from moot.cli.consoles import console, result_json
    from moot.cli.consoles import say as tell
    from moot.cli.question_shown import answers, heard, in_full
    from moot.cli.run_shown import question_object

    loaded, asked = wait(_question(run, question))
    if json:
        result_json({"run": loaded.name, "status": loaded.status, **question_object(asked)})
        return
    on = console(stderr=False)
    for part in (*heard(asked.request, loaded.story, loaded.short), *in_full(asked.request)):
        on.print(part)
    if (made := asked.decided) is not None:
        said = f": {clean_line(made.text)}" if made.text else ""
        tell(f"  {VERDICTS[made.decision]} by {made.by or 'somebody'}{said}")
    elif asked.dropped:
        tell(f"  nobody waits for it any more: {'its turn' if loaded.story.finished is None else 'the run'} ended")
    else:
        tell("\n".join(f"  {command}" for command in answers(asked.request, loaded.short)))


def approve(
    run: Run,
    question: Question,
    by: By = None,
    digest: Digest = "",
    resume: Resume = True,
    artifacts: Artifacts = None,
    display: Display = Mode.AUTO,
    json: Json = False,
) -> None:
    """Allow exactly what is shown, and drive the run on.

    Ends as `moot resume` does; with 0 where the run does not go on here.
    """
    _decide(run, _command("approve", question, "", by), digest, Then(resume, artifacts, display, json))


def reject(
    run: Run,
    question: Question,
    reason: Annotated[str, typer.Argument(help="Why, for whoever asked; - reads it from stdin.")],
    by: By = None,
    digest: Digest = "",
    resume: Resume = True,
    artifacts: Artifacts = None,
    display: Display = Mode.AUTO,
    json: Json = False,
) -> None:
    """Refuse what is shown, with a reason, and drive the run on.

    Ends as `moot resume` does; with 0 where the run does not go on here.
    """
    _decide(run, _command("reject", question, reason, by), digest, Then(resume, artifacts, display, json))


def edit(
    run: Run,
    question: Question,
    text: Annotated[str | None, typer.Option(help="What stands in place of it; - reads it from stdin.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file with what stands in place of it.", metavar="FILE", exists=True)
    ] = None,
    by: By = None,
    digest: Digest = "",
    resume: Resume = True,
    artifacts: Artifacts = None,
    display: Display = Mode.AUTO,
    json: Json = False,
) -> None:
    """Put something else in place of what is shown, allow that, and drive the run on.

    Opens $VISUAL or $EDITOR unless --text or --file says what: the code, the message, or the arguments of a tool as
    JSON. The others are told what was changed, and by whom. Ends as `moot resume` does; with 0 where the run does not
    go on here.
    """
    from moot.chats.errors import UserError

    if text is not None and file is not None:
        raise UserError("give --text or --file, not both")
    made = wait(_edited(run, question)) if text is None and file is None else _given(text, file)
    command = _command("edit", question, "", by).model_copy(update={"edited": made})
    _decide(run, command, digest, Then(resume, artifacts, display, json))


def respond(
    run: Run,
    question: Question,
    text: Annotated[str, typer.Argument(help="The answer; - reads it from stdin.")],
    by: By = None,
    digest: Digest = "",
    resume: Resume = True,
    artifacts: Artifacts = None,
    display: Display = Mode.AUTO,
    json: Json = False,
) -> None:
    """Answer a question, and drive the run on.

    Ends as `moot resume` does; with 0 where the run does not go on here.
    """
    _decide(run, _command("respond", question, text, by), digest, Then(resume, artifacts, display, json))


def _command(verdict: Verdict, question: str, text: str, by: str | None) -> Decide:
    from moot.chats.commands import Decide
    from moot.chats.errors import UserError
    from moot.cli.asking import login
    from moot.cli.stdin_text import given_text

    said = given_text(text)
    if verdict == "reject" and not said.strip():
        raise UserError("give a reason: whoever asked is told why")
    return Decide(request=question, decision=verdict, text=said, by=login() if by is None else by, digest="")


def _decide(run: str, command: Decide, digest: str, then: Then) -> None:
    """Decide, and drive the run on where nobody else does and it can be done here."""
    from moot.cli.consoles import result_json
    from moot.cli.consoles import say as tell

    decided = wait(_decided(run, command, digest))
    now = decided.run
    goes_on = then.resume and not now.row.driven and not now.python and now.status != "finished"
    if then.json and not goes_on:
        result_json(decided.as_object())
    if then.display is not Mode.NONE or not goes_on:
        tell(f"{decided.words}{'' if goes_on else _afterwards(now)}")
    if goes_on:
        drive_on(decided, then)


def drive_on(decided: Decided, then: Then) -> None:
    """Go on with a run that nobody drove when it was decided. Whoever had asked there may be faster, and even have
    ended it already: then it does not go on here.
    """
    from dataclasses import replace

    from moot.chats.errors import Fenced, UserError
    from moot.cli import run_verbs
    from moot.cli.consoles import result_json
    from moot.cli.consoles import say as tell

    now = decided.run
    try:
        run_verbs.resume(now.name, artifacts=then.artifacts, display=then.display, json=then.json)
        return
    except Fenced:
        tell(f"  another process drives it on: moot watch {now.short}")
    except UserError:
        ended, _ = wait(_question(now.name, decided.decision.id))
        if ended.story.finished is None:
            raise
        tell(f"  another process drove it to its end: moot runs show {now.short}")
        decided = replace(decided, run=ended)
    if then.json:
        result_json(decided.as_object())


def _afterwards(run: Loaded) -> str:
    if run.status == "finished":
        return ""
    if run.row.driven:
        when = " when what is under way there has ended" if run.story.spending.open else ""
        return f": the process that drives it goes on with that{when}; moot watch {run.short}"
    made = "; it was made of Python objects and needs them" if run.python else ""
    return f"; to go on: {run.go_on}{made}"


def _given(text: str | None, file: Path | None) -> str:
    from moot.chats.errors import UserError
    from moot.cli.stdin_text import given_text

    if file is None:
        return given_text(text or "")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None


async def _edited(run: str, question: str) -> str:
    """What a person makes of it in their editor."""
    import os
    import sys
    from functools import partial

    from moot.agents.edits import fits
    from moot.chats.errors import UserError
    from moot.chats.home import open_store
    from moot.cli.editing import edit_until_fits, edited, suffix_of
    from moot.cli.inbox import editing

    if not sys.stdin.isatty() and not (os.environ.get("VISUAL") or os.environ.get("EDITOR")):
        raise UserError("there is no terminal to edit at: give --text or --file, or --text - with the text on stdin")
    store, _ = open_store()
    try:
        request, shown = await editing(store, run, question)
    finally:
        await store.close()
    open_editor = partial(edited, suffix=suffix_of(request.kind, request.payload))
    written = await edit_until_fits(shown, open_editor, partial(fits, request.kind), _again)
    if written.failure:
        raise UserError(f"{question} is not edited: {written.failure}")
    return written.text


async def _again(wrong: str) -> bool:
    """Whether to open the editor once more on a text that does not fit."""
    import sys

    from moot.cli.consoles import say as tell

    tell(f"it does not fit: {wrong}")
    return sys.stdin.isatty() and typer.confirm("open it again?", default=True, err=True)


async def _decided(run: str, command: Decide, digest: str) -> Decided:
    from moot.chats.home import open_store
    from moot.cli.inbox import decide

    store, _ = open_store()
    try:
        return await decide(store, run, command, digest)
    finally:
        await store.close()


async def _waiting() -> list[Waiting]:
    from moot.chats.home import open_store
    from moot.cli.consoles import say
    from moot.cli.inbox import waiting

    store, _ = open_store()
    try:
        return await waiting(store, lambda error: say(f"warning: {error.one_line}"))
    finally:
        await store.close()


async def _question(run: str, name: str) -> tuple[Loaded, Asked]:
    from moot.chats.home import open_store
    from moot.cli.inbox import find_question

    store, _ = open_store()
    try:
        return await find_question(store, run, name)
    finally:
        await store.close()
