"""Which containers are removed as nobody's, and which are not touched."""

import subprocess
import sys
from dataclasses import replace

import docker
import pytest

from moot.sandbox.box import Box
from moot.sandbox.docker import Docker
from moot.sandbox.owner import LABEL_OWNER, LABEL_RUN, Owner, this_process
from moot.sandbox.prune import prune

pytestmark = pytest.mark.alone  # whoever closes a sandbox or prunes takes the containers of any dead process


def dead_process() -> Owner:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return replace(this_process(), pid=ended.pid, started="1")


OWNERS = {
    "a dead process": (dead_process, True),
    "this process's number, used again": (lambda: replace(this_process(), started="1"), True),
    "this process": (this_process, False),
    "another machine's process": (lambda: replace(dead_process(), boot="elsewhere"), False),
    "another pid namespace's process": (lambda: replace(dead_process(), namespace="1"), False),
    "a label that is not ours": (lambda: "somebody", False),
}


@pytest.mark.parametrize("owner", OWNERS)
async def test_only_containers_of_owners_known_to_be_dead_are_removed(
    client: docker.DockerClient, image: str, owner: str
) -> None:
    make, expected = OWNERS[owner]
    made = client.api.create_container(image, ["true"], labels={LABEL_OWNER: str(make()), LABEL_RUN: "prune"})["Id"]
    name = client.api.inspect_container(made)["Name"].lstrip("/")
    try:
        assert (name in await prune()) is expected
        left = client.api.containers(all=True, filters={"id": made})
        assert bool(left) is not expected
    finally:
        if not expected:
            client.api.remove_container(made, force=True)


async def test_containers_without_our_label_are_not_looked_at(client: docker.DockerClient, image: str) -> None:
    made = client.api.create_container(image, ["true"])["Id"]
    try:
        await prune()
        assert client.api.containers(all=True, filters={"id": made})
    finally:
        client.api.remove_container(made, force=True)


async def test_an_open_box_survives_pruning(box: Box) -> None:
    assert box.name not in await prune()
    assert (await box.run("1 + 1")).value == "2"


def test_a_process_recognises_itself_and_its_label() -> None:
    me = this_process()
    assert Owner.parse(str(me)) == me
    assert me.life() == "alive"
    assert Owner.parse("x") is None
    assert Owner.parse("a:b:c:d") is None


async def test_a_box_that_closes_takes_along_what_a_killed_process_left_unstarted(
    client: docker.DockerClient, image: str
) -> None:
    labels = {LABEL_OWNER: str(dead_process()), LABEL_RUN: "killed"}
    left = client.api.create_container(image, ["true"], labels=labels)["Id"]
    async with Docker(image=image).open(run="test"):
        assert client.api.containers(all=True, filters={"id": left})
    assert client.api.containers(all=True, filters={"id": left}) == []
