"""What holds for every chat that comes with Moot: it is valid, can be looked at, kept, changed and run elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from moot.chats.templates import FOLDER, template_names
from tests.templates import kept

if TYPE_CHECKING:
    from tests.moot.conftest import Moot

NAMES = template_names()


def test_there_is_one_for_each_use() -> None:
    assert NAMES == ["approval", "critique", "debate", "research", "research-group"]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_valid_and_can_be_planned_without_a_key(moot: Moot, name: str) -> None:
    assert moot("validate", name).code == 0
    planned = moot("plan", name)
    assert planned.code == 0, planned.err
    assert f"playbook:{name} (scripted)" in planned.out
    assert "cost      at most $0.00" in planned.out


@pytest.mark.parametrize("name", NAMES)
def test_a_kept_template_has_all_files_and_works_with_its_own_playbook(moot: Moot, name: str) -> None:
    chat = kept(moot, name, moot.folder / "kept" / "mine")
    made = {str(path.relative_to(chat.parent)) for path in chat.parent.rglob("*") if path.is_file()}
    parts = (path.relative_to(FOLDER / name) for path in (FOLDER / name).rglob("*") if path.is_file())
    assert made == {str(path) for path in parts if "__pycache__" not in path.parts}
    assert "model: playbook:playbook.yaml" in chat.read_text()
    (chat.parent / "playbook.yaml").write_text((chat.parent / "playbook.yaml").read_text().replace("CANNOT", "NEVER"))
    done = moot("plan", "kept/mine", "--json")
    assert done.code == 0, done.err
    assert moot("validate", "kept/mine").code == 0


def test_an_unknown_template_is_told_which_there_are(moot: Moot) -> None:
    done = moot("init", "poem")
    assert done.code == 2
    assert f"templates: {', '.join(NAMES)}" in " ".join(done.err.split())
    assert "did you mean 'debate'?" in moot("init", "debat").err


def test_help_names_the_templates(moot: Moot) -> None:
    told = " ".join(moot("init", "--help").out.split())
    for name in NAMES:
        assert name in told
