"""For all tests: whatever they start is gone when they end, also what their child processes started."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import quote

import pytest

from moot.agents.providers import PROVIDERS
from moot.sandbox.owner import LABEL_OWNER, Owner, this_process
from scripts.machine import engine
from tests.model_servers import BrokenModels, Missing, ScriptedModels, broken, scripted
from tests.workers import pytest_runtest_protocol, pytest_xdist_auto_num_workers

__all__ = ["pytest_runtest_protocol", "pytest_xdist_auto_num_workers"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background by a shell: children would ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup: with a handler it is ours alone to ignore
    signal.signal(signal.SIGHUP, lambda number, frame: None)
for name in ("COLUMNS", "LINES"):  # of whoever runs the tests; some that run them in several processes set both
    os.environ.pop(name, None)


def containers() -> dict[str, str]:
    """Owner label by id of all sandboxes there are; none where no engine answers."""
    try:
        answer = engine.ask(f"/containers/json?all=1&filters={quote(json.dumps({'label': [LABEL_OWNER]}))}")
    except OSError:
        return {}
    return {each["Id"]: each["Labels"][LABEL_OWNER] for each in json.loads(answer.body)}


def stays(container: str) -> bool:
    """Whether a container that should be going is still there after the time that may take."""
    import docker
    from docker.errors import NotFound
    from requests.exceptions import RequestException

    with closing(docker.from_env()) as client:
        try:
            client.api.wait(container, timeout=10, condition="removed")
        except NotFound:
            return False
        except RequestException:
            return True
    return False


@pytest.fixture(scope="session", autouse=True)
def no_container_outlives_the_tests() -> Iterator[None]:
    before = containers()
    yield
    # Another process that lives may be at work on this machine; its containers are its own affair.
    left = {
        container
        for container, label in containers().items()
        if container not in before
        and (owner := Owner.parse(label)) is not None
        and (owner == this_process() or owner.life() == "dead")
    }
    assert {container for container in left if stays(container)} == set()


@pytest.fixture(scope="session")
def scripting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedModels]:
    try:
        with scripted(tmp_path_factory.mktemp("scripted-models")) as server:
            yield server
    except Missing as missing:
        why = f"the server that stands in for model providers is not installed: {missing}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture
def scripted_models(scripting_server: ScriptedModels) -> ScriptedModels:
    """A server on loopback that answers by script; `tests/model_servers.py` says how."""
    scripting_server.forget()
    return scripting_server


@pytest.fixture(scope="session")
def breaking_server() -> Iterator[BrokenModels]:
    with broken() as server:
        yield server


@pytest.fixture
def broken_models(breaking_server: BrokenModels) -> BrokenModels:
    """A server on loopback that breaks as it is told; `tests/model_servers.py` says how."""
    breaking_server.forget()
    return breaking_server


@pytest.fixture
def environment() -> Iterator[Callable[..., None]]:
    """Sets variables of the environment for this test: `environment(OPENAI_API_KEY=...)`. Of this machine's own none is
    seen that says which models can be asked.
    """
    kept = dict(os.environ)
    for name in [name for one in PROVIDERS.values() for name in (*one.variables, one.address) if name]:
        os.environ.pop(name, None)

    def given(**variables: str) -> None:
        os.environ.update(variables)

    yield given
    os.environ.clear()
    os.environ.update(kept)
