"""The servers that stand in for model providers do what tests rely on."""

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.model_servers import BrokenModels, Say, ScriptedModels


async def _asked(server: ScriptedModels, system: str, user: str = "hello") -> str | None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": system},
        {"role": "user", "content": user},
    ]
    async with openai.AsyncOpenAI(base_url=server.openai_url, api_key="none", max_retries=0) as client:
        reply = await client.chat.completions.create(model="any", messages=messages)
    return reply.choices[0].message.content


async def test_each_participant_gets_its_own_replies_in_their_order(scripted_models: ScriptedModels) -> None:
    scripted_models.script(
        Say("p1", to="You propose"), Say("c1", to="You criticise"), Say("p2", to="You propose"), Say("else")
    )
    proposed = [await _asked(scripted_models, "You propose things.") for _ in range(3)]
    assert proposed == ["p1", "p2", "p2"]
    assert await _asked(scripted_models, "You criticise things.") == "c1"
    assert await _asked(scripted_models, "You wait.") == "else"
    assert [body["messages"][0]["content"] for body in scripted_models.asked][-1] == "You wait."


async def test_nothing_of_one_test_is_left_for_the_next(scripted_models: ScriptedModels) -> None:
    scripted_models.script(Say("p1"))
    assert len(scripted_models.asked) == 0
    assert await _asked(scripted_models, "anybody") == "p1"


async def test_the_other_server_breaks_as_it_is_told_and_then_no_more(broken_models: BrokenModels) -> None:
    broken_models.queue({"type": "fail", "status": 503})
    async with openai.AsyncOpenAI(base_url=broken_models.openai_url, api_key="none", max_retries=0) as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="any", messages=[{"role": "user", "content": "hello"}])
        reply = await client.chat.completions.create(model="any", messages=[{"role": "user", "content": "hello"}])
    assert reply.choices[0].finish_reason == "stop"
    assert [request["status"] for request in broken_models.requests] == [503, 200]
