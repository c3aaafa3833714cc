"""What may be put into a workspace, decided on the host before anything is started or sent."""

from __future__ import annotations

from collections.abc import Mapping

from moot.sandbox.errors import FileRefused, InputTooLarge
from moot.sandbox.runner.workspace import name_parts
from moot.sandbox.sizes import parse_size, show_size


def check_inputs(files: Mapping[str, bytes], workspace: str) -> None:
    """FileRefused or InputTooLarge for files that cannot be put in, before anything is started or sent."""
    room = parse_size(workspace, what="workspace")
    for name, data in files.items():
        check_name(name)
        if len(data) > room:
            raise InputTooLarge(
                f"{name!r} has {show_size(len(data))}, more than the workspace of {workspace}; "
                "raise `workspace` (and `memory`) or give a smaller file"
            )
    total = sum(map(len, files.values()))
    if total > room:
        raise InputTooLarge(
            f"the {len(files)} input files have {show_size(total)} together, more than the workspace of {workspace}; "
            "raise `workspace` (and `memory`) or give smaller files"
        )


def check_name(name: str) -> None:
    """FileRefused for a name that is not a relative path within the workspace."""
    try:
        name_parts(name)
    except ValueError as error:
        raise FileRefused(f"{name!r} is refused: {error}") from None
