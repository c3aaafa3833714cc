"""What a model was asked, as a tape keeps it: readable, without secrets, and the same in every recording of a chat.

Two requests are the same when their settled forms are. Settling takes out what differs although nothing did: how long
a block of code took, addresses in memory, and Moot's own words about the budget (a replay spends no dollars).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any, NamedTuple, TypeAlias

from autogen_core import Image
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage
from pydantic import BaseModel

from moot.agents.report import settled

Shown: TypeAlias = Mapping[str, object]
"""A message or the options, as JSON."""
DIFFERENCE_LINES = 12
LINE_CHARACTERS = 160
_SECRET = re.compile(
    r"(?:api_?key|authori[sz]ation|secret|password|credential|cookie|header|(?:^|_)token)s?$|query$", re.IGNORECASE
)
_HIDDEN = "(not recorded)"


class Told(NamedTuple):
    """One message as it is written down; `key` is the digest of its settled form, empty where it does not count."""

    shown: Shown
    key: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `chain` is the rolling digest of the messages that count."""

    messages: tuple[Told, ...]
    options: Shown
    chain: bytes

    def digest(self, part: str) -> str:
        """What a reply to this request is looked up by."""
        rest = json.dumps([part, self.options], sort_keys=True).encode("utf-8", "surrogatepass")
        return blake2b(self.chain + rest, digest_size=12).hexdigest()

    @property
    def counting(self) -> list[Told]:
        """The messages that count."""
        return [told for told in self.messages if told.key]


class Requests:
    """Reads the requests of one participant in time proportional to what is new in them."""

    def __init__(self) -> None:
        self._seen: list[LLMMessage] = []
        self._last = Request((), {}, b"")

    def of(self, messages: Sequence[LLMMessage], options: Mapping[str, Any]) -> Request:
        """The request for these messages and AutoGen's options of `create`."""
        known = len(self._seen)
        # list comparison takes the identity shortcut in C: a few ns a message
        grown = known and list(messages[:known]) == self._seen
        start = self._last if grown else Request((), {}, b"")
        new = [shown(message) for message in (messages[known:] if grown else messages)]
        self._seen = list(messages)
        self._last = asked(start, new, shown_options(options))
        return self._last


def asked(before: Request, new: Sequence[Shown], options: Shown) -> Request:
    """The request of another one's messages and these."""
    chain, told = before.chain, list(before.messages)
    for message in new:
        key = _key(message)
        chain = blake2b(chain + key, digest_size=16).digest() if key else chain
        told.append(Told(message, key))
    return Request(tuple(told), options, chain)


def shown(message: LLMMessage) -> Shown:
    """A message as it is written down. An image is its digest."""
    if isinstance(message, SystemMessage):
        return {"role": "system", "text": message.content}
    if isinstance(message, UserMessage):
        if isinstance(message.content, str):
            return {"role": "user", "source": message.source, "text": message.content}
        parts = [_image(part) if isinstance(part, Image) else part for part in message.content]
        return {"role": "user", "source": message.source, "parts": parts}
    if isinstance(message, AssistantMessage):
        thought = {} if message.thought is None else {"thought": message.thought}
        if isinstance(message.content, str):
            return {"role": "assistant", "source": message.source, **thought, "text": message.content}
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.content]
        return {"role": "assistant", "source": message.source, **thought, "calls": calls}
    results = [
        {
            "id": result.call_id,
            "name": result.name,
            "text": result.content,
            **({"error": True} if result.is_error else {}),
        }
        for result in message.content
    ]
    return {"role": "tool", "results": results}


def shown_options(options: Mapping[str, Any]) -> Shown:
    """Tools, the form that is wished for, and what else is sent along; a cap that Moot adds is no part of it."""
    out: dict[str, object] = {}
    if tools := options.get("tools"):
        schemas = [tool if isinstance(tool, dict) else tool.schema for tool in tools]
        out["tools"] = {str(schema["name"]): _short(schema) for schema in schemas}
    choice = options.get("tool_choice", "auto")
    if choice != "auto":
        out["tool_choice"] = choice if isinstance(choice, str) else choice.name
    wanted = options.get("json_output")
    if wanted is not None:
        out["json_output"] = _named(wanted) if isinstance(wanted, type) else wanted
    if extra := options.get("extra_create_args"):
        out["extra"] = json.loads(json.dumps(_public(extra), default=_named))
    return out


def difference(recorded: Request, now: Request, line: int) -> str:
    """The first thing in which a request differs from the recorded one of that line, as a short unified diff."""
    before, after = recorded.counting, now.counting
    at = _same(before, after)
    if at == len(before) == len(after):
        old, new, what = _lines(recorded.options), _lines(now.options), "the options"
    else:
        old, new = (_lines(_settled(m[at].shown)) if at < len(m) else [] for m in (before, after))
        what = f"message {at + 1}"
        if at == len(before) or at == len(after):
            what += f", which is in one only (recorded: {len(before)}, asked: {len(after)})"
    every = difflib.unified_diff(old, new, f"recorded, line {line}", "asked now", lineterm="", n=0)
    diff = [each for each in every if not each.startswith("@@")]
    cut = [each if len(each) <= LINE_CHARACTERS else each[: LINE_CHARACTERS - 1] + "…" for each in _near(diff)]
    return f"differs first in {what}:\n" + "\n".join(cut)


def likeness(recorded: Request, now: Request) -> tuple[int, int, int]:
    """How much of a recorded request is in this one: for finding the nearest."""
    before, after = recorded.counting, now.counting
    both = {told.key for told in before} & {told.key for told in after}
    return _same(before, after), len(both), -abs(len(before) - len(after))


def _same(before: Sequence[Told], after: Sequence[Told]) -> int:
    pairs = enumerate(zip(before, after, strict=False))
    return next((at for at, (a, b) in pairs if a.key != b.key), min(len(before), len(after)))


def _near(diff: list[str]) -> Iterator[str]:
    """The head of a diff, and how much there is besides."""
    yield from diff[:DIFFERENCE_LINES]
    if len(diff) > DIFFERENCE_LINES:
        yield f"... and {len(diff) - DIFFERENCE_LINES} more lines"


def _lines(value: Shown) -> list[str]:
    """For a diff: texts by their lines, everything else as JSON."""
    lines: list[str] = []
    for name, item in value.items():
        if isinstance(item, str) and name == "text":
            lines += item.splitlines()
        else:
            lines.append(f"{name}: {item if isinstance(item, str) else json.dumps(item, sort_keys=True)}")
    return lines


def _key(message: Shown) -> bytes:
    settled = _settled(message)
    if not settled:
        return b""
    text = json.dumps(settled, sort_keys=True, ensure_ascii=False)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _settled(message: Shown) -> Shown:
    """Without what differs from run to run; empty for a message that comes or not as the run has spent."""
    text = message.get("text")
    if message.get("role") != "user" or not isinstance(text, str):
        return message
    if message.get("source") == "moot" and text.startswith("Budget: "):
        return {}
    return {**message, "text": settled(text)}


def _image(image: Image) -> Shown:
    """By its pixels: how they are packed into a file may change with the library that does it."""
    pixels = image.image
    width, height = pixels.size
    digest = sha256(f"{pixels.mode} {width} {height} ".encode() + pixels.tobytes()).hexdigest()
    return {"image": f"sha256:{digest}", "width": width, "height": height}


def _short(schema: object) -> str:
    text = json.dumps(schema, sort_keys=True, default=_named)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _named(value: object) -> object:
    """What JSON has no form for: a type of the user's by its schema, anything else by its kind."""
    if isinstance(value, type) and issubclass(value, BaseModel):
        return {"type": value.__name__, "schema": _short(value.model_json_schema())}
    return f"({type(value).__name__})"


def _public(value: object) -> object:
    """Without what may be a key: neither written down nor compared."""
    if isinstance(value, Mapping):
        return {str(k): _HIDDEN if _SECRET.search(str(k)) else _public(v) for k, v in value.items()}
    return [_public(item) for item in value] if isinstance(value, list | tuple) else value
