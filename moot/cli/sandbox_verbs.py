"""`sandbox build`, `sandbox check`, `sandbox prune`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from moot.cli.edge import wait
from moot.cli.exit_codes import ExitCode
from moot.cli.options import Json
from moot.sandbox.docker import DEFAULT_IMAGE


class BaseKind(StrEnum):
    """What the image is built from."""

    AUTO = "auto"
    SLIM = "slim"
    BOOTSTRAP = "bootstrap"


def build(
    base: Annotated[
        BaseKind, typer.Option(help="slim: python:3.12-slim. bootstrap: Debian packages, where nothing can be pulled.")
    ] = BaseKind.AUTO,
    tag: Annotated[str, typer.Option(help="What the image is called.")] = DEFAULT_IMAGE,
    json: Json = False,
) -> None:
    """Build the image that code runs in."""
    from moot.cli.consoles import result, result_json, say
    from moot.cli.words import seconds, size
    from moot.sandbox.images import build as build_image

    built = wait(build_image(base=base.value, tag=tag, say=say))
    if json:
        result_json({"tag": built.tag, "id": built.id, "bytes": built.size_bytes, "seconds": round(built.seconds, 1)})
    else:
        result(f"{built.tag}  {size(built.size_bytes)}  {built.id[:19]}  built in {seconds(built.seconds)}")


def check(
    image: Annotated[str, typer.Option(help="The image to look at.")] = DEFAULT_IMAGE, json: Json = False
) -> None:
    """Start a sandbox and see whether it keeps what is promised. Ends with 6 when it does not."""
    from moot.cli.consoles import result, result_json
    from moot.sandbox.check import check as check_sandbox
    from moot.sandbox.docker import Docker

    found = wait(check_sandbox(Docker(image=image)))
    ok = all(one.ok for one in found)
    if json:
        checks = [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in found]
        result_json({"image": image, "ok": ok, "checks": checks})
    else:
        result("\n".join(f"{'ok  ' if one.ok else 'FAIL'} {one.name:<18} {one.detail}" for one in found))
    if not ok:
        raise typer.Exit(ExitCode.NO_SANDBOX)


def prune(json: Json = False) -> None:
    """Remove containers that dead processes have left behind."""
    from moot.cli.consoles import result, result_json, say
    from moot.sandbox.prune import prune as prune_containers

    removed = wait(prune_containers())
    if json:
        result_json({"removed": removed})
    elif removed:
        result("\n".join(removed))
    else:
        say("nothing was left behind")
