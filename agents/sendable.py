"""A model's reply as everything after it can take it: other models, the journal, and AutoGen's loop over tool calls."""

from __future__ import annotations

import json
from itertools import accumulate

from autogen_core import FunctionCall
from autogen_core.models import CreateResult

from moot.agents.json_text import MOST_NESTED, nested, whole_characters


def sendable(result: CreateResult) -> CreateResult:
    """The reply without halves of characters, which would break every later request; its calls as `sendable_call`."""
    content, thought = result.content, result.thought
    mended = whole_characters(content) if isinstance(content, str) else [sendable_call(call) for call in content]
    thought = whole_characters(thought) if isinstance(thought, str) else thought
    if mended == content and thought == result.thought:
        return result  # the very one: others know it by its id
    return result.model_copy(update={"content": mended, "thought": thought})


def sendable_call(call: FunctionCall) -> FunctionCall:
    """A call whose id, name and arguments can be written down.

    AutoGen reads the arguments and expects no other error than that they are no JSON: by any other one the turn would
    wait for ever. So arguments that are JSON and yet cannot be read are replaced by what is none, and says why: the
    agent tells the model.
    """
    return FunctionCall(_text(call.id), _arguments(_text(call.arguments, "{}")), _text(call.name))


def _text(given: object, nothing: str = "") -> str:
    """A text, as AutoGen's types promise it: some servers send `null`, or an object where its JSON is meant."""
    if isinstance(given, str):
        return whole_characters(given)
    return nothing if given is None else json.dumps(given, default=str)


def _arguments(text: str) -> str:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:  # found elsewhere, where more is on the stack, it could be a RecursionError
        return _TOO_DEEP if _opened(text) > MOST_NESTED else text
    except RecursionError:
        return _TOO_DEEP
    except ValueError as error:
        return f"(left out: {error})"
    if nested(value) > MOST_NESTED:
        return _TOO_DEEP
    if "\\u" in text:  # perhaps half a character, spelled
        spelled = json.dumps(value, ensure_ascii=False)
        whole = whole_characters(spelled)
        return text if whole == spelled else whole
    return text


def _opened(text: str) -> int:
    """How many brackets are open at once, at most."""
    return max(accumulate((c in "[{") - (c in "]}") for c in text), default=0)


_TOO_DEEP = f"(left out: nested more than {MOST_NESTED} levels deep)"
