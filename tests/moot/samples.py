"""Run pieces of Python, each in a process of its own that has imported everything already: sources on stdin as a JSON
object by name, what came of each on stdout.
"""

import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

IMPORTED = (
    "autogen_agentchat.agents autogen_agentchat.conditions autogen_agentchat.teams autogen_agentchat.ui "
    "autogen_ext.models.openai moot.chats.build moot.chats.sqlite_store"
).split()


def run(source: str, name: str, folder: Path) -> dict[str, object]:
    """Exit code, stdout and stderr of one."""
    with (folder / "out").open("wb+") as out, (folder / "err").open("wb+") as err:
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.chdir(folder)
            exec(compile(source, name, "exec"), {"__name__": "__main__"})
            raise SystemExit  # as a program that has come to its end
        _, status = os.waitpid(pid, 0)
    said, complained = (folder / "out").read_text(), (folder / "err").read_text()
    return {"code": os.waitstatus_to_exitcode(status), "out": said, "err": complained}


if __name__ == "__main__":
    for module in IMPORTED:
        importlib.import_module(module)
    done = {}
    for name, source in json.load(sys.stdin).items():
        folder = Path(tempfile.mkdtemp())  # removed here alone: a child leaves every block that was entered, too
        done[name] = run(source, name, folder)
        shutil.rmtree(folder)
    json.dump(done, sys.stdout)
