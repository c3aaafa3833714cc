"""The tool that the approval template comes with: publishes once, overwrites nothing, leaves no other place."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moot.agents.effects import NAME
from moot.chats.templates import FOLDER

Publish = Callable[[str, str, list[str]], str]


@pytest.fixture
def publish(tmp_path: Path) -> Iterator[Publish]:
    """The tool, used in a folder of its own."""
    spec = importlib.util.spec_from_file_location("template_tools", FOLDER / "approval" / "tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with contextlib.chdir(tmp_path):
        yield module.publish


@contextlib.contextmanager
def named(key: str) -> Iterator[None]:
    """Inside a run, in the call of that name."""
    token = NAME.set(key)
    try:
        yield
    finally:
        NAME.reset(token)


def test_a_notice_is_a_file_named_after_its_title(publish: Publish, tmp_path: Path) -> None:
    where = Path(publish("notices/2026", "The database: moves!", ["One  line.\nof two", "", "Ask us."]))
    assert where == tmp_path / "notices" / "2026" / "the-database-moves.md"
    assert where.read_text() == "# The database: moves!\n\nOne line. of two\n\nAsk us.\n"
    assert [path.name for path in where.parent.iterdir()] == [where.name]


def test_a_call_that_is_made_again_finds_its_own_notice(publish: Publish) -> None:
    with named("1m7xb/5/tool/call-1"):
        first = publish("out", "Moved", ["Today."])
        again = publish("out", "Moved", ["Today."])
    assert first == again
    assert "<!-- published by 1m7xb/5/tool/call-1 -->" in Path(first).read_text()


def test_another_call_of_the_same_title_overwrites_nothing_and_is_found_again_too(publish: Publish) -> None:
    with named("1m7xb/5/tool/call-1"):
        first = publish("out", "Moved", ["Today."])
    with named("1m7xc/5/tool/call-1"):
        second = publish("out", "Moved", ["Today."])
        assert publish("out", "Moved", ["Today."]) == second
    assert (Path(first).name, Path(second).name) == ("moved.md", "moved-2.md")


@pytest.mark.parametrize("folder", ["..", "/tmp", "out/../../elsewhere"])
def test_nothing_is_published_outside_of_the_working_directory(publish: Publish, folder: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not lie below"):
        publish(folder, "Moved", ["Today."])
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_out_is_no_way_out(publish: Publish, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path.parent)
    with pytest.raises(ValueError, match="does not lie below"):
        publish("out", "Moved", ["Today."])


@pytest.mark.parametrize("title", ["", "../../", "?!"])
def test_a_title_that_names_no_file_is_refused(publish: Publish, title: str) -> None:
    with pytest.raises(ValueError, match="has no letter"):
        publish("out", title, ["Today."])


def test_a_title_cannot_lead_out_of_the_folder(publish: Publish, tmp_path: Path) -> None:
    assert Path(publish("out", "../../etc/passwd", ["x"])) == tmp_path / "out" / "etc-passwd.md"


def test_a_notice_without_words_is_refused(publish: Publish) -> None:
    with pytest.raises(ValueError, match="nothing to publish"):
        publish("out", "Moved", [" ", "\n"])
