"""Files into the workspace and out of it, and which of them are artifacts."""

import hashlib
import os

import pytest

from moot.sandbox.artifacts import wanted
from moot.sandbox.box import Box
from moot.sandbox.docker import Docker
from moot.sandbox.errors import FileRefused, InputTooLarge, WorkspaceFull
from moot.sandbox.execution import Artifact, Execution, File


def names(done: Execution) -> list[str]:
    return [artifact.name for artifact in done.artifacts]


async def test_a_large_file_goes_in_and_comes_out_unchanged(box: Box) -> None:
    data = os.urandom(5_000_001)
    await box.put("deep/down/data.bin", data)
    assert await box.get("deep/down/data.bin") == data
    assert await box.list() == [File("deep/down/data.bin", 5_000_001)]
    seen = await box.run("import hashlib; hashlib.sha256(open('deep/down/data.bin', 'rb').read()).hexdigest()")
    assert seen.value == repr(hashlib.sha256(data).hexdigest())


async def test_an_empty_file_is_a_file(box: Box) -> None:
    await box.put("empty", b"")
    assert await box.get("empty") == b""
    assert (await box.run("open('none', 'w').close()")).artifacts == (
        Artifact("none", 0, hashlib.sha256(b"").hexdigest(), b""),
    )


async def test_putting_a_file_again_replaces_it(box: Box) -> None:
    await box.put("a", b"longer than the next")
    await box.put("a", b"short")
    assert await box.get("a") == b"short"


async def test_a_name_that_leads_out_is_refused(box: Box) -> None:
    for name in ("../x", "/etc/passwd", "a/../../x", "", ".", "a//b", "a\0b", "x/" * 20 + "x"):
        with pytest.raises(FileRefused):
            await box.get(name)
        with pytest.raises(FileRefused):
            await box.put(name, b"x")


async def test_a_missing_file_is_refused_by_name(box: Box) -> None:
    with pytest.raises(FileRefused, match=r"'gone.txt' is refused: No such file or directory"):
        await box.get("gone.txt")


async def test_links_and_pipes_planted_in_the_workspace_lead_nowhere(box: Box) -> None:
    await box.run("import os\nos.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'folder'); os.mkfifo('pipe')")
    for name in ("link", "folder/passwd", "pipe"):
        with pytest.raises(FileRefused):
            await box.get(name)
    for name in ("link", "folder/x"):
        with pytest.raises(FileRefused):
            await box.put(name, b"x")
    assert await box.list() == []


async def test_only_what_a_block_made_or_changed_is_an_artifact(spec: Docker) -> None:
    async with spec.open(files={"in.csv": b"1,2\n", "same.csv": b"0\n"}) as box:
        assert names(await box.run("open('in.csv').read()")) == []
        first = await box.run("open('out.txt', 'w').write('1')\nopen('same.csv', 'w').write('0\\n')")
        assert first.artifacts == (Artifact("out.txt", 1, hashlib.sha256(b"1").hexdigest(), b"1"),)
        assert names(await box.run("open('out.txt', 'w').write('2')")) == ["out.txt"]
        assert names(await box.run("open('out.txt', 'w').write('2')")) == []
        assert names(await box.run("open('in.csv', 'w').write('3,4\\n')")) == ["in.csv"]
        assert names(await box.run("echo 5 > sub.txt; mkdir d; echo 6 > d/x.txt", "sh")) == ["d/x.txt", "sub.txt"]


async def test_every_one_of_many_changes_in_quick_succession_is_seen(box: Box) -> None:
    """A file system's clock ticks slowly: two writes of equal length may leave the same times behind."""
    await box.put("f", b"0")
    for digit in range(1, 60):
        done = await box.run(f"f = open('f', 'r+'); f.write('{digit % 10}'); f.close()")
        assert [artifact.data for artifact in done.artifacts] == [str(digit % 10).encode()]


async def test_patterns_say_which_files_come_out(image: str) -> None:
    spec = Docker(image=image, artifacts=("*.png", "out/*.csv"))
    async with spec.open() as box:
        code = (
            "import os\nos.mkdir('out')\nfor n in ('a.png', 'out/b.png', 'c.csv', 'out/c.csv', '.d.png'): open(n, 'w')"
        )
        done = await box.run(code)
        assert names(done) == ["a.png", "out/b.png", "out/c.csv"]
        assert done.not_kept == ()


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a/b.png", "*.png", True),
        ("a/b.png", "a/*.png", True),
        (".cache/b.png", "*", False),
        (".cache/b.png", ".cache/*", True),
        ("__pycache__/m.pyc", "*", False),
        ("B.PNG", "*.png", False),
    ],
)
def test_patterns_are_like_a_shells(name: str, pattern: str, expected: bool) -> None:
    assert wanted(name, (pattern,)) is expected


async def test_what_exceeds_the_caps_is_listed_and_not_dropped_silently(image: str) -> None:
    spec = Docker(image=image, max_artifact="1k", max_artifacts="2k")
    async with spec.open() as box:
        done = await box.run("for n, s in dict(a=1000, b=1000, c=1000, d=5000).items(): open(n, 'w').write('x' * s)")
        assert names(done) == ["a", "b"]
        assert [(missed.name, missed.size, missed.why) for missed in done.not_kept] == [
            ("c", 1000, "the block's files together are more than max_artifacts=2k"),
            ("d", 5000, "4.9 KiB is more than max_artifact=1k"),
        ]
        assert await box.get("d") == b"x" * 5000
        again = await box.run("1")
        assert (again.artifacts, again.not_kept) == ((), ())


async def test_of_very_many_files_only_some_come_out_and_the_rest_is_counted(box: Box) -> None:
    done = await box.run("for i in range(1200): open(f'f{i:04}', 'w').write('12')")
    assert (len(done.artifacts), done.artifacts[-1].name) == (1000, "f0999")
    assert (len(done.not_kept), done.not_kept[0].name) == (101, "f1000")
    assert (done.not_kept[-1].name, done.not_kept[-1].size) == ("(100 more files)", 200)
    assert (await box.run("1")).not_kept == ()


async def test_a_workspace_full_of_files_is_looked_at_as_far_as_possible_and_says_so(box: Box) -> None:
    done = await box.run("for i in range(12_000): open(f'.f{i}', 'w').close()\nopen('seen', 'w').close()")
    assert done.not_kept[0].why == "there are more files in the workspace than can be looked at"
    await box.run("import os\nfor i in range(12_000): os.remove(f'.f{i}')")
    assert [file.name for file in await box.list()] == ["seen"]


async def test_odd_things_are_listed_with_the_reason(box: Box) -> None:
    code = (
        "import os\nopen(b'bad\\xff', 'w').close(); os.symlink('/etc/passwd', 'link'); os.mkfifo('pipe')\n"
        "os.mkdir('locked'); open('locked/x', 'w').close(); os.chmod('locked', 0)\n"
        "os.makedirs('/'.join('d' * 20)); open('ok', 'w').close()"
    )
    done = await box.run(code)
    assert names(done) == ["ok"]
    assert {missed.name: missed.why for missed in done.not_kept} == {
        "bad\N{REPLACEMENT CHARACTER}": "its name is not valid UTF-8",
        "link": "it is not a regular file",
        "pipe": "it is not a regular file",
        "locked": "its folder cannot be read",
        "/".join("d" * 16): "it lies too deep in folders, or its path is too long",
    }


async def test_open_figures_are_saved_and_come_out(box: Box) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.figure(); plt.bar([1, 2], [3, 4])\nplt.show()"
    done = await box.run(code)
    assert names(done) == ["figure-1-1.png", "figure-1-2.png"], done.stderr
    assert all(artifact.data.startswith(b"\x89PNG") for artifact in done.artifacts)
    assert names(await box.run("plt.get_fignums()")) == [], "they are closed, and not saved twice"


async def test_figures_of_a_failing_block_come_out_as_well(box: Box) -> None:
    done = await box.run("import matplotlib.pyplot as plt\nplt.plot([1])\n1 / 0")
    assert (done.exit_code, names(done)) == (1, ["figure-1-1.png"])


async def test_a_figure_that_cannot_be_saved_fails_the_block_and_says_why(box: Box) -> None:
    done = await box.run("import matplotlib.pyplot as plt\nplt.title('$\\\\nonsense$')\nNone")
    assert done.exit_code == 1
    assert "figure-1-1.png could not be saved: ValueError" in done.stderr


async def test_matplotlib_does_not_build_its_font_cache_anew(box: Box) -> None:
    done = await box.run("import matplotlib.pyplot, os; sorted(os.listdir(os.environ['MPLCONFIGDIR'])), ''")
    assert "fontlist" in str(done.value)
    assert done.stderr == ""


async def test_an_input_larger_than_the_workspace_is_refused_before_anything_is_sent(image: str) -> None:
    spec = Docker(image="no/such-image:1", workspace="1m")
    why = r"'big\.csv' has 1\.0 MiB, more than the workspace of 1m; raise `workspace`"
    with pytest.raises(InputTooLarge, match=why):
        async with spec.open(files={"small.csv": b"", "big.csv": bytes((1 << 20) + 1)}):
            pass
    with pytest.raises(InputTooLarge, match=r"the 2 input files have 1\.2 MiB together"):
        async with spec.open(files={"a": bytes(600 << 10), "b": bytes(600 << 10)}):
            pass
    async with Docker(image=image, workspace="1m").open() as box:
        with pytest.raises(InputTooLarge, match=r"big\.csv"):
            await box.put("big.csv", bytes(2 << 20))
        assert await box.list() == []


async def test_an_input_that_finds_no_room_left_is_told_so(image: str) -> None:
    async with Docker(image=image, workspace="1m").open() as box:
        await box.run("open('fill', 'wb').write(bytes(900 << 10))")
        with pytest.raises(WorkspaceFull, match=r"no room for 'more\.csv': the workspace of 1m is full"):
            await box.put("more.csv", bytes(500 << 10))


async def test_an_input_larger_than_what_code_may_write_fits_a_large_workspace(image: str) -> None:
    async with Docker(image=image, workspace="200m", memory="512m").open() as box:
        await box.put("big", bytes(150 << 20))
        assert (await box.run("import os; os.stat('big').st_size")).value == str(150 << 20)
        done = await box.run("open('mine', 'wb').write(bytes(140 << 20))")
        assert "File too large" in done.stderr or "No space left" in done.stderr
