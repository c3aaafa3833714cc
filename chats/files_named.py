"""Which files an event names by their content."""

from __future__ import annotations

from collections.abc import Sequence

from moot.agents.ran import StoredFile
from moot.chats import event_types as ev


def files_named(data: object) -> Sequence[StoredFile]:
    """The files whose content an event says is kept; none for most."""
    match data:
        case ev.RunCreated(inputs=inputs):
            return [file for files in inputs.values() for file in files]
        case ev.CodeFinished(files=files) | ev.RunFinished(artifacts=files):
            return files
        case _:
            return ()
