"""JSON of what agents made, whatever characters are in it.

Half of an emoji (a lone surrogate, as models and file names bring them) is no UTF-8: pydantic refuses to write it and
cannot read it. `json` can do both, so it takes over where that happens. What pydantic writes and nobody can read back,
such as a number of 5,000 digits, is refused: a line that cannot be read would make a whole run unreadable.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_jsonable_python

MOST_NESTED = 200
"""How deep data may be nested that agents bring. Pydantic writes 254 levels: events find room around it."""
_MOST_DIGITS = 4300
"""Of a whole number that Python, and pydantic, read."""
_STRIDE = _MOST_DIGITS // 2
_TWO_DIGITS = re.compile(r"(?=[0-9][0-9])")
_ENCODER = json.JSONEncoder(default=to_jsonable_python)


def json_of(model: BaseModel) -> str:
    """A model as JSON that can be written to a file and read back. Raises ValueError (PydanticSerializationError is
    one) for what is no data, or could not be read.
    """
    text = _dumped(model)
    if len(text) > _MOST_DIGITS and _may_hold_huge_number(text):
        json.loads(text)
    return text


def data_of(model: BaseModel) -> dict[str, object]:
    """A model as JSON values. Raises ValueError for what is no data."""
    try:
        return model.model_dump(mode="json")
    except UnicodeEncodeError:  # half of a character in a key
        value: dict[str, object] = json.loads(snapshot(model.model_dump()))
        return value


def _dumped(model: BaseModel) -> str:
    try:
        return model.model_dump_json()
    except PydanticSerializationError:
        return json.dumps(data_of(model))


def _may_hold_huge_number(text: str) -> bool:
    """Looks at a few characters only: a number that is too long goes from one of them to the next."""
    pairs = (found.start() * _STRIDE for found in _TWO_DIGITS.finditer(text[::_STRIDE]))
    return any(text[at : at + _STRIDE].isdigit() for at in pairs)


def read_back(text: str) -> object:
    """What JSON holds that an event is to hold. Raises ValueError where that is nested too deeply, or could not be
    read back.
    """
    try:
        return from_json(text)
    except ValueError:  # half a character perhaps, which only `json` reads
        pass
    try:
        value: object = json.loads(text)
    except RecursionError:
        value = None
    if value is None or nested(value) > MOST_NESTED:
        raise ValueError(f"it is nested more than {MOST_NESTED} levels deep")
    return value


def nested(value: object) -> int:
    """How many levels of objects and lists there are below the first one."""
    levels, layer = 0, [value]
    while layer := [part for each in layer for part in _parts(each)]:
        levels += 1
    return levels


def _parts(value: object) -> list[object]:
    return [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []


def snapshot(state: object) -> str:
    """Data as JSON, cut off from its owner, who may go on changing it. Raises PydanticSerializationError,
    ValueError.
    """
    return _ENCODER.encode(state)


def digest_of(value: object) -> str:
    """Identifies a JSON value, whatever the order of its keys."""
    return blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def whole_characters(text: str) -> str:
    """The text with halves of characters joined where both are there, else replaced by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
