"""Templates as a user keeps them: copied by `moot init`, and pointed at a model on loopback."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Ended(Protocol):
    """A command that has ended."""

    code: int
    err: str

    @property
    def json(self) -> Any:
        """What it printed with `--json`."""
        ...


@dataclass(frozen=True)
class Waits:
    """A question that waits for a person."""

    run: str
    id: str
    kind: str
    who: str
    payload: Mapping[str, object]


def waiting(moot: Callable[..., Ended]) -> Waits:
    """The only question there is."""
    (found,) = moot("inbox", "list", "--json").json
    return Waits(found["run"], found["id"], found["kind"], found["participant"], found["payload"])


def kept(moot: Callable[..., Ended], name: str, folder: Path) -> Path:
    """The chat file of a copy in `folder`."""
    done = moot("init", name, str(folder))
    assert done.code == 0, done.err
    return folder / "chat.yaml"


def over_http(chat: Path, url: str) -> Path:
    """The same file, with a model behind that address in place of its playbook."""
    text, found = re.subn(
        r"^model: playbook:.*$",
        f"model: {{base_url: '{url}', model: any-name, price: {{input_per_million: 1, output_per_million: 1}}}}",
        chat.read_text(),
        flags=re.MULTILINE,
    )
    assert found == 1
    chat.write_text(text)
    return chat


def asked_of(requests: list[dict[str, object]], participant: str) -> list[list[dict[str, str]]]:
    """The messages of each request that was made for this participant, the first of each its instructions."""
    found = [request["messages"] for request in requests]
    return [m for m in found if isinstance(m, list) and str(m[0]["content"]).startswith(f"You are {participant},")]
