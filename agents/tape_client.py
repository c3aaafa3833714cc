"""A model client that asks the real model and writes each answer down on a tape."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeAlias

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema

from moot.agents.effects import SCOPE
from moot.agents.errors import TapeError
from moot.agents.journalled_client import ALLOWED_OUTPUT_TOKENS
from moot.agents.model_faults import check_whole
from moot.agents.models import Model, ModelSpec, resolve
from moot.agents.openai_options import CAPS, capped, created_with, usage_wanted
from moot.agents.playbook import Playbook, load_playbook
from moot.agents.replay_client import ReplayClient
from moot.agents.tape import Line
from moot.agents.tape_file import TapeFile, utc_now
from moot.agents.tape_request import Request, Requests

Given: TypeAlias = str | ModelSpec | ChatCompletionClient


class RecordingClient(ChatCompletionClient):
    """Asks the model, always: what is on the tape already is not served. A call without a result is not written down.

    Inert until it is asked something, or seated: no key is read and no file is made before that.
    """

    component_provider_override = "moot.agents.tape_client.RecordingClient"

    def __init__(self, model: Given, tape: Path, part: str = "") -> None:
        self.given, self.tape, self.part = model, tape, part
        self._model: Model | None = None
        self._file = TapeFile(tape)
        self._requests = Requests()
        self._written: tuple[Request, str] | None = None
        self._take = token_hex(4)

    @property
    def model(self) -> Model:
        """The model that is asked. Raises ModelError, TapeError for a tape that cannot be written."""
        if self._model is None:
            self._model = self._begun(resolve(self.given, part=self.part, playbooks=_beside))
        return self._model

    def seated(self, part: str, playbooks: Callable[[str], Playbook]) -> Model:
        """A model for one participant: a client of its own, on the same tape. Raises ModelError, TapeError."""
        own = RecordingClient(self.given, self.tape, self.part or part)
        own._model = own._begun(resolve(self.given, part=own.part, playbooks=playbooks))
        return replace(own._model, client=own)

    def _begun(self, model: Model) -> Model:
        replayed = model.client.tape.path if isinstance(model.client, ReplayClient) else None
        if replayed is not None and self.tape.exists() and self.tape.samefile(replayed):
            raise TapeError(f"cannot record to {str(self.tape)!r}: it is the tape that is replayed")
        self._file.begin()
        return model

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """One model call, written down. The options are those of AutoGen's clients."""
        client = self.model.client
        request = self._requests.of(messages, options)
        result = await client.create(messages, **self._sent(options))
        self._write(request, result, options)
        return result

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same, streamed; what is written down is the result."""
        client = self.model.client
        request = self._requests.of(messages, options)
        asked = {**usage_wanted(client, options.get("extra_create_args", {})), **self._sent(options)}
        async for item in client.create_stream(messages, **asked):
            if not isinstance(item, str):
                check_whole(item, client)
                self._write(request, item, options)
            yield item

    def _sent(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options with a cap on the reply where the run is limited: who wraps this client cannot know its kind."""
        here = SCOPE.get()
        if here is None or not here.conversation.limited:
            return options
        extra = options.get("extra_create_args", {})
        return {**options, "extra_create_args": capped(self.model.client, extra, self.max_output_tokens)}

    def _write(self, request: Request, result: CreateResult, options: Mapping[str, Any]) -> None:
        try:
            line = self._line(request, result, options)
            self._file.add(line)
        except (TapeError, ValueError) as error:  # the reply is paid for: it is not thrown away for that
            _warn(f"{error}; the reply to {self.part!r} is not on the tape")
        else:
            self._written = request, line.digest

    def _line(self, request: Request, result: CreateResult, options: Mapping[str, Any]) -> Line:
        """What is written down: of the messages those that are not in this client's last line."""
        known, follows = 0, None
        if self._written is not None:
            before, label = self._written
            known = len(before.messages)
            follows = label if known and request.messages[:known] == before.messages else None
        own = [options.get("extra_create_args", {}).get(cap) for cap in CAPS]
        return Line(
            part=self.part, take=self._take, at=utc_now(), model=self.model.name, digest=request.digest(self.part),
            follows=follows, messages=[dict(told.shown) for told in request.messages[known if follows else 0 :]],
            options=dict(request.options), result=result,
            most_output_tokens=next((n for n in own if isinstance(n, int)), self.max_output_tokens),
            info={name: able for name, able in self.model_info.items() if isinstance(able, bool | str)},
        )  # fmt: skip

    @property
    def max_output_tokens(self) -> int:
        """What a reply may take, and what is reserved for it: the wrapped client's own, where it names that."""
        client = self.model.client
        own = next((n for cap in CAPS if isinstance(n := created_with(client).get(cap), int)), None)
        return own if own is not None else int(getattr(client, "max_output_tokens", ALLOWED_OUTPUT_TOKENS))

    @property
    def model_kind(self) -> str:
        """The wrapped client's: recording changes nothing of what it is."""
        return self.model.kind

    async def close(self) -> None:
        """Close the wrapped client."""
        if self._model is not None:
            await self._model.client.close()

    def actual_usage(self) -> RequestUsage:
        """The wrapped client's."""
        return self.model.client.actual_usage()

    def total_usage(self) -> RequestUsage:
        """The wrapped client's."""
        return self.model.client.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """The wrapped client's."""
        return self.model.client.count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """The wrapped client's."""
        return self.model.client.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        """The wrapped client's."""
        return self.model.client.capabilities

    @property
    def model_info(self) -> ModelInfo:
        """The wrapped client's."""
        return self.model.client.model_info


def record(model: Given, tape: str | Path, *, part: str = "") -> RecordingClient:
    """A model whose answers are written to a tape, wherever a model or an AutoGen client is taken.

    `part` is under which name the calls are kept; an assistant of a chat has its own. Raises nothing: a missing key
    or a tape that cannot be written are a ModelError when the model is first needed.
    """
    return RecordingClient(model, Path(tape), part)


def _beside(name: str) -> Playbook:
    return load_playbook(name, Path.cwd())


def _warn(text: str) -> None:
    """In the journal where there is one."""
    here = SCOPE.get()
    if here is None:
        logging.getLogger("moot").warning("%s", text)
    else:
        here.conversation.note("warning", {"text": text, "facts": {}})
