"""What a selector's model answered: a participant who may speak next, or what is wrong with the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, Field, create_model

from moot.chats.clean import clean_line

REASON_CHARACTERS = 300
NAME_CHARACTERS = 40
_READ_CHARACTERS = 20_000
"""An answer is short. One that is not is a text of some other kind, and not read to its end."""
_DECODER = json.JSONDecoder()
_BARE = re.compile(r"[\s\"'`*.@]*(\w+)[\s\"'`*.]*")


@dataclass(frozen=True, slots=True)
class Picked:
    """Somebody who may speak next, and why in the model's words, on one line."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why the answer will not do, as what follows "the model"."""

    how: str


@lru_cache(maxsize=256)
def form(names: tuple[str, ...]) -> type[BaseModel]:
    """The form of an answer, for models that keep to one. That the name is one of these is told to the model and
    checked by `read`: a client that checked it would throw the answer away, and with it what was wrong.
    """
    return create_model(
        "NextSpeaker",
        next=(str, Field(description="Who speaks next.", json_schema_extra={"enum": list(names)})),
        reason=(str, Field(description="Why, in one short sentence.")),
    )


def read(text: str, may: Sequence[str], everybody: Sequence[str], *, loose: bool) -> Picked | Wrong:
    """Who is picked: by a JSON object, or by a bare name; where `loose`, by the one name that stands in a sentence."""
    text = text[:_READ_CHARACTERS]
    answers = [found for found in _objects(text) if "next" in found]
    if answers:
        named = list(dict.fromkeys(json.dumps(answer["next"]) for answer in answers))
        if len(named) > 1:
            return Wrong("gave several answers")
        return _checked(answers[-1]["next"], answers[-1].get("reason"), may, everybody)
    if bare := _BARE.fullmatch(text):
        return _checked(bare[1], None, may, everybody)
    if not loose:
        return Wrong("gave no JSON object with a next speaker" if text.strip() else "answered nothing")
    words = dict.fromkeys(re.findall(r"\w+", text))
    found = list(dict.fromkeys(name for word in words if (name := _name(word, everybody)) is not None))
    if len(found) > 1:
        return Wrong(f"named several: {', '.join(found[:5])}")
    return _checked(found[0] if found else None, text, may, everybody)


def _checked(named: object, reason: object, may: Sequence[str], everybody: Sequence[str]) -> Picked | Wrong:
    if isinstance(named, list):
        return Wrong("named several" if len(named) > 1 else "gave a list instead of one name")
    if named is None or (isinstance(named, str) and not named.strip()):
        return Wrong("named nobody")
    if not isinstance(named, str):
        return Wrong("gave something else than a name")
    if (name := _name(named.strip(), may)) is not None:
        why = clean_line(reason, REASON_CHARACTERS) if isinstance(reason, str) else ""
        return Picked(name, why or "it was picked without a reason")
    if (name := _name(named.strip(), everybody)) is not None:
        return Wrong(f"named {name}, who may not speak next")
    return Wrong(f"named {clean_line(named, NAME_CHARACTERS)!r}, who is no participant")


def _name(given: str, names: Sequence[str]) -> str | None:
    """The name that is meant: letters may be large or small, where that leaves no doubt."""
    if given in names:
        return given
    alike = [name for name in names if name.casefold() == given.casefold()]
    return alike[0] if len(alike) == 1 else None


def _objects(text: str) -> Iterator[dict[str, object]]:
    """The JSON objects that stand in a text, in a fence or among words, outermost only."""
    at = text.find("{")
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value
        at = text.find("{", end)
