"""Real models in tests: asked once, replayed ever after."""

from __future__ import annotations

import os
from pathlib import Path

from autogen_core.models import ChatCompletionClient

from moot.agents.errors import TapeError
from moot.agents.replay_client import replayed
from moot.agents.tape_client import Given, record

RECORD = "MOOT_RECORD"
"""The environment variable that allows recording, set to 1."""
_recording: set[Path] = set()


def taped(model: Given, tape: str | Path, *, part: str = "") -> ChatCompletionClient:
    """The model by its tape: replayed where the tape is there, recorded where it is not and `MOOT_RECORD=1` is set.

    So a test asks the real model once, at the desk, and never again: keep the tape beside the test. `model` is what
    `record` takes: a name such as `openai:gpt-4o` (no key is read while it is replayed), a `ModelSpec`, or a client.
    To record anew, remove the tape. `part` is under which name the calls are kept; an assistant of a chat has its own.
    Raises TapeError where there is no tape and recording is not allowed.
    """
    path = Path(tape).absolute()
    if path.exists() and path not in _recording:
        return replayed(tape, part=part)
    if os.environ.get(RECORD) != "1":
        raise TapeError(f"no tape {str(tape)!r}: record it once with {RECORD}=1 set, and keep it beside the test")
    _recording.add(path)  # begun by this process: it grows with every call, also of the tests that follow
    return record(model, tape, part=part)
