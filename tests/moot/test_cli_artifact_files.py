"""Files that code made, put where the user's own files lie: nothing of the user's is lost or left."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from moot.agents.ran import StoredFile
from moot.chats.blobs import FileBlobs
from moot.cli.artifact_files import copy_out
from moot.cli.artifact_folder import ArtifactFolder

if TYPE_CHECKING:
    from tests.moot.conftest import Moot


def files_in(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_file_of_the_users_stays_and_the_newcomer_gets_a_number(tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text("mine")
    folder = ArtifactFolder(tmp_path)
    assert folder.put("chat.yaml", b"theirs") == tmp_path / "chat-2.yaml"
    assert folder.put("chat.yaml", b"others") == tmp_path / "chat-3.yaml"
    assert files_in(tmp_path) == {"chat.yaml": "mine", "chat-2.yaml": "theirs", "chat-3.yaml": "others"}


def test_a_file_that_is_there_with_the_same_content_is_left_and_named(tmp_path: Path) -> None:
    ArtifactFolder(tmp_path).put("out/plot.png", b"same")
    before = (tmp_path / "out" / "plot.png").stat()
    assert ArtifactFolder(tmp_path).put("out/plot.png", b"same") == tmp_path / "out" / "plot.png"
    assert (tmp_path / "out" / "plot.png").stat() == before
    assert ArtifactFolder(tmp_path).put("out/plot.png", b"more") == tmp_path / "out" / "plot-2.png"


def test_no_link_is_followed_neither_of_a_folder_nor_of_a_file(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "keys").write_text("secret")
    (inside / "out").symlink_to(outside)
    (inside / "keys").symlink_to(outside / "keys")
    (inside / "dangling").symlink_to(outside / "new")
    folder = ArtifactFolder(inside)
    assert folder.put("out/table.csv", b"a") == inside / "out-2" / "table.csv"
    assert folder.put("out/more.csv", b"b") == inside / "out-2" / "more.csv"
    assert folder.put("keys", b"secret") == inside / "keys-2"
    assert folder.put("dangling", b"c") == inside / "dangling-2"
    assert files_in(outside) == {"keys": "secret"}


def test_the_folder_itself_may_be_a_link_for_the_user_named_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "named").symlink_to(tmp_path / "real")
    assert ArtifactFolder(tmp_path / "named").put("a.txt", b"a") == tmp_path / "named" / "a.txt"
    assert files_in(tmp_path / "real") == {"a.txt": "a"}


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("..\\..\\a", "a"),
        ("a/./b/../c", "a/b/c"),
        ("\x1b[31m", "unnamed"),
        ("..", "unnamed"),
        ("red\x1b[31m\nname", "red name"),
        ("é" * 400 + ".csv", "é" * 98 + ".csv"),
    ],
)
def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str, where: str) -> None:
    assert ArtifactFolder(tmp_path / "f").put(name, b"x") == tmp_path / "f" / where
    assert list(files_in(tmp_path)) == [f"f/{where}"]


def test_pipes_folders_and_files_where_folders_are_meant_are_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    folder = ArtifactFolder(tmp_path)
    assert folder.put("pipe", b"") == tmp_path / "pipe-2"
    assert folder.put("folder", b"x") == tmp_path / "folder-2"
    assert folder.put("file/inner", b"y") == tmp_path / "file-2" / "inner"
    assert (tmp_path / "file").read_text() == "mine"


def test_in_the_runs_own_folder_the_newest_content_has_the_name(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    own = tmp_path / "own"
    ArtifactFolder(own, own=True).put("a.txt", b"old")
    (own / "b.txt").symlink_to(tmp_path / "outside")
    again = ArtifactFolder(own, own=True)
    assert again.put("a.txt", b"new") == own / "a.txt"
    assert again.put("a.txt\x07", b"other") == own / "a-2.txt"
    assert again.put("b.txt", b"theirs") == own / "b.txt"
    assert files_in(own) == {"a.txt": "new", "a-2.txt": "other", "b.txt": "theirs"}
    assert (tmp_path / "outside").read_text() == "mine"


async def test_what_got_a_number_is_told(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b").write_text("mine")
    files = [StoredFile(name=name, size=1, sha256=await blobs.put(b"x")) for name in ("a", "b")]
    copied = await copy_out(files, blobs, "run", tmp_path / "out")
    assert [(f.name, f.path.name, f.numbered) for f in copied] == [("a", "a", False), ("b", "b-2", True)]


WRITER = """
version: 1
name: writer
parts:
  coder:
    - say: |
        ```python
        import os
        open("duet.yaml", "w").write("not yours")
        os.mkdir("linked")
        open("linked/a.txt", "w").write("a")
        ```
"""
WRITING = """
version: 1
name: writing
task: "Write files."
model: playbook:writer.yaml
participants:
  coder: {role: assistant, instructions: "Code."}
  executor: {role: executor, runs_code_from: [coder]}
limits: {turns: 4}
stop: [{id: ran, code_succeeded: true}]
"""


def test_a_run_replaces_no_file_where_its_files_go_and_says_so(
    moot: Moot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    moot.write("writer.yaml", WRITER)
    moot.write("writing.yaml", WRITING)
    (moot.folder / "linked").symlink_to(elsewhere)
    mine = (moot.folder / "duet.yaml").read_text()
    done = moot("run", "writing.yaml", "--artifacts", ".", "--json")
    assert done.code == 0, done.err
    assert (moot.folder / "duet.yaml").read_text() == mine
    assert list(elsewhere.iterdir()) == []
    paths = {f["name"]: f["path"] for f in json.loads(done.out)["artifacts"]}
    assert paths == {
        "duet.yaml": str(moot.folder / "duet-2.yaml"),
        "linked/a.txt": str(moot.folder / "linked-2" / "a.txt"),
    }
    assert f"warning: duet.yaml was there already: kept as {moot.folder / 'duet-2.yaml'}\n" in done.err
