"""A Docker sandbox to test with, and a look at what is left in the engine afterwards."""

import os
from collections.abc import AsyncIterator, Iterator

import docker
import pytest

from moot.sandbox.box import Box
from moot.sandbox.docker import DEFAULT_IMAGE, Docker
from moot.sandbox.owner import LABEL_OWNER, this_process


@pytest.fixture(scope="session")
def image() -> str:
    return os.environ.get("MOOT_TEST_IMAGE", DEFAULT_IMAGE)


@pytest.fixture
def spec(image: str) -> Docker:
    return Docker(image=image, timeout_seconds=20)


@pytest.fixture
async def box(spec: Docker) -> AsyncIterator[Box]:
    async with spec.open(run="test") as opened:
        yield opened


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """The engine, seen past our own code."""
    engine = docker.from_env(timeout=30)
    yield engine
    engine.close()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(client: docker.DockerClient) -> Iterator[None]:
    """However the tests end, no container of this process outlives them."""
    yield
    mine = {"label": f"{LABEL_OWNER}={this_process()}"}
    assert client.api.containers(all=True, filters=mine) == []
