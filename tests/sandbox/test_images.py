"""The image that sandboxes run in: what is in it, how it is built, and what a failed build leaves (nothing)."""

import asyncio
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from moot.sandbox import images, rootfs
from moot.sandbox.docker import DEFAULT_IMAGE
from moot.sandbox.errors import ImageMissing, SandboxError

root_on_debian = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("debootstrap", path=rootfs._PATH) is None,
    reason="makes a root file system: needs root and debootstrap",
)


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def tag(engine: docker.DockerClient) -> Iterator[str]:
    """A name for an image of this test alone; the image is removed."""
    name = f"moot-test/image:{uuid.uuid4().hex[:12]}"
    yield name
    try:
        engine.images.remove(name)
    except ImageNotFound:
        return


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a recipe whose base is in the engine already, from the lines that follow FROM."""

    def make(lines: str) -> Path:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"ARG BASE={DEFAULT_IMAGE}\nFROM ${{BASE}}\n{lines}\n")
        return folder

    return make


# The root is read-only and matplotlib wants to write beside its font cache: it gets a copy, as in a sandbox.
COPY_FONTS = (
    "import os, shutil\n"
    "shutil.copytree('/opt/sandbox/mpl', '/tmp/mpl'); os.environ['MPLCONFIGDIR'] = '/tmp/mpl'\n"
    "fonts = {e.name: e.stat().st_mtime_ns for e in os.scandir('/tmp/mpl')}\n"
)


def in_sandbox_image(engine: docker.DockerClient, program: str) -> str:
    """What a program prints in our image under a read-only root without network."""
    output = engine.containers.run(
        DEFAULT_IMAGE,
        ["python3", "-W", "error", "-c", COPY_FONTS + program],
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": "size=64m"},
        stderr=True,
        remove=True,
    )
    return output.decode()


async def test_the_image_is_ours_in_this_version_and_runs_as_nobody_special() -> None:
    image = await images.inspect()
    assert image.version == images.VERSION
    assert image.user == "10001:10001"
    assert image.size_bytes > 100_000_000


def test_the_image_computes_and_draws_with_a_read_only_root(engine: docker.DockerClient) -> None:
    program = (
        "import json, pandas, numpy.testing, scipy.stats, sklearn.linear_model\n"
        "import matplotlib.pyplot as plt\n"
        "frame = pandas.DataFrame({'x': [1, 2, 3], 'y': [2, 4, 6]})\n"
        "slope = sklearn.linear_model.LinearRegression().fit(frame[['x']], frame.y).coef_[0]\n"
        "frame.plot(); plt.savefig('/tmp/plot.png')\n"
        "numpy.testing.assert_allclose(slope, scipy.stats.linregress(frame.x, frame.y).slope)\n"
        "print(json.dumps([os.getuid(), os.getcwd(), os.path.getsize('/tmp/plot.png') > 1000, round(slope, 6)]))"
    )
    assert json.loads(in_sandbox_image(engine, program)) == [10001, "/workspace", True, 2.0]


def test_the_image_holds_nothing_to_become_root_with(engine: docker.DockerClient) -> None:
    program = (
        "import stat\n"
        "for folder, _, names in os.walk('/'):\n"
        "    if folder.startswith(('/proc', '/sys', '/dev')): continue\n"
        "    for name in names:\n"
        "        mode = os.lstat(os.path.join(folder, name)).st_mode\n"
        "        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID): print(folder, name)\n"
        "print('looked')\n"
    )
    assert in_sandbox_image(engine, program).split() == ["looked"]


def test_the_image_needs_to_compile_and_to_cache_nothing(engine: docker.DockerClient) -> None:
    program = (
        "import json, numpy, pandas, matplotlib.pyplot\n"
        "compiled = [os.path.exists(m.__cached__) for m in (json, numpy, pandas, matplotlib)]\n"
        "kept = {e.name: e.stat().st_mtime_ns for e in os.scandir('/tmp/mpl') if e.name in fonts} == fonts != {}\n"
        "print(json.dumps([compiled, kept, shutil.which('python') is not None]))"
    )
    assert json.loads(in_sandbox_image(engine, program)) == [[True] * 4, True, True]


async def test_an_image_that_is_not_there_is_missing_and_the_message_says_how_to_make_ours() -> None:
    with pytest.raises(ImageMissing, match="moot sandbox build"):
        await images.inspect("moot-test/nothing:1")


async def test_a_build_says_its_steps_in_one_line_each_and_names_the_image(
    recipe: Callable[[str], Path], tag: str
) -> None:
    said: list[str] = []
    built = await images.build(base="auto", tag=tag, say=said.append, recipe=recipe("LABEL moot.image=7"))
    image = await images.inspect(tag)
    assert (built.tag, built.id, image.version) == (tag, image.id, "7")
    assert len(said) == 3
    assert all(line.startswith("Step ") and line.endswith(" s") and "\n" not in line for line in said)


async def test_a_build_replaces_the_image_of_its_name_and_keeps_no_nameless_one(
    recipe: Callable[[str], Path], tag: str, engine: docker.DockerClient
) -> None:
    first = await images.build(base="slim", tag=tag, say=lambda _: None, recipe=recipe("LABEL a=1"))
    second = await images.build(base="slim", tag=tag, say=lambda _: None, recipe=recipe("LABEL a=2"))
    assert first.id != second.id
    with pytest.raises(ImageNotFound):
        engine.images.get(first.id)


def nameless(engine: docker.DockerClient) -> set[str]:
    """What `docker images` shows as <none>."""
    return {image.id for image in engine.images.list(filters={"dangling": True}) if image.id}


async def test_a_build_that_fails_says_why_and_leaves_the_old_image_and_nothing_else(
    recipe: Callable[[str], Path], tag: str, engine: docker.DockerClient
) -> None:
    before = nameless(engine)
    built = await images.build(base="slim", tag=tag, say=lambda _: None, recipe=recipe("LABEL a=1"))
    with pytest.raises(SandboxError, match="returned a non-zero code: 3") as failure:
        await images.build(base="slim", tag=tag, say=lambda _: None, recipe=recipe("LABEL b=2\nRUN exit 3"))
    assert "\n" not in str(failure.value)
    assert nameless(engine) <= before
    assert (await images.inspect(tag)).id == built.id


async def test_a_cancelled_build_ends_its_container_and_makes_no_image(
    recipe: Callable[[str], Path], tag: str, engine: docker.DockerClient
) -> None:
    before = nameless(engine)
    begun = asyncio.Event()
    mark = uuid.uuid4().hex
    folder = recipe(f"LABEL mark={mark}\nRUN sleep 600")
    build = asyncio.create_task(images.build(base="slim", tag=tag, say=lambda _: begun.set(), recipe=folder))
    await begun.wait()
    build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await build
    with pytest.raises(ImageMissing):
        await images.inspect(tag)
    assert engine.containers.list(all=True, filters={"label": f"mark={mark}"}) == []
    assert nameless(engine) <= before


@root_on_debian
async def test_a_mirror_that_does_not_answer_is_one_line_and_leaves_no_folder(tmp_path: Path) -> None:
    debian = rootfs.Debian("http://127.0.0.1:9/debian", ("false",))
    with pytest.raises(SandboxError) as failure:
        async with rootfs.rootfs(debian, images.RECIPE, say=print, folder=tmp_path):
            pytest.fail("there was no mirror")
    assert "ended with" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert list(tmp_path.iterdir()) == []


@root_on_debian
async def test_a_cancelled_root_file_system_leaves_neither_folder_nor_process(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def make() -> None:
        debian = rootfs.Debian(f"http://127.0.0.1:{port}/debian", ("false",))
        async with rootfs.rootfs(debian, images.RECIPE, say=print, folder=tmp_path):
            pytest.fail("the mirror said nothing")

    making = asyncio.create_task(make())
    await asked.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    gone.set()
    server.close()
    await server.wait_closed()
    assert list(tmp_path.iterdir()) == []
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if str(tmp_path).encode() in command_of(pid)]


def command_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it ended while we looked
        return b""


MAIN = "http://mirror.example/debian"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sources.list", f"deb {MAIN} bookworm main contrib\n"),
        (
            "sources.list",
            f"# deb http://no.example x main\ndeb [arch=amd64 signed-by=/k] {MAIN} bookworm main # main one\n",
        ),
        (
            "sources.list.d/d.sources",
            f"Types: deb deb-src\n# note\nURIs: {MAIN}\nSuites: bookworm bookworm-updates\nComponents: main\n",
        ),
        (
            "sources.list.d/d.sources",
            f"Types: deb\nURIs:\n {MAIN}\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n .\n x\n",
        ),
        (
            "sources.list.d/d.sources",
            (
                "Types: deb\nURIs: http://vendor.example/apt\nSuites: bookworm\nComponents: main\n\n"
                f"Types: deb\nURIs: {MAIN}\nSuites: bookworm\nComponents: main\n"
            ),
        ),
    ],
    ids=["one-line", "options and comments", "deb822", "deb822 continued", "beside a vendor's"],
)
def test_the_mirror_is_the_machines_own(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text)
    assert rootfs.find_mirror(tmp_path) == MAIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Types: deb-src\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\n",
        "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n",
        "Types: deb\nURIs: http://a.example/debian-security\nSuites: bookworm-security\nComponents: main\n",
        "Types: deb\nURIs: cdrom:[Debian]\nSuites: bookworm\nComponents: main\n",
    ],
    ids=["nothing", "sources only", "disabled", "security archive", "a disc"],
)
def test_what_holds_no_whole_debian_is_no_mirror(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "a.sources").write_text(text)
    assert rootfs.find_mirror(tmp_path) is None


def test_both_ways_of_building_give_the_image_the_same_settings() -> None:
    settings = images._settings(images.RECIPE)
    assert [line.split()[0] for line in settings] == ["ENV", "WORKDIR", "USER", "LABEL", "CMD"]
    assert f"LABEL moot.image={images.VERSION}" in settings
