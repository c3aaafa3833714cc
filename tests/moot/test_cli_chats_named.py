"""What `CHAT` may be on the command line: a file, a folder with a chat.yaml, a template."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.moot.conftest import Moot


def test_after_init_the_copy_is_meant_and_the_demo_stays_the_demo(moot: Moot) -> None:
    assert moot("init").code == 0
    copy = moot.folder / "research" / "chat.yaml"
    copy.write_text(copy.read_text().replace("name: research", "name: mine", 1))
    for verb in ("validate", "plan"):
        done = moot(verb, "research")
        assert done.code == 0, done.err
        assert "mine" in done.out
    run = moot("run", "research", "--sandbox", "none", "--json")
    assert run.json["chat"] == "mine", run.err
    demo = moot("demo", "--sandbox", "none", "--json")
    assert demo.json["chat"] == "research", demo.err


def test_a_folder_without_a_chat_does_not_hide_a_template(moot: Moot) -> None:
    (moot.folder / "research" / "chat.yaml").mkdir(parents=True)
    assert "chat research" in moot("validate", "research").out


def test_a_folder_of_any_path_means_its_chat(moot: Moot) -> None:
    moot.write("deep/er/chat.yaml", (moot.folder / "duet.yaml").read_text())
    moot.write("deep/er/play.yaml", (moot.folder / "play.yaml").read_text())
    for named in ("deep/er", "deep/er/"):
        done = moot("run", named)
        assert (done.code, done.out) == (0, "agreed\n"), done.err


def test_a_chat_may_come_through_a_pipe(moot: Moot) -> None:
    program = (
        "import os, sys, threading, moot.cli\n"
        "os.mkfifo('chat.fifo')\n"
        "text = open('duet.yaml').read()\n"
        "threading.Thread(target=lambda: open('chat.fifo', 'w').write(text), daemon=True).start()\n"
        "sys.argv[:] = ['moot', 'validate', 'chat.fifo']\n"
        "moot.cli.main()\n"
    )
    moot.write("piped.py", program)
    done = moot.python("piped.py")
    assert done.code == 0, done.err
    assert done.out.startswith("ok: chat.fifo: chat duet")
