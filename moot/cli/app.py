"""The verbs. Only what help needs is imported here: each verb fetches the rest when it is used."""

from __future__ import annotations

import inspect
import os
from typing import Annotated

import typer

from moot import __version__
from moot.cli import (
    chat_verbs,
    compare_verb,
    completion_verb,
    doctor_verb,
    fork_verb,
    journal_verbs,
    keeping_verbs,
    models_verbs,
    outside_verbs,
    people_verbs,
    replay_verb,
    run_verbs,
    sandbox_verbs,
)

app = typer.Typer(
    name="moot",
    help="Group chats of AI agents: durable, bounded, safe and explainable.",
    epilog=(
        "Example: moot demo   then   moot run research --set inputs.x=horsepower\n\n"
        "Exit codes: 0 goal, 1 failed, 2 bad file or usage, 3 a limit, 4 waiting or paused, 5 rejected, 6 no sandbox, "
        "7 model or key, 8 stalled, 9 stopped, 130 interrupted."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,  # a verb of its own, with answers that are known fast
    context_settings={"help_option_names": ["--help", "-h"]},
)
runs = typer.Typer(help="Look at past and present runs.", no_args_is_help=True, epilog="Example: moot runs list")
inbox = typer.Typer(
    help="Questions of runs to people: what waits, and what is decided.",
    no_args_is_help=True,
    epilog="Example: moot inbox list",
)
models = typer.Typer(
    help="Which models can be asked, and whether they answer.", no_args_is_help=True, epilog="Example: moot models list"
)
sandbox = typer.Typer(
    help="The containers that code runs in.", no_args_is_help=True, epilog="Example: moot sandbox build"
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"moot {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version, and nothing else.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks of errors (as MOOT_DEBUG=1).")] = False,
) -> None:
    """What holds for every verb."""
    if debug:
        os.environ["MOOT_DEBUG"] = "1"


_RUNNING, _WRITING, _LOOKING, _MACHINE = "Run chats", "Write chats", "Look at runs", "This machine"
_TALKING = "Answer and steer runs"

app.command(epilog="Example: moot demo", rich_help_panel=_RUNNING)(run_verbs.demo)
app.command(epilog="Example: moot run debate.yaml 'Adopt a 4-day week?' --rounds 3", rich_help_panel=_RUNNING)(
    run_verbs.run
)
app.command(epilog="Example: moot resume 1m7xb25vxcc", rich_help_panel=_RUNNING)(run_verbs.resume)
app.command(epilog="Example: moot fork 1m7xb25vxcc@3 --model openai/gpt-5", rich_help_panel=_RUNNING)(fork_verb.fork)
app.command(epilog="Example: moot watch 1m7xb25vxcc --tail", rich_help_panel=_TALKING)(outside_verbs.watch)
app.command(epilog="Example: moot say 1m7xb25vxcc 'Use the second table' --to coder", rich_help_panel=_TALKING)(
    outside_verbs.say
)
app.command(epilog="Example: moot pause 1m7xb25vxcc   then   moot resume 1m7xb25vxcc", rich_help_panel=_TALKING)(
    outside_verbs.pause
)
app.command(epilog="Example: moot stop 1m7xb25vxcc --now --reason 'wrong data'", rich_help_panel=_TALKING)(
    outside_verbs.stop
)
app.command(epilog="Example: moot init debate my-debate", rich_help_panel=_WRITING)(chat_verbs.init)
app.command(epilog="Example: moot validate chat.yaml", rich_help_panel=_WRITING)(chat_verbs.validate)
app.command(epilog="Example: moot plan chat.yaml --set inputs.x=weight", rich_help_panel=_WRITING)(chat_verbs.plan)
app.command(epilog="Example: moot schema > moot.schema.json", rich_help_panel=_WRITING)(chat_verbs.schema)
app.command(epilog="Example: moot replay 1m7xb25vxcc --speed 4", rich_help_panel=_LOOKING)(replay_verb.replay)
app.command(epilog="Example: moot compare 1m7xb25vxcc 1m7xb2q4r0k", rich_help_panel=_LOOKING)(compare_verb.compare)
app.command(epilog="Example: moot export 1m7xb25vxcc -o run.html", rich_help_panel=_LOOKING)(journal_verbs.export)
app.command(epilog="Example: moot verify --all", rich_help_panel=_LOOKING)(journal_verbs.verify)
app.command(epilog="Example: moot backup ~/moot-monday", rich_help_panel=_MACHINE)(keeping_verbs.backup)
app.command(epilog="Example: moot doctor", rich_help_panel=_MACHINE)(doctor_verb.doctor)
app.command(epilog="Example: moot completion bash --install", rich_help_panel=_MACHINE)(completion_verb.completion)
runs.command("list", epilog="Example: moot runs list --json")(journal_verbs.list_runs)
runs.command("show", epilog="Example: moot runs show 1m7xb25vxcc --turn 3")(journal_verbs.show_run)
runs.command("search", epilog="Example: moot runs search 'least squares' --limit 5")(keeping_verbs.search)
runs.command("rm", epilog="Example: moot runs rm --finished --older-than 30d")(keeping_verbs.remove)
models.command("list", epilog="Example: moot models list --json")(models_verbs.list_models)
models.command("test", epilog="Example: moot models test --base-url http://localhost:11434/v1 --model llama3.2")(
    models_verbs.ask
)
sandbox.command(epilog="Example: moot sandbox build --base slim")(sandbox_verbs.build)
sandbox.command(epilog="Example: moot sandbox check --image moot/python:1")(sandbox_verbs.check)
sandbox.command(epilog="Example: moot sandbox prune")(sandbox_verbs.prune)
inbox.command("list", epilog="Example: moot inbox list --json")(people_verbs.list_waiting)
inbox.command("show", epilog="Example: moot inbox show 1m7xb25vxcc q1")(people_verbs.show)
inbox.command("approve", epilog="Example: moot inbox approve 1m7xb25vxcc q1")(people_verbs.approve)
inbox.command("edit", epilog="Example: moot inbox edit 1m7xb25vxcc q1 --file better.py")(people_verbs.edit)
inbox.command("reject", epilog="Example: moot inbox reject 1m7xb25vxcc q1 'It writes outside /work'")(
    people_verbs.reject
)
inbox.command("respond", epilog="Example: moot inbox respond 1m7xb25vxcc q1 'The second table'")(people_verbs.respond)
app.add_typer(inbox, name="inbox", rich_help_panel=_TALKING)
app.add_typer(runs, name="runs", rich_help_panel=_LOOKING)
app.add_typer(models, name="models", rich_help_panel=_MACHINE)
app.add_typer(sandbox, name="sandbox", rich_help_panel=_MACHINE)


def _unwrap(verbs: typer.Typer) -> None:
    """Let the terminal break the lines of help: typer keeps those of a docstring."""
    for verb in verbs.registered_commands:
        paragraphs = inspect.cleandoc(verb.help or getattr(verb.callback, "__doc__", None) or "").split("\n\n")
        verb.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


for _verbs in (app, inbox, runs, models, sandbox):
    _unwrap(_verbs)
