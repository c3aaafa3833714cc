"""What a model answered is given again, to the same request alone: recorded and replayed through the clients."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import StructuredMessage, TextMessage, ThoughtEvent
from autogen_core import CancellationToken, FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from PIL import Image as pixels  # noqa: N813 - AutoGen has an Image of its own
from pydantic import BaseModel

from moot.agents.errors import ModelError, ModelFault, TapeError
from moot.agents.journalled_client import ALLOWED_OUTPUT_TOKENS, JournalledClient
from moot.agents.models import ModelSpec, own_model, resolve
from moot.agents.playbook import Playbook
from moot.agents.replay_client import ReplayClient, replayed
from moot.agents.tape import Tape
from moot.agents.tape_client import record
from tests.fakes import Counting, FakeConversation, call, in_turn

BOOK = "version: 1\nname: book\nparts: {ann: [{say: scripted}]}\n"
HELLO = [UserMessage(content="hello", source="user")]
SECRET = "sk-very-secret-0123456789"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Answer(BaseModel):
    """What a structured reply looks like."""

    city: str


class BaseOpenAIChatCompletionClient(Counting):
    """Takes a cap and tells its usage only when it is asked to, as its namesake."""

    _create_args: Mapping[str, Any] = {"model": "gpt-4o"}

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.sent.append(options)
        return await super().create(messages)


class Unfinished(Counting):
    """Its streams end without a result."""

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        yield "half a"


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return tmp_path / "tape.jsonl"


def _add(a: int) -> int:
    return a + a


def _books(name: str) -> Playbook:
    return Playbook.parse(BOOK, name)


async def _stream(client: ChatCompletionClient, messages: Sequence[LLMMessage], **options: Any) -> list[object]:
    return [item async for item in client.create_stream(messages, **options)]


# --- the same again ---


async def test_what_was_recorded_comes_again_whole_and_in_pieces(tape: Path) -> None:
    long = "word " * 3000
    model = Counting(lambda messages, number: f"{long}{number}")
    recording = record(model, tape)
    first = await recording.create(HELLO)
    streamed = (await _stream(recording, [*HELLO, *HELLO]))[-1]
    client = replayed(tape)
    assert await client.create(HELLO) == first
    *pieces, last = await _stream(client, [*HELLO, *HELLO])
    assert last == streamed
    assert isinstance(last, CreateResult)
    assert "".join(str(piece) for piece in pieces) == last.content
    assert 100 < len(pieces) <= 501
    assert len(model.requests) == 2
    assert (client.actual_usage(), client.total_usage()) == (RequestUsage(10, 5), RequestUsage(20, 10))


async def test_images_tools_thoughts_and_structured_replies_come_again(tape: Path) -> None:
    wishes = [call("add", {"a": 1}, "c1"), FunctionCall(id="c2", name="add", arguments="{broken")]
    said: list[str | list[FunctionCall]] = [wishes, '{"city": "Tomsk"}', "half a \ud83d", "Ünïcode ✓\u2028"]
    model = Counting(lambda messages, number: said[number - 1])
    image = UserMessage(content=["what is this?", Image.from_base64(PIXEL)], source="ann")
    tool = FunctionTool(_add, "adds", name="add")
    done = FunctionExecutionResult(content="2", name="add", call_id="c1", is_error=False)
    asked: list[tuple[list[LLMMessage], dict[str, Any]]] = [
        ([image], {"tools": [tool], "tool_choice": tool}),
        (
            [
                image,
                AssistantMessage(content=wishes, source="me", thought="hm"),
                FunctionExecutionResultMessage(content=[done]),
            ],
            {"json_output": Answer},
        ),
        ([SystemMessage(content="s"), *HELLO], {"json_output": True}),
        ([UserMessage(content="half \ud83d", source="x")], {}),
    ]
    recording = record(model, tape)
    recorded = [await recording.create(messages, **options) for messages, options in asked]
    client = replayed(tape)
    for (messages, options), result in zip(asked, recorded, strict=True):
        assert await client.create(messages, **options) == result
    assert [result.content for result in recorded] == said
    assert PIXEL not in tape.read_text()
    red = Image.from_pil(pixels.new("RGBA", (1, 1), "red"))
    other: list[LLMMessage] = [UserMessage(content=["what is this?", red], source="ann")]
    with pytest.raises(TapeError, match="'' asks now"):
        await client.create(other, tools=[tool], tool_choice=tool)
    with pytest.raises(TapeError, match=r"the options:\n--- recorded, line 2\n\+\+\+ asked now\n-tool_choice: add"):
        await client.create([image], tools=[tool])


async def test_an_agent_of_autogens_is_recorded_and_replayed(tape: Path) -> None:
    def weather(city: str) -> str:
        return f"{city}: -20"

    said: list[str | list[FunctionCall]] = [[call("weather", {"city": "Tomsk"}, "c1")], '{"city": "Tomsk"}']
    model = Counting(lambda messages, number: said[number - 1])

    async def ask(client: ChatCompletionClient) -> object:
        agent = AssistantAgent(
            "ann",
            client,
            tools=[weather],
            output_content_type=Answer,
            reflect_on_tool_use=True,
            model_client_stream=True,
        )
        result = await agent.run(task="Where is it cold?")
        assert not any(isinstance(message, ThoughtEvent) for message in result.messages)
        last = result.messages[-1]
        assert isinstance(last, StructuredMessage)
        return last.content

    assert await ask(record(model, tape, part="ann")) == Answer(city="Tomsk")
    assert len(model.requests) == 2
    assert repr(await ask(replayed(tape, part="ann"))) == "Answer(city='Tomsk')"
    with pytest.raises(TapeError, match="has no call of 'bob'; it has calls of ann"):
        await ask(replayed(tape, part="bob"))


async def test_the_replayed_model_can_do_what_the_recorded_one_could(tape: Path) -> None:
    model = Counting()
    await record(model, tape).create(HELLO)
    assert replayed(tape).model_info == model.model_info
    assert replayed(tape).max_output_tokens == model.max_output_tokens == 100
    assert replayed(tape, part="nobody").max_output_tokens == ALLOWED_OUTPUT_TOKENS


# --- the same request more than once ---


async def test_a_request_that_was_made_twice_gets_its_replies_in_order_and_no_third(tape: Path) -> None:
    recording = record(Counting(lambda messages, number: f"{number}"), tape)
    for _ in range(2):
        await recording.create(HELLO)
    client = replayed(tape)
    assert [(await client.create(HELLO)).content for _ in range(2)] == ["1", "2"]
    with pytest.raises(TapeError, match=r"asks again what was recorded 2 times \(line 2, 3\).*\"repeat\": true"):
        await client.create(HELLO)
    assert (await replayed(tape).create(HELLO)).content == "1"
    head, rest = tape.read_text().split("\n", 1)
    tape.write_text(head.replace('"repeat":false', '"repeat": true') + "\n" + rest)
    patient = replayed(tape)
    assert [(await patient.create(HELLO)).content for _ in range(4)] == ["1", "2", "2", "2"]


async def test_a_reply_that_is_changed_by_whoever_got_it_stays_as_it_was_recorded(tape: Path) -> None:
    await record(Counting(lambda messages, number: [call("f", {}, "1")]), tape).create(HELLO)
    held = Tape.read(tape)
    got = (await ReplayClient(held).create(HELLO)).content
    assert isinstance(got, list)
    got.clear()
    assert (await ReplayClient(held).create(HELLO)).content == [call("f", {}, "1")]


# --- what is not written down ---


async def test_a_call_without_a_result_is_not_recorded(tape: Path) -> None:
    def fail(messages: Sequence[LLMMessage], number: int) -> str:
        raise RuntimeError("503")

    with pytest.raises(RuntimeError, match="503"):
        await record(Counting(fail), tape).create(HELLO)
    assert await _stream(record(Unfinished(), tape), HELLO) == ["half a"]
    with pytest.raises(ModelFault, match="ended without a result"):
        await _stream(JournalledClient(record(Unfinished(), tape), None), HELLO)
    with pytest.raises(TapeError, match="holds no call"):
        Tape.read(tape)


async def test_no_secret_is_written_down(tape: Path) -> None:
    extra = {
        "extra_headers": {"Authorization": SECRET},
        "extra_query": {"code": SECRET},
        "extra_body": {"api_key": SECRET, "nested": [{"access_token": SECRET}], "seed": 7},
        "max_tokens": 5,
        "response_format": Answer,
    }
    await record(Counting(), tape).create(HELLO, extra_create_args=extra)
    text = tape.read_text()
    assert SECRET not in text
    assert '"seed": 7' in text
    assert (await replayed(tape).create(HELLO, extra_create_args={**extra, "extra_headers": {}})).content


async def test_a_tape_that_cannot_be_written_any_more_does_not_lose_the_reply(
    tape: Path, conversation: FakeConversation, caplog: pytest.LogCaptureFixture
) -> None:
    recording = record(Counting(), tape)
    await recording.create(HELLO)
    size = tape.stat().st_size
    with _files_end_at(size + 100):
        outside = await recording.create([*HELLO, *HELLO])
        in_turn(conversation)
        inside = await recording.create([*HELLO, *HELLO])
    assert outside.content == inside.content
    said = "File too large; the reply to '' is not on the tape"
    assert said in caplog.text
    assert [said in str(facts["text"]) for kind, facts in conversation.notes if kind == "warning"] == [True]
    assert tape.stat().st_size == size
    assert len(Tape.read(tape).calls) == 1


class _files_end_at:  # noqa: N801 - reads as a word in `with`
    """No file of this process grows beyond that size: what a full disk does."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


async def test_a_tape_grows_with_what_is_said_and_not_with_its_square(tape: Path) -> None:
    recording, messages = record(Counting(), tape, part="ann"), list[LLMMessage]()
    for number in range(200):
        messages.append(UserMessage(content=f"{number} " + "x" * 100, source="user"))
        result = await recording.create(messages)
        messages.append(AssistantMessage(content=str(result.content), source="ann"))
    assert tape.stat().st_size < 200 * 1200
    client, again = replayed(tape, part="ann"), list[LLMMessage]()
    for number in range(200):
        again.append(UserMessage(content=f"{number} " + "x" * 100, source="user"))
        result = await client.create(again)
        again.append(AssistantMessage(content=str(result.content), source="ann"))
    assert again == messages
    assert [len(call.request.messages) for call in Tape.read(tape).calls] == [*range(1, 400, 2)]


# --- money ---


async def test_a_recorded_model_is_capped_and_asked_for_its_usage_as_it_is_by_itself(
    tape: Path, conversation: FakeConversation
) -> None:
    model = BaseOpenAIChatCompletionClient()
    client = JournalledClient(record(model, tape), None)
    in_turn(conversation)
    for conversation.limited in (False, True):
        await client.create(HELLO)
        await _stream(client, HELLO)
    cap = {"max_tokens": 100}
    assert model.sent == [
        {},
        {"include_usage": True},
        {"extra_create_args": cap},
        {"include_usage": True, "extra_create_args": cap},
    ]
    assert {effect.reserve.output_tokens for effect in conversation.effects.values()} == {100}
    assert len({call.line.digest for call in Tape.read(tape).calls}) == 1


async def test_a_replayed_model_counts_tokens_as_they_were_and_costs_nothing(
    tape: Path, conversation: FakeConversation
) -> None:
    await record(Counting(), tape, part="ann").create(HELLO)
    model = resolve(f"replay:{tape}", part="ann", playbooks=_books)
    assert (model.kind, model.made, model.price and model.price.cost(9, 9)) == ("replayed", True, 0.0)
    in_turn(conversation)
    result = await JournalledClient(model.client, model.price).create(HELLO)
    [effect] = conversation.effects.values()
    spent = effect.spent(result)
    assert (spent.input_tokens, spent.output_tokens, spent.usd) == (10, 5, 0.0)


# --- by name ---


async def test_a_model_is_recorded_by_name_for_each_participant(tape: Path) -> None:
    model = resolve(record("playbook:book", tape), part="ann", playbooks=_books)
    assert (model.name, model.kind, model.made) == ("playbook:book", "scripted", True)
    await model.client.create(HELLO)
    assert (await resolve(f"replay:{tape}", part="ann", playbooks=_books).client.create(HELLO)).content == "scripted"
    other = resolve(f"replay:{tape}#ann", part="bob", playbooks=_books)
    assert (await other.client.create(HELLO)).content == "scripted"
    assert own_model(replayed(tape, part="ann")).kind == "replayed"


def test_nothing_is_asked_for_and_nothing_is_written_before_a_model_is_needed(tape: Path) -> None:
    inert = record(ModelSpec("http://127.0.0.1:1/v1", "m", "${env:MOOT_TEST_NO_SUCH_KEY}"), tape)
    for use in (lambda: inert.model_info, lambda: resolve(inert, part="ann", playbooks=_books)):
        with pytest.raises(ModelError, match="set MOOT_TEST_NO_SUCH_KEY in the environment"):
            use()
    assert not tape.exists()


async def test_a_tape_is_not_recorded_onto_itself(tape: Path) -> None:
    await record(Counting(), tape, part="ann").create(HELLO)
    before = tape.read_bytes()
    for given in (f"replay:{tape}", replayed(tape)):
        with pytest.raises(TapeError, match=r"cannot record to .*: it is the tape that is replayed"):
            resolve(record(given, tape), part="ann", playbooks=_books)
    link = tape.with_name("link.jsonl")
    link.symlink_to(tape)
    with pytest.raises(TapeError, match="it is the tape that is replayed"):
        resolve(record(f"replay:{tape}", link), part="ann", playbooks=_books)
    assert tape.read_bytes() == before


# --- in a run ---


async def test_a_line_that_was_cut_off_is_told_once(
    tape: Path, conversation: FakeConversation, caplog: pytest.LogCaptureFixture
) -> None:
    recording = record(Counting(), tape)
    for messages in (HELLO, [*HELLO, *HELLO]):
        await recording.create(messages)
    tape.write_bytes(tape.read_bytes()[:-40])
    in_turn(conversation)
    client = replayed(tape)
    await client.create(HELLO)
    with pytest.raises(TapeError, match="no reply"):
        await client.create([*HELLO, *HELLO])
    assert [kind for kind, _ in conversation.notes] == ["warning"]
    assert "is cut off" in str(conversation.notes[0][1]["text"])
    assert caplog.text == ""


async def test_a_replay_can_be_cancelled(tape: Path) -> None:
    await record(Counting(), tape).create(HELLO)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await replayed(tape).create(HELLO, cancellation_token=token)


def test_what_a_tape_says_is_text(tape: Path) -> None:
    asyncio.run(_one(tape))
    line = tape.read_text().splitlines()[1]
    assert '"messages": [{"role": "user", "source": "user", "text": "hello"}]' in line


async def _one(tape: Path) -> None:
    agent = AssistantAgent("ann", record(Counting(), tape), system_message=None)
    await agent.on_messages([TextMessage(content="hello", source="user")], CancellationToken())
