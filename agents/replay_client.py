"""A model client that answers from a tape: no key, no network, no cost, and never a reply to another request."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Literal

from autogen_core.models import CreateResult, LLMMessage, ModelFamily, ModelInfo

from moot.agents.effects import SCOPE
from moot.agents.errors import TapeError
from moot.agents.journalled_client import ALLOWED_OUTPUT_TOKENS
from moot.agents.models import Model
from moot.agents.offline_client import MOST_PIECES, OfflineClient, breathe
from moot.agents.prices import FREE
from moot.agents.tape import Call, Tape
from moot.agents.tape_request import Request, Requests

PIECE_CHARACTERS = 24


class ReplayClient(OfflineClient):
    """Gives what was recorded for the same request of the same participant, in the recorded order.

    Raises TapeError for a request that is not on the tape, or comes more often than it was recorded.
    """

    component_provider_override = "moot.agents.replay_client.ReplayClient"
    model_kind: Literal["replayed"] = "replayed"

    def __init__(self, tape: Tape, part: str = "") -> None:
        super().__init__()
        self.tape, self.part = tape, part
        calls = tape.of(part)
        most = [call.line.most_output_tokens for call in calls if call.line.most_output_tokens is not None]
        self.max_output_tokens = max(most, default=ALLOWED_OUTPUT_TOKENS)
        """What was reserved for a reply when it was recorded: a limit in tokens must end both runs alike."""
        self._info = next((call.info for call in calls if call.info is not None), None)
        self._requests = Requests()
        self._served: dict[str, int] = {}
        self._told = not tape.torn

    @property
    def name(self) -> str:
        """The model's name: the tape, and whose replies are on it."""
        return self.tape.called(self.part)

    def seated(self, part: str) -> Model:
        """The model of one participant: a client of its own, that begins at the tape's beginning."""
        client = ReplayClient(self.tape, self.part or part)
        return Model(client, client.name, "replayed", FREE, made=True)

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """The recorded result. The options are those of AutoGen's clients. Raises TapeError."""
        await breathe(options.get("cancellation_token"))
        return self._reply(self._requests.of(messages, options))

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same in pieces, then the result."""
        token = options.get("cancellation_token")
        await breathe(token)
        result = self._reply(self._requests.of(messages, options))
        if isinstance(result.content, str):
            size = max(PIECE_CHARACTERS, -(-len(result.content) // MOST_PIECES))
            for at in range(0, len(result.content), size):
                yield result.content[at : at + size]
                await breathe(token)
        yield result

    def _reply(self, request: Request) -> CreateResult:
        self._tell()
        digest = request.digest(self.part)
        calls = self.tape.found.get(digest, ())
        if not calls:
            raise self.tape.miss(self.part, request)
        given = self._served.get(digest, 0)
        if given >= len(calls) and not self.tape.repeat:
            raise TapeError(_too_often(self.tape.name, self.part, calls))
        self._served[digest] = given + 1
        result = calls[min(given, len(calls) - 1)].line.result.model_copy(deep=True)
        self._took(result.usage)
        return result

    def _tell(self) -> None:
        """That the tape's last line is cut off, once."""
        if self._told:
            return
        self._told, here = True, SCOPE.get()
        text = f"the last line of tape {self.tape.name!r} is cut off, as a killed process leaves it; it is not read"
        if here is None:
            logging.getLogger("moot").warning("%s", text)
        else:
            here.conversation.note("warning", {"text": text, "facts": {}})

    @property
    def model_info(self) -> ModelInfo:
        """What the recorded model could do: agents ask for other things where it differs."""
        return self._info or ModelInfo(
            vision=True, function_calling=True, json_output=True, structured_output=True,
            family=ModelFamily.UNKNOWN, multiple_system_messages=True,
        )  # fmt: skip


def replayed(tape: str | Path, *, part: str = "") -> ReplayClient:
    """The model of a tape, wherever a model or an AutoGen client is taken. Needs no key and no network.

    `part` is under which name the calls were recorded; an assistant of a chat has its own. Raises TapeError for a
    file that is no tape.
    """
    return ReplayClient(Tape.read(Path(tape), str(tape)), part)


def _too_often(name: str, part: str, calls: tuple[Call, ...]) -> str:
    times = f"{len(calls)} times" if len(calls) > 1 else "once"
    lines = ", ".join(str(call.number) for call in calls)
    return (
        f"replay:{name}: {part!r} asks again what was recorded {times} (line {lines}); "
        'record again with --record, or write "repeat": true into the tape\'s first line to give the last reply again'
    )
