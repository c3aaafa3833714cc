"""What every sandbox does, the real one and the fake one."""

import asyncio

import pytest

from moot.sandbox.docker import Docker
from moot.sandbox.errors import EngineUnavailable, FileRefused, InputTooLarge, SandboxError, SandboxGone
from moot.sandbox.execution import Artifact, Execution, File
from moot.sandbox.fake import Fake
from moot.sandbox.spec import LANGUAGES, Sandbox

MADE = Artifact("made.txt", 4, "e6f7e45b7f7bd6a1ec1ebcbea6a8f6e9ce5bb7d4f2a3d3a9ccf0e0ac9c3d4c5a", b"made")
SAID = {
    "print('hello')": Execution(exit_code=0, stdout="hello\n"),
    "40 + 2": Execution(exit_code=0, value="42"),
    "raise SystemExit(3)": Execution(exit_code=3),
    "open('made.txt', 'w').write('made'); None": Execution(exit_code=0, artifacts=(MADE,)),
    "echo oh >&2": Execution(exit_code=0, stderr="oh\n"),
}


async def answer(code: str, language: str) -> Execution:
    if "sleep" in code:
        await asyncio.Event().wait()
    return SAID[code]


@pytest.fixture(params=["docker", "fake"])
def sandbox(request: pytest.FixtureRequest, image: str) -> Sandbox:
    return Docker(image=image, workspace="1m") if request.param == "docker" else Fake(answer, workspace="1m")


async def test_a_sandbox_that_is_there_passes_its_check(sandbox: Sandbox) -> None:
    await sandbox.check()


async def test_a_block_is_run_and_its_result_comes_back(sandbox: Sandbox) -> None:
    async with sandbox.open(run="seam") as box:
        shown: list[tuple[str, str]] = []
        done = await box.run("print('hello')", on_output=lambda stream, text: shown.append((stream, text)))
        assert (done.exit_code, done.stdout, done.ok) == (0, "hello\n", True)
        assert shown == [("stdout", "hello\n")]
        assert (await box.run("40 + 2", "py")).value == "42"
        assert (await box.run("echo oh >&2", "bash")).stderr == "oh\n"
        failed = await box.run("raise SystemExit(3)")
        assert (failed.exit_code, failed.ok) == (3, False)


async def test_only_known_languages_are_run(sandbox: Sandbox) -> None:
    assert LANGUAGES == ("python", "bash", "sh")
    async with sandbox.open() as box:
        with pytest.raises(ValueError, match="cannot run 'r'; a sandbox runs python, bash, sh"):
            await box.run("1", "r")


async def test_files_go_in_and_what_is_made_comes_out(sandbox: Sandbox) -> None:
    async with sandbox.open(files={"in.csv": b"1\n"}) as box:
        await box.put("more/in.csv", b"22\n")
        assert await box.get("more/in.csv") == b"22\n"
        done = await box.run("open('made.txt', 'w').write('made'); None")
        assert [(made.name, made.data) for made in done.artifacts] == [("made.txt", b"made")]
        assert await box.list() == [File("in.csv", 2), File("made.txt", 4), File("more/in.csv", 3)]


async def test_bad_files_are_refused(sandbox: Sandbox) -> None:
    async with sandbox.open() as box:
        with pytest.raises(FileRefused):
            await box.get("../in.csv")
        with pytest.raises(FileRefused, match="No such file"):
            await box.get("none")
        with pytest.raises(InputTooLarge):
            await box.put("big", bytes(2 << 20))
    with pytest.raises(InputTooLarge):
        async with sandbox.open(files={"big": bytes(2 << 20)}):
            pytest.fail("it was opened")


async def test_a_timeout_ends_a_block_with_124(sandbox: Sandbox) -> None:
    async with sandbox.open() as box:
        done = await box.run("import time; time.sleep(60)", timeout_seconds=0.1)
        assert (done.exit_code, done.timed_out) == (124, True)


async def test_a_cancelled_block_raises_and_the_box_goes_on(sandbox: Sandbox) -> None:
    async with sandbox.open() as box:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await box.run("import time; time.sleep(60)")
        assert (await box.run("40 + 2")).value == "42"


async def test_an_interrupt_ends_the_block_that_runs(sandbox: Sandbox) -> None:
    async with sandbox.open() as box:
        await box.interrupt()
        running = asyncio.create_task(box.run("import time; time.sleep(60)"))
        while not running.done():  # until the block has begun there is nothing to interrupt
            await box.interrupt()
            await asyncio.sleep(0)
        assert (await running).interrupted


async def test_a_closed_box_says_so(sandbox: Sandbox) -> None:
    async with sandbox.open() as box:
        pass
    await box.close()
    with pytest.raises(SandboxGone):
        await box.run("40 + 2")


async def test_a_fake_can_play_a_sandbox_that_is_not_there() -> None:
    absent = Fake(answer, error=EngineUnavailable("no engine"))
    with pytest.raises(SandboxError, match="no engine"):
        await absent.check()
    with pytest.raises(EngineUnavailable):
        async with absent.open():
            pytest.fail("it was opened")


async def test_a_fake_remembers_what_it_was_asked() -> None:
    async with Fake(lambda code, language: Execution(exit_code=0)).open(files={"a": b"1"}) as box:
        await box.run("x", "sh")
        assert (box.blocks, box.files) == ([("x", "sh")], {"a": b"1"})
