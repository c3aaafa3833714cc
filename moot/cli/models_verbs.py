"""`models list`, `models test`."""

from __future__ import annotations

from typing import Annotated

import typer

from moot.cli.edge import wait
from moot.cli.exit_codes import ExitCode
from moot.cli.options import Json

Name = Annotated[
    str | None, typer.Argument(help="openai/NAME, anthropic/NAME, ollama/NAME or azure/NAME.", metavar="NAME")
]


def list_models(json: Json = False) -> None:
    """What models can be named here: providers, whether their package and key are there, Ollama's models, playbooks."""
    from moot.cli.consoles import result, result_json
    from moot.cli.models_shown import found_models

    found = wait(found_models())
    if json:
        result_json(found.as_object())
    else:
        result(found.text())


def ask(
    name: Name = None,
    base_url: Annotated[
        str | None, typer.Option(help="The address of a server that speaks OpenAI's protocol.", metavar="URL")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The name that server knows the model by.", metavar="NAME")] = None,
    key_env: Annotated[
        str | None, typer.Option(help="The environment variable that holds the key.", metavar="VARIABLE")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each reply.", min=0.1)] = 60.0,
    json: Json = False,
) -> None:
    """Ask a model three short things: whether it answers, streams, tells its usage, calls tools and keeps to a form.

    Ends with 7 when it does not answer.
    """
    from moot.agents.model_probe import probe
    from moot.cli.consoles import result, result_json
    from moot.cli.models_shown import probe_object, probe_text, tested

    found = wait(probe(tested(name, base_url=base_url, model=model, key_env=key_env), patience_seconds=timeout))
    if json:
        result_json(probe_object(found))
    else:
        result(probe_text(found))
    if not found.ok:
        raise typer.Exit(ExitCode.MODEL)
