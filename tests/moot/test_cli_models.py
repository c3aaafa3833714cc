"""`moot models`, and what a run says whose model does not answer."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.answering import Answer, answering, page, part, refusal, stream
from tests.model_servers import Say, ScriptedModels
from tests.moot.conftest import Moot

KEY = "sk-very-secret-0123456789"
CHAT = """
version: 1
name: talk
task: Say something nice.
model: {{base_url: "{url}", model: m{key}}}
participants:
  ann: {{role: assistant, instructions: You are ann.}}
  bob: {{role: assistant, instructions: You are bob.}}
limits: {{turns: 2}}
"""


@pytest.fixture
def talk(environment: Callable[..., None], moot: Moot) -> Callable[..., list[str]]:
    """Runs the chat against an address: its exit code is 7, and what it said on stderr is returned."""
    environment()

    def run(url: str, key: str = "", **env: str) -> list[str]:
        moot.write("talk.yaml", CHAT.format(url=url, key=key))
        done = moot("run", "talk.yaml", COLUMNS="400", **env)
        assert done.code == 7
        assert KEY not in done.out + done.err
        return done.err.splitlines()

    return run


def failures(lines: list[str]) -> list[str]:
    """What was said of each attempt."""
    return [line.partition(" failed: ")[2] for line in lines if "! attempt" in line]


# --- a run whose model does not answer ---


def test_where_nobody_answers_each_attempt_says_so_in_a_line(talk: Callable[..., list[str]]) -> None:
    said = talk("http://127.0.0.1:9/v1")
    words = "no server answers at http://127.0.0.1:9/v1: is it running, and is the port right?"
    assert failures(said) == [words, words]
    assert any("once that is put right: moot resume" in line for line in said)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page(), "answers with a web page: that address is no model's (did you mean {url}/v1?)"),
        (page(404), "nothing answers as a model at {url} (404) (did you mean {url}/v1?)"),
        (
            refusal(401, f"Incorrect API key provided: {KEY}"),
            "refuses the key (401): check the variable that api_key names",
        ),
        (refusal(403, f"{KEY} is not allowed"), "may not be used with this key (403): (the key) is not allowed"),
        (
            refusal(404, "The model `m` does not exist"),
            "is not there (404): The model `m` does not exist; check the model's name",
        ),
    ],
)
def test_what_would_fail_again_is_tried_once(talk: Callable[..., list[str]], answer: Answer, words: str) -> None:
    with answering(answer) as server:
        (failure,) = failures(talk(server.url, ", api_key: '${env:MINE}'", MINE=KEY))
        assert len(server.paths) == 1
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert words.format(url=server.url) in failure


def test_a_stream_that_is_cut_is_tried_again_and_its_words_are_not_used(
    moot: Moot, talk: Callable[..., list[str]]
) -> None:
    with answering(stream(part("half a sen"))) as server:
        said = failures(talk(f"{server.url}/v1"))
        assert len(server.paths) == 2
    place = server.url.removeprefix("http://")
    assert said == [f"the reply of m at {place} ended without a finish reason: it was cut off, and is not used"] * 2
    (row,) = moot("runs", "list", "--json").json
    assert (row["turns"], row["outcome"]) == (0, "failed")


def test_no_key_is_in_anything_that_is_kept(moot: Moot, talk: Callable[..., list[str]]) -> None:
    for status in (400, 401, 500):
        with answering(refusal(status, f"the key {KEY} is bad")) as server:
            talk(f"{server.url}/v1", ", api_key: '${env:MINE}'", MINE=KEY, MOOT_DEBUG="1")
            assert KEY in server.headers[0]["authorization"]
    kept = [file for file in (moot.folder / "home").rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if KEY.encode() in file.read_bytes()]


def test_a_run_that_failed_for_its_model_goes_on_when_that_is_put_right(
    environment: Callable[..., None], moot: Moot, scripted_models: ScriptedModels
) -> None:
    environment()
    moot.write("talk.yaml", CHAT.format(url=scripted_models.openai_url, key=""))
    failed = moot("run", "talk.yaml", "--json")
    assert failed.code == 7  # nothing is scripted yet: it answers with 404
    scripted_models.script(Say("You look well.", to="You are ann"), Say("So do you.", to="You are bob"))
    done = moot("resume", failed.json["run"])
    assert done.code == 3  # two turns
    assert "You look well." in done.err
    assert "So do you." in done.err


# --- models list ---


def test_what_can_be_named_is_listed_with_what_is_missing(environment: Callable[..., None], moot: Moot) -> None:
    with answering(page(404)) as nobody:
        environment(OLLAMA_HOST=nobody.url)
        text = moot("models", "list", **environ(moot, OLLAMA_HOST=nobody.url)).out
        found = moot("models", "list", "--json", **environ(moot, OLLAMA_HOST=nobody.url)).json
    assert "--  openai/NAME " in text
    assert "not set: OPENAI_API_KEY" in text
    assert f"no server there: {nobody.url}" in text
    assert "not set: AZURE_OPENAI_API_KEY, AZURE_OPENAI_ENDPOINT, OPENAI_API_VERSION" in text
    assert "playbook:research " in text
    assert [one["ready"] for one in found["providers"]] == [False] * 4
    assert found["compatible"]["ready"]
    assert "playbook:research" in found["playbooks"]


def environ(moot: Moot, **variables: str) -> dict[str, str]:
    """As it is without this machine's own."""
    for name in ("ANTHROPIC_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "OLLAMA_HOST"):
        moot.env.pop(name, None)
    return variables


def test_what_is_there_is_offered_and_no_key_and_no_password_is_shown(
    environment: Callable[..., None], moot: Moot
) -> None:
    models = json.dumps({"models": [{"name": "llama3.2:latest"}, {"name": "\x1b[31mqwen3:4b"}]}).encode()
    with answering(Answer(models)) as server:
        environment()
        variables = {
            "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"http://me:{KEY}@127.0.0.1:9/v1", "OLLAMA_HOST": server.url,
        }  # fmt: skip
        done = moot("models", "list", **variables)
        found = moot("models", "list", "--json", **variables)
        assert server.paths == ["/api/tags"] * 2
    assert KEY not in done.out + done.err + found.out
    assert "OPENAI_API_KEY set, at http://127.0.0.1:9/v1" in done.out
    assert "ollama/llama3.2:latest " in done.out
    assert "\x1b" not in done.out
    openai, _, ollama, _ = found.json["providers"]
    assert openai["variables"] == {"OPENAI_API_KEY": True}
    assert ollama["models"][0] == "ollama/llama3.2:latest"


# --- models test ---


def test_a_model_is_tested_in_three_requests(
    environment: Callable[..., None], moot: Moot, scripted_models: ScriptedModels
) -> None:
    environment()
    scripted_models.script(
        Say("I am ready.", user="one short sentence"),
        Say(tools={"add": {"a": 2, "b": 3}}, user="Use the tool"),
        Say('{"capital": "Paris", "letters": 5}', user="JSON only"),
    )
    variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": scripted_models.openai_url}
    done = moot("models", "test", "openai/gpt-4o", **variables)
    assert (done.code, done.err) == (0, "")
    signs = [(line[:4].strip(), line[5:19].strip()) for line in done.out.splitlines()[1:]]
    assert signs == [
        ("ok", "answers"), ("ok", "streams"), ("ok", "tells usage"), ("ok", "calls tools"), ("ok", "typed replies"),
        ("", "time"), ("", "taken"),
    ]  # fmt: skip
    assert KEY not in done.out
    assert len(scripted_models.asked) == 3
    found = moot("models", "test", "openai/gpt-4o", "--json", **variables).json
    assert (found["ok"], found["exit_code"], found["hint"], found["priced"]) == (True, 0, "", True)
    assert found["usage"]["input_tokens"] > 0


def test_an_address_that_lacks_something_gets_a_hint_and_7(environment: Callable[..., None], moot: Moot) -> None:
    environment()
    listed = Answer(json.dumps({"data": [{"id": "m"}]}).encode())
    with answering(page(404), page(404), listed) as server:
        done = moot("models", "test", "--base-url", server.url, "--model", "m", "--key-env", "MINE", MINE=KEY)
        assert server.paths == ["/chat/completions", "/models", "/v1/models"]
    assert done.code == 7
    assert "FAIL answers" in done.out
    assert f"models are listed at {server.url}/v1: give that as base_url" in done.out
    assert KEY not in done.out + done.err


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((), 2, "name a model"),
        (("--model", "m"), 2, "name a model"),
        (("openai/x", "--base-url", "http://x/v1", "--model", "m"), 2, "without a NAME"),
        (("--base-url", "http://x/v1"), 2, "--base-url goes with --model"),
        (("--base-url", "x", "--model", "m"), 2, "is an address such as"),
        (("--base-url", f"http://me:{KEY}@x", "--model", "m"), 2, "without user or password"),
        (("--base-url", "http://x/v1", "--model", "m", "--key-env", KEY), 2, "never the key itself"),
        (("playbook:research",), 2, "asks nobody"),
        (("opnai/x",), 7, "did you mean 'openai/x'?"),
        (("anthropic/x",), 7, "anthropic/x needs a key: set ANTHROPIC_API_KEY in the environment"),
        (("azure/x",), 7, "needs AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT and OPENAI_API_VERSION"),
    ],
)
def test_what_cannot_be_tested_is_a_line(
    environment: Callable[..., None], moot: Moot, args: tuple[str, ...], code: int, words: str
) -> None:
    environment()
    environ(moot)
    done = moot("models", "test", *args)
    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1)
    assert words in done.err
    assert KEY not in done.err
