"""The selector: a model picks who speaks next, and says why.

    selector()                                                  # the chat's model picks
    selector("openai/gpt-4o-mini", instructions="The judge speaks last.", last=6)

One short request a choice. An answer that will not do is put right once; then whoever has waited longest speaks, so
that no answer of a model can hold up a chat or let one participant speak for ever.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moot.agents.errors import ModelError, ModelFault, ModelRefused
from moot.agents.journalled_client import JournalledClient
from moot.agents.model_faults import chain_of, status_of
from moot.agents.models import Model, ModelKind, resolve
from moot.agents.playbook import Playbook
from moot.chats.clean import clean_line
from moot.chats.errors import StoreError, UserError, did_you_mean
from moot.chats.models_named import PICKS
from moot.chats.selector_answer import Picked, Wrong, form, read
from moot.chats.selector_prompt import Briefing, Record, Spoken, repaired
from moot.chats.speakers import Choice
from moot.termination.outcome import Outcome, Stop
from moot.termination.transcript import Transcript

if TYPE_CHECKING:
    from autogen_core.models import CreateResult, LLMMessage

    from moot.chats.speakers import AnyModel

POLICY = "selector"
LEAST_RECENT = "least recent"
TRIES = 2
OUTPUT_TOKENS = 512
"""What an answer may take. A model that thinks first is cut off by it, and asked again without."""
_THINKING = ("o1", "o3", "o4", "gpt-5", "r1")
"""How the families of models begin that are known to think first."""
_FINAL = (401, 403, 404)
"""No key, no right, no such model: another choice would end in just the same way."""
_NOT_WHOLE = "was cut off before it had answered"
_CUT_OFF = "LengthFinishReasonError"
"""What OpenAI's client raises then, where it was asked for a form."""
_UNFIT = (400, 422)
"""How servers answer that do not know the form that was asked for."""

Candidates = Callable[[Transcript], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A speaker policy where a model picks; an inert value. See `selector`."""

    model: AnyModel | None = None
    instructions: str = ""
    last: int = 10
    repeats: bool = False
    candidates: Sequence[str] | Candidates | None = None
    part: str = PICKS

    def __post_init__(self) -> None:
        if self.last < 1:
            raise UserError(f"selector(last={self.last}): it must be shown one message at least")
        if isinstance(self.candidates, str) or (self.candidates is not None and not self.candidates):
            raise UserError("selector(candidates=...): give a list of names, or a function that returns one")

    def seated(
        self, model: AnyModel | None, playbooks: Callable[[str], Playbook], described: Mapping[str, str]
    ) -> SeatedSelector:
        """The policy of one run, with its client; `model` is the chat's. Raises ModelError, ValueError without any
        model.
        """
        chosen = self.model if self.model is not None else model
        if chosen is None:
            raise ValueError("the selector has no model and the chat has none either")
        return SeatedSelector(self, resolve(chosen, part=self.part, playbooks=playbooks), described)


def selector(  # noqa: PLR0913 - each says one thing that a chat file may say
    model: AnyModel | None = None,
    *,
    instructions: str = "",
    last: int = 10,
    repeats: bool = False,
    candidates: Sequence[str] | Candidates | None = None,
    part: str = PICKS,
) -> Selector:
    """A model picks who speaks next: `model`, or the chat's.

    It is told who takes part, who has spoken how often, and `instructions`; it is shown the latest `last` messages, and
    those before in one line each: a request of bounded length, however long the chat is. Who spoke last is not asked
    about unless `repeats`. `candidates` are the only ones who may be picked, or a function of the transcript that says
    so each time. `part` is the part of a playbook that picks. Raises UserError for what cannot be.
    """
    return Selector(
        model=model, instructions=instructions, last=last, repeats=repeats, candidates=candidates, part=part
    )


class SeatedSelector:
    """The selector of one run. What it remembers of the transcript is only what the transcript says."""

    def __init__(self, spec: Selector, model: Model, described: Mapping[str, str]) -> None:
        self._spec, self._model = spec, model
        self._briefing = Briefing(described, spec.instructions, spec.last)
        self._spoken = Spoken()
        self._roomy = JournalledClient(model.client, model.price)
        thinks = str(model.client.model_info.get("family")).startswith(_THINKING)
        self._short = self._roomy if thinks else JournalledClient(model.client, model.price, most=OUTPUT_TOKENS)

    @property
    def model_name(self) -> str:
        """What the model is called."""
        return self._model.name

    @property
    def model_kind(self) -> ModelKind:
        """Whether it is `real`, `scripted` or `replayed`."""
        return self._model.kind

    async def close(self) -> None:
        """Close the client, where it was made for this run."""
        if self._model.made:
            await self._model.client.close()

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice | Stop:
        """Whom the model picks; whoever has waited longest where it picks nobody who may speak. Where only one may, it
        is not asked. A `Stop` when nobody may.

        Raises UserError for candidates that are no participants, ModelError and what the client raises where no other
        choice would be answered either: a wrong key, a model that does not exist, a tape that holds another request.
        """
        may = self._may(said, eligible)
        if not may:
            return Stop(POLICY, "nobody may speak next: there are no candidates", Outcome.FAILED, said.turns)
        if len(may) == 1:
            return Choice(may, "nobody else may speak next", POLICY, may, attempts=0)
        spoken = self._spoken.of(said)
        asked = _Asked(self._briefing.messages(said, may, spoken), may, said.participants)
        while asked.tries < TRIES and not asked.over:
            picked = await self._try(asked)
            if picked is not None:
                return Choice((picked.name,), picked.reason, POLICY, may, asked.tries)
        name = _least_recent(may, spoken)
        reason = f"it has waited longest: the model {', and then '.join(dict.fromkeys(asked.wrong))}"
        return Choice((name,), reason, POLICY, may, asked.tries, LEAST_RECENT)

    def _may(self, said: Transcript, eligible: Sequence[str]) -> tuple[str, ...]:
        given = self._spec.candidates
        wanted = eligible if given is None else _names(given(said) if callable(given) else given)
        for name in wanted:
            if name not in said.participants:
                hint = did_you_mean(name, said.participants)
                raise UserError(f"selector: candidate {name!r} is no participant" + (f" ({hint})" if hint else ""))
        may = tuple(name for name in eligible if name in wanted)
        last = said.last.participant if said.last is not None and not self._spec.repeats else None
        return tuple(name for name in may if name != last) or may

    async def _try(self, asked: _Asked) -> Picked | None:
        """Ask once more. None where that came to nothing: `asked` says how."""
        asked.tries += 1
        client = self._roomy if asked.cut_off else self._short
        wanted = _wanted(client, asked)
        try:
            result = await client.create(asked.messages, json_output=wanted)
        except (StoreError, ModelRefused) as error:
            if isinstance(error, StoreError) or not asked.unfit(error, wanted):
                raise
        except Exception as error:  # whatever a client raises: the chat goes on without an answer
            if _final(error):
                raise
            asked.failed(error, wanted)
        else:
            return asked.answered(result, loose=wanted is None)
        return None


class _Asked:
    """One choice while it is asked about: the request, and what has been wrong with the answers to it."""

    def __init__(self, messages: list[LLMMessage], may: tuple[str, ...], everybody: Sequence[str]) -> None:
        self.messages, self.may, self._everybody = messages, may, everybody
        self.tries = 0
        self.wrong: list[str] = []
        self.over = False
        """Whether asking again would be of no use."""
        self.plain = False
        """Whether no form is asked for: the server does not know it."""
        self.cut_off = False

    def answered(self, result: CreateResult, *, loose: bool) -> Picked | None:
        text = result.content if isinstance(result.content, str) else ""
        found: Picked | Wrong = read(text, self.may, self._everybody, loose=loose)
        if isinstance(found, Picked):
            return found
        self.cut_off = result.finish_reason == "length"
        self._again(Wrong(_NOT_WHOLE) if self.cut_off else found, text)
        return None

    def failed(self, error: Exception, wanted: object) -> None:
        """What becomes of it when the call raised."""
        if self.unfit(error, wanted):
            return
        kinds = {type(one).__name__ for one in chain_of(error)}
        if kinds & {"ValidationError", _CUT_OFF}:  # OpenAI's client checks the form itself, and keeps the answer
            self.cut_off = _CUT_OFF in kinds
            self._again(Wrong(_NOT_WHOLE if self.cut_off else "gave no JSON object with a next speaker"), "")
            return
        self.over = True
        kind = "" if isinstance(error, ModelError) else f"{type(error).__name__}: "  # ours say it in words
        self.wrong.append(f"failed ({clean_line(f'{kind}{error}', 200)})")

    def unfit(self, error: Exception, wanted: object) -> bool:
        """Whether the server only does not know the form: then it is asked once more without."""
        if wanted is None or status_of(error) not in _UNFIT:
            return False
        self.plain = True
        self.wrong.append("takes no form for its answers")
        return True

    def _again(self, wrong: Wrong, answer: str) -> None:
        self.wrong.append(wrong.how)
        self.messages = repaired(self.messages, answer, f"your answer {wrong.how}", self.may)


def _names(given: object) -> tuple[str, ...]:
    """What a function for the candidates returned. Raises UserError for what is no list of names."""
    if isinstance(given, Sequence) and not isinstance(given, str) and all(isinstance(name, str) for name in given):
        return tuple(given)
    if inspect.iscoroutine(given):
        given.close()
    raise UserError(f"selector(candidates=...) returned {reprlib.repr(given)}: it must be a list of names, not awaited")


def _wanted(client: JournalledClient, asked: _Asked) -> Any:
    """The form to ask for, as far as the model knows of any."""
    info = client.model_info
    if asked.plain:
        return None
    if info.get("structured_output"):
        return form(asked.may)
    return True if info.get("json_output") else None


def _final(error: Exception) -> bool:
    """Whether another choice would end in just the same way."""
    return (isinstance(error, ModelError) and not isinstance(error, ModelFault)) or status_of(error) in _FINAL


def _least_recent(may: Sequence[str], spoken: Mapping[str, Record]) -> str:
    """Who has waited longest; among several, the first in the chat's order."""
    return min(may, key=lambda name: spoken[name].last)
