"""JSON of what agents made, whatever characters are in it.

Half of an emoji (a lone surrogate, as models and file names bring them) is no UTF-8: pydantic refuses to write it and
cannot read it. `json` can do both, so it takes over where that happens.
"""

from __future__ import annotations

import json
from hashlib import blake2b

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

_ENCODER = json.JSONEncoder(default=to_jsonable_python)


def json_of(model: BaseModel) -> str:
    """A model as JSON that can be written to a file. Raises PydanticSerializationError for what is no data."""
    try:
        return model.model_dump_json()
    except PydanticSerializationError:
        return json.dumps(model.model_dump(mode="json"))


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
