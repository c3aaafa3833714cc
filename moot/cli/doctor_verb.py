"""`doctor`: what of this machine Moot can use."""

from __future__ import annotations

import typer

from moot.cli.edge import wait
from moot.cli.exit_codes import ExitCode
from moot.cli.options import Json


def doctor(json: Json = False) -> None:
    """Check Python, packages, the Docker engine, the image, the data folder, disk and keys."""
    from moot.cli.consoles import result, result_json
    from moot.cli.diagnosis import diagnose

    found = wait(diagnose())
    code = next((one.code for one in found if not one.ok and one.code), ExitCode.GOAL)
    if json:
        checks = [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in found]
        result_json({"ok": not code, "checks": checks, "exit_code": int(code)})
    else:
        signs = {True: "ok  ", False: "FAIL"}
        lines = [f"{signs[one.ok] if one.code or one.ok else '--  '} {one.name:<12} {one.detail}" for one in found]
        result("\n".join(lines))
    if code:
        raise typer.Exit(code)
