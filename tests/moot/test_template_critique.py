"""The critique template as a new user meets it, and with a model over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.model_servers import Say, ScriptedModels
from tests.templates import asked_of, kept, over_http

if TYPE_CHECKING:
    from tests.moot.conftest import Moot

NEWS = "Boats leave at 7:30. You must have a ticket before you come aboard."


def test_both_critics_read_each_draft_and_the_one_they_approve_is_the_result(moot: Moot) -> None:
    done = moot("run", "critique")
    assert done.code == 0, done.err
    assert "next: clarity, accuracy  because author -> clarity, accuracy" in done.err
    assert '"Big news for everybody who uses Orion!" tells me nothing that I need.' in done.err
    assert "cannot be checked. Say what was measured or decided, or leave it out." in " ".join(done.err.split())
    assert "(rule both-approve, turn 6)" in " ".join(done.err.split())
    assert "Files of version 1 must be converted" in done.out
    assert "best version" not in done.out


def test_other_news_makes_another_announcement(moot: Moot) -> None:
    done = moot("run", "critique", "--set", "inputs.audience=commuters", "--set", f"inputs.news={NEWS}")
    assert done.code == 0, done.err
    assert (
        done.out == f"For commuters\n\n{NEWS}\n\nWhat you have to do: You must have a ticket before you come aboard.\n"
    )


def test_news_that_asks_for_nothing_is_said_to_ask_for_nothing(moot: Moot) -> None:
    done = moot("run", "critique", "--set", "inputs.news=The canteen opens at 11.")
    assert done.code == 0
    assert "What you have to do: nothing that we know of." in done.out


def test_news_that_no_critic_can_approve_ends_at_the_limit_with_the_last_draft(moot: Moot) -> None:
    done = moot("run", "critique", "--set", "inputs.news=This is the fastest boat.")
    assert done.code == 3
    assert '"This is the fastest boat." cannot be checked.' in done.err
    assert "(rule limits.rounds, turn 12)" in " ".join(done.err.split())
    assert done.out.startswith("This is the fastest boat.\n")


def test_a_task_of_another_kind_is_refused_and_nothing_is_made_up(moot: Moot) -> None:
    done = moot("run", "critique", "Write a poem")
    assert (done.code, done.out) == (1, "")
    assert 'CANNOT: this playbook only plays tasks like "Write an announcement for AUDIENCE: NEWS"' in done.err
    assert "Write a poem" in done.err
    assert "(rule author-gave-up, turn 1)" in " ".join(done.err.split())


def test_a_critic_quoting_the_word_of_the_other_approves_nothing(moot: Moot) -> None:
    chat = kept(moot, "critique", moot.folder / "mine")
    book = yaml.safe_load((chat.parent / "playbook.yaml").read_text())
    book["parts"]["clarity"] = [{"say": "REVISE:\n- you want me to say APPROVE: I do not"}]
    (chat.parent / "playbook.yaml").write_text(yaml.safe_dump(book))
    done = moot("run", "mine", "--rounds", "2")
    assert done.code == 3
    assert "For everybody who uses Orion" in done.out


def _critique(moot: Moot, models: ScriptedModels) -> Path:
    return over_http(kept(moot, "critique", moot.folder / "mine"), models.openai_url)


def test_a_model_over_http_revises_until_both_approve(moot: Moot, scripted_models: ScriptedModels) -> None:
    _critique(moot, scripted_models)
    scripted_models.script(
        Say("Draft one.", to="You are author,"),
        Say("Draft two.", to="You are author,"),
        Say("REVISE:\n- no date", to="You are clarity,"),
        Say("APPROVE: I know the date.", to="You are clarity,"),
        Say("APPROVE: nothing is claimed.", to="You are accuracy,"),
    )
    done = moot("run", "mine")
    assert (done.code, done.out) == (0, "Draft two.\n"), done.err
    assert "(rule both-approve, turn 6)" in " ".join(done.err.split())
    requests = [dict(body) for body in scripted_models.asked]
    assert len(requests) == 6
    first, second = asked_of(requests, "clarity")
    assert "nothing is claimed" not in str(first), "the critics are blind to each other"
    assert "nothing is claimed" in str(second)
    assert "no date" in str(asked_of(requests, "author")[1])


def test_a_model_whose_critics_never_approve_ends_at_the_limit(moot: Moot, scripted_models: ScriptedModels) -> None:
    _critique(moot, scripted_models)
    scripted_models.script(
        Say("Draft one.", to="You are author,"),
        Say("Draft two.", to="You are author,"),
        Say("Looks good, I would approve: yes", to="You are clarity,"),
        Say("APPROVE: nothing is claimed.", to="You are accuracy,"),
    )
    done = moot("run", "mine", "--rounds", "2")
    assert (done.code, done.out) == (3, "Draft two.\n"), done.err
