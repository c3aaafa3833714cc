"""Replies in a form that a program can read: what holds them, how they are read, and how they read in the chat."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, TypeVar

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory, StructuredMessage
from autogen_core.models import UserMessage
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from typing_extensions import override

Content = TypeVar("Content", bound=BaseModel)
Kind = Literal["text", "number", "whole", "yes_no", "texts"] | tuple[str, ...]
"""What a field of a typed reply holds; several texts are those it must be one of."""
_TYPES: Mapping[str, object] = {"text": str, "number": float, "whole": int, "yes_no": bool, "texts": list[str]}
_FENCED = re.compile(r"^[ \t]*```[ \t]*(?:json|JSON)?[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_MOST = 3
"""Problems that are told of one reply."""


class TypedReply(StructuredMessage[Content], Generic[Content]):
    """What a participant with typed replies says: `content` is an instance of its class, `text` how it reads."""

    text: str

    @override
    def to_text(self) -> str:
        return self.text

    @override
    def to_model_text(self) -> str:
        return self.text

    @override
    def to_model_message(self) -> UserMessage:
        return UserMessage(content=self.text, source=self.source)


class Anything(BaseModel):
    """A typed reply's content to whoever does not know its class."""

    model_config = ConfigDict(extra="allow")


class KnownWords(MessageFactory):
    """Reads typed replies, and AutoGen's structured messages, also where their classes are not known, as who looks at a
    journal may not: their words are in them.
    """

    @override
    def create(self, data: Mapping[str, object]) -> BaseAgentEvent | BaseChatMessage:
        kind = data.get("type")
        if isinstance(kind, str) and kind not in self._message_types:
            form = kind.partition("[")[0] if kind.endswith("]") else ""
            if form == TypedReply.__name__:
                return TypedReply[Anything].load(data)
            if form == StructuredMessage.__name__:
                return StructuredMessage[Anything].load(data)
        return super().create(data)


class UnreadableReply(ValueError):
    """A text is not of the form that was asked for. The message says what is wrong with it, in one line."""


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """The class of a participant's replies, and how one reads in the chat: a text with `{field}`, or its JSON."""

    kind: type[BaseModel]
    says: str = ""

    def __post_init__(self) -> None:
        check_says(self.says, self.kind.model_fields)

    @property
    def message(self) -> type[TypedReply[BaseModel]]:
        """The message that carries such a reply."""
        return TypedReply[self.kind]  # type: ignore[name-defined]

    @property
    def instructions(self) -> str:
        """What a model is told that cannot be asked for the form in any other way."""
        schema = json.dumps(self.kind.model_json_schema(), ensure_ascii=False)
        return f"Reply with one JSON object and nothing else. It must fit this JSON Schema:\n{schema}"

    def read(self, text: str) -> str:
        """The JSON in a reply: all of it, or what its only fenced block holds. Raises UnreadableReply where that is not
        of the form.
        """
        fenced = _FENCED.findall(text)
        found = fenced[0].strip() if len(fenced) == 1 and not text.lstrip().startswith(("{", "[")) else text
        try:
            self.kind.model_validate_json(found)
        except ValidationError as error:
            raise UnreadableReply(problems_in(error)) from error
        return found

    def said(self, message: BaseChatMessage) -> BaseChatMessage:
        """An agent's structured message as it is said in the chat; any other stays as it is."""
        if not isinstance(message, StructuredMessage) or isinstance(message, TypedReply):
            return message
        content: BaseModel = message.content
        text = in_words(self.says, content) if self.says else content.model_dump_json()
        return self.message(
            content=content, text=text, source=message.source, id=message.id, models_usage=message.models_usage
        )


def model_of(name: str, fields: Mapping[str, Kind]) -> type[BaseModel]:
    """A class with these fields, all of which a reply must have, and no others. A number is one that JSON can hold."""
    types = {field: (Literal[kind] if isinstance(kind, tuple) else _TYPES[kind], ...) for field, kind in fields.items()}
    made: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **types)  # type: ignore[call-overload]
    return made


def check_says(says: str, fields: Mapping[str, object]) -> None:
    """Raises ValueError for braces that stand for no field."""
    for found in _FIELD.finditer(says):
        if found[0] in ("{{", "}}"):
            continue
        if found[1] is None:
            raise ValueError(f"a single {found[0]!r}: write {found[0] * 2!r} for a brace")
        if found[1] not in fields:
            raise ValueError(f"{found[0]} names no field of the reply: {', '.join(fields)}")


def in_words(says: str, content: BaseModel) -> str:
    """The text with its fields filled in: a list as lines, everything else as people write it."""

    def put(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else _words(getattr(content, found[1]))

    return _FIELD.sub(put, says)


def _words(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, Enum):
        return _words(value.value)
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return "\n".join(f"- {_words(item)}" for item in value) or "- none"
    return str(value)


def problems_in(error: ValidationError) -> str:
    """What did not fit, in one line."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in found[:_MOST]]
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return " ".join(f"{'; '.join(told)}{more}".split())
