"""What runs inside the container: PID 1, the interpreter it forks, and the file that both ends share.

Everything in this folder is injected as source into whatever image is used, so it obeys other rules than the rest: the
standard library alone, Python 3.9, nothing at import but definitions, and imports of each other by full name (the
bootstrap below puts each module into `sys.modules` under that name, in the order of `MODULES`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

MODULES = ("frames", "capture", "processes", "workspace", "channel", "worker", "children", "supervisor")

# Understood by any Python, so that one that is too old says so rather than failing on our syntax.
_BOOTSTRAP = """\
import sys, types
if sys.version_info < (3, 9):
    sys.exit("python %d.%d is too old: 3.9 or newer is needed" % sys.version_info[:2])
SOURCES = SOURCES_HERE
for name in SOURCES:
    module = types.ModuleType(name)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)
    exec(compile(SOURCES[name], "<" + name + ">", "exec"), module.__dict__)
sys.modules["PACKAGE_HERE.supervisor"].main()
"""


@cache
def program() -> str:
    """The text for `python3 -I -c`: every module of this folder and a call of its main()."""
    sources = {__name__: ""}
    for module in MODULES:
        sources[f"{__name__}.{module}"] = Path(__file__).with_name(f"{module}.py").read_text("utf-8")
    return _BOOTSTRAP.replace("PACKAGE_HERE", __name__).replace("SOURCES_HERE", repr(sources))
