"""The self-test of a sandbox: does this engine, with this image, keep what is promised? In a real container."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from moot.sandbox.box import Box
from moot.sandbox.docker import Docker
from moot.sandbox.errors import FileRefused, SandboxError
from moot.sandbox.sizes import parse_size, show_size


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: its name, whether it is as it should be, and what was found."""

    name: str
    ok: bool
    detail: str


async def check(spec: Docker) -> list[Check]:
    """Look at everything that can be reached; what was not reached for want of an earlier thing is not listed."""
    return [found async for found in _checks(spec)]


async def _checks(spec: Docker) -> AsyncIterator[Check]:
    try:
        await spec.check()
        yield Check("engine and image", True, f"the engine answers and has {spec.image}")
        wide = replace(spec, artifacts=("*",), max_artifact="1m", max_artifacts="1m")
        async with wide.open(run="check", files={"input.txt": b"put in"}) as box:
            yield Check("python", True, f"{box.python}, with our program as PID 1")
            for name, probe in _PROBES.items():
                yield await _probed(name, probe, box)
    except SandboxError as error:
        yield Check(type(error).__name__, False, str(error))


async def _probed(name: str, probe: Callable[[Box], Awaitable[tuple[bool, str]]], box: Box) -> Check:
    try:
        ok, detail = await probe(box)
    except (FileRefused, ValueError) as error:
        ok, detail = False, f"could not be looked at: {error}"
    return Check(name, ok, detail)


async def _value(box: Box, code: str) -> str:
    """The repr of the last expression of some code that is expected to succeed."""
    done = await box.run(code, timeout_seconds=30)
    if done.exit_code or done.value is None:
        raise ValueError((done.stderr.strip().splitlines() or [f"exit code {done.exit_code}"])[-1])
    return done.value


async def _user(box: Box) -> tuple[bool, str]:
    found = await _value(box, "import os; (os.getuid(), os.getgid())")
    return found == "(10001, 10001)", f"runs as uid, gid {found}"


async def _privileges(box: Box) -> tuple[bool, str]:
    found = await _value(
        box,
        "s = dict(l.split(':\\t', 1) for l in open('/proc/self/status').read().splitlines() if ':\\t' in l)\n"
        "[int(s[k], 16) for k in ('CapEff', 'CapPrm', 'CapBnd')] + [int(s.get('NoNewPrivs', 1))]",
    )
    return found == "[0, 0, 0, 1]", "no capabilities, none to be gained" if found == "[0, 0, 0, 1]" else found


async def _read_only(box: Box) -> tuple[bool, str]:
    found = await _value(
        box,
        "import os\ndef writable(p):\n    try: open(os.path.join(p, '.probe'), 'w').close(); return True\n"
        "    except OSError: return False\n[p for p in ('/', '/etc', '/usr', '/root', '/opt', '/var') if writable(p)]",
    )
    return found == "[]", "the root file system is read-only" if found == "[]" else f"can be written: {found}"


async def _network(box: Box) -> tuple[bool, str]:
    found = await _value(box, "import socket; sorted(n for _, n in socket.if_nameindex() if n != 'lo')")
    routes = await _value(box, "len(open('/proc/net/route').read().splitlines()) - 1")
    reached = await _value(
        box,
        "def reach(a):\n    try: socket.create_connection(a, 2).close(); return True\n"
        "    except OSError: return False\n"
        "[a for a in (('169.254.169.254', 80), ('1.1.1.1', 53)) if reach(a)]",
    )
    closed = int(routes) <= 0 and reached == "[]"
    return closed, "no route leads out" if closed else f"interfaces {found}, {routes} routes, reached {reached}"


async def _memory(box: Box) -> tuple[bool, str]:
    found = await _value(
        box,
        "def limit():\n    for p in ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'):\n"
        "        try: return int(open(p).read())\n        except (OSError, ValueError): pass\n    return -1\nlimit()",
    )
    asked = parse_size(box.spec.memory, what="memory")
    return int(found) == asked, f"limited to {show_size(max(0, int(found)))} (asked for {box.spec.memory})"


async def _pids(box: Box) -> tuple[bool, str]:
    found = await _value(
        box,
        "def limit():\n    for p in ('/sys/fs/cgroup/pids.max', '/sys/fs/cgroup/pids/pids.max'):\n"
        "        try: return int(open(p).read())\n        except (OSError, ValueError): pass\n    return -1\nlimit()",
    )
    return int(found) == box.spec.pids, f"limited to {found} (asked for {box.spec.pids})"


async def _files(box: Box) -> tuple[bool, str]:
    done = await box.run("text = open('input.txt').read()\nopen('output.txt', 'w').write(text[::-1])")
    out = [artifact.data for artifact in done.artifacts]
    return out == [b"ni tup"], "go in and come out" if out == [b"ni tup"] else f"came out: {out}; {done.stderr[-200:]}"


async def _figures(box: Box) -> tuple[bool, str]:
    if await _value(box, "import importlib.util as u; u.find_spec('matplotlib') is not None") != "True":
        return True, "the image has no matplotlib; nothing to save"
    done = await box.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nNone", timeout_seconds=60)
    saved = [artifact for artifact in done.artifacts if artifact.data.startswith(b"\x89PNG")]
    return len(saved) == 1, "an open figure is saved as " + saved[0].name if saved else done.stderr[-200:]


async def _timeout(box: Box) -> tuple[bool, str]:
    done = await box.run("print('before', flush=True)\nwhile True: pass", timeout_seconds=0.2)
    ok = done.timed_out and done.exit_code == 124 and done.stdout == "before\n"
    return ok, "a block is stopped, its output kept" if ok else f"exit code {done.exit_code}"


_PROBES = {
    "user": _user,
    "privileges": _privileges,
    "file system": _read_only,
    "network": _network,
    "memory": _memory,
    "processes": _pids,
    "files": _files,
    "figures": _figures,
    "timeout": _timeout,
}
