"""Whether a model does what chats need of it, found out by asking it: it costs what three short replies cost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autogen_core.models import CreateResult, SystemMessage, UserMessage
from autogen_core.tools import ToolSchema
from pydantic import BaseModel, ValidationError

from moot.agents.endpoint import Endpoint, endpoint_of
from moot.agents.errors import ModelError, ModelFault
from moot.agents.journalled_client import JournalledClient
from moot.agents.local_models import found_nearby, ollama_models, served_models
from moot.agents.models import Model, ModelSpec, resolve
from moot.agents.openai_options import NO_KEY, capped
from moot.agents.playbook import Playbook

REPLY_TOKENS = 1024
"""What each reply may take: models that think before they speak need some."""
_ADD = ToolSchema(
    name="add",
    description="Adds two whole numbers.",
    parameters={
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "The first number."},
            "b": {"type": "integer", "description": "The second number."},
        },
        "required": ["a", "b"],
    },
)
_SPEAK = "Reply with one short sentence that says that you are ready."
_CALL = "Use the tool add to add 2 and 3."
_FORM = 'Reply with JSON only, in this form: {"capital": "...", "letters": 0}. The capital of France and its letters.'
Perform = Callable[[], Awaitable[CreateResult]]


class Capital(BaseModel):
    """The form asked for."""

    capital: str
    letters: int


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried."""

    name: str
    ok: bool
    detail: str
    needed: bool = False
    """Whether no chat can do without it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of it. Seconds are of the first reply: to its first word, and to its end."""

    model: str
    address: str
    checks: tuple[Check, ...]
    hint: str = ""
    first_seconds: float | None = None
    seconds: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the model can be used."""
        return all(check.ok for check in self.checks if check.needed)


async def probe(model: str | ModelSpec, *, patience_seconds: float = 60.0) -> Probe:
    """Ask a model three things. What is wrong with it is told, not raised; a name or a key that is missing is a
    ModelError. `patience_seconds` is for each reply.
    """
    found = resolve(model, part="assistant", playbooks=_none)
    asked = _Asked(found, patience_seconds)
    try:
        return await asked.all()
    finally:
        await found.client.close()


class _Asked:
    """A model under test, and what it has taken so far."""

    def __init__(self, model: Model, patience_seconds: float) -> None:
        self._model, self._patience = model, patience_seconds
        self._client = JournalledClient(model.client, model.price)
        self._input = self._output = 0
        self._first: float | None = None
        self._whole: float | None = None
        self._elsewhere = False

    async def all(self) -> Probe:
        """Everything, as far as it answers."""
        endpoint = endpoint_of(self._model.client)
        spoken = await self._spoken()
        checks, hint = list(spoken), ""
        if all(check.ok for check in spoken if check.needed):
            checks += [await self._called(), await self._formed()]
        elif endpoint is not None and self._elsewhere:
            hint = await _hint(endpoint)
        price = self._model.price if self._input or self._output else None
        return Probe(
            self._model.name, "" if endpoint is None else endpoint.url, tuple(checks), hint, self._first, self._whole,
            self._input, self._output, None if price is None else price.cost(self._input, self._output),
        )  # fmt: skip

    async def _spoken(self) -> tuple[Check, ...]:
        begun = time.monotonic()

        async def stream() -> CreateResult:
            final = None
            async for item in self._client.create_stream(_asking(_SPEAK), **self._capped()):
                if isinstance(item, str):
                    self._first = self._first if self._first is not None else time.monotonic() - begun
                else:
                    final = item
            assert final is not None  # else it would have raised
            return final

        try:
            result = await self._patiently(stream)
        except ModelFault as fault:
            self._elsewhere = fault.elsewhere
            return (Check("answers", False, str(fault), needed=True),)
        self._whole = time.monotonic() - begun
        usage = result.usage
        told = usage.prompt_tokens + usage.completion_tokens
        text = result.content if isinstance(result.content, str) else ""
        return (
            Check("answers", True, _short(text) or "(with nothing)", needed=True),
            Check("streams", True, f"ended with '{result.finish_reason}'", needed=True),
            Check(
                "tells usage",
                bool(told),
                f"{usage.prompt_tokens} in, {usage.completion_tokens} out" if told else _NO_USAGE,
            ),
        )

    async def _called(self) -> Check:
        try:
            result = await self._patiently(lambda: self._client.create(_asking(_CALL), tools=[_ADD], **self._capped()))
        except (ModelError, ValueError) as error:
            return Check("calls tools", False, str(error))
        if isinstance(result.content, str):
            return Check("calls tools", False, f"it said instead: {_short(result.content)}")
        call = result.content[0]
        try:
            given = json.loads(call.arguments)
        except ValueError:
            return Check("calls tools", False, f"its arguments are no JSON: {_short(call.arguments)}")
        ok = call.name == "add" and isinstance(given, dict) and {"a", "b"} <= given.keys()
        return Check("calls tools", ok, _short(f"{call.name}({json.dumps(given)})"))

    async def _formed(self) -> Check:
        info = self._client.model_info
        wanted: bool | type[BaseModel] = Capital if info.get("structured_output") else True
        how, text = "by a schema" if wanted is Capital else "as JSON", ""
        try:
            result = await self._patiently(
                lambda: self._client.create(_asking(_FORM), json_output=wanted, **self._capped())
            )
            text = result.content if isinstance(result.content, str) else ""
            Capital.model_validate_json(text)
        except ValidationError:
            return Check("typed replies", False, f"{how}: it said instead: {_short(text)}")
        except (ModelError, ValueError) as error:
            return Check("typed replies", False, str(error))
        return Check("typed replies", True, f"{how}: {_short(text)}")

    async def _patiently(self, perform: Perform) -> CreateResult:
        try:
            async with asyncio.timeout(self._patience):
                result = await perform()
        except TimeoutError:
            raise ModelFault(f"{self._model.name} did not answer within {self._patience:g} seconds") from None
        self._input += result.usage.prompt_tokens
        self._output += result.usage.completion_tokens
        return result

    def _capped(self) -> Mapping[str, Any]:
        return {"extra_create_args": capped(self._model.client, {}, REPLY_TOKENS)}


_NO_USAGE = "it does not say what a reply takes: what is reserved for each will count as spent"


async def _hint(endpoint: Endpoint) -> str:
    """What may be meant instead, found out by asking around."""
    if endpoint.kind == "ollama":
        models = await ollama_models()
        return "" if models is None else f"models that are there: {_few(models)}"
    if endpoint.kind != "openai" or endpoint.usual:
        return ""
    key = "" if endpoint.key == NO_KEY else endpoint.key
    models = await served_models(endpoint.url, key)
    if models is not None:
        return f"models that are there: {_few(models)}"
    longer = f"{endpoint.url}/v1"
    if await served_models(longer, key) is not None:
        return f"models are listed at {longer}: give that as base_url"
    nearby = await found_nearby(endpoint.url)
    return f"{nearby[1]} seems to answer at {nearby[0]}" if nearby is not None else ""


def _asking(words: str) -> list[SystemMessage | UserMessage]:
    return [SystemMessage(content="You are being tested. Be brief."), UserMessage(content=words, source="tester")]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


def _few(names: tuple[str, ...]) -> str:
    if not names:
        return "none"
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _none(name: str) -> Playbook:
    raise ModelError(f"{name} asks nobody: there is nothing to test")
