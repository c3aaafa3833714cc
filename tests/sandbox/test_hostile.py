"""Programs that mean harm. Each has a fresh sandbox; afterwards the next block runs in it."""

import pytest

from moot.sandbox.box import Box
from moot.sandbox.execution import Execution

PROGRAMS = {
    "a fork bomb in Python": ("import os\nwhile True: os.fork()", "python"),
    "a fork bomb in Python that swallows errors": (
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        "python",
    ),
    "a fork bomb in bash": (":(){ :|:& };:; sleep 5", "bash"),
    "a memory bomb in steps": ("x = []\nwhile True: x.append(bytearray(1 << 24))", "python"),
    "filling the workspace": (
        "n = 0\nwhile True:\n    n += 1; open(f'f{n}', 'wb').write(bytes(1 << 24))",
        "python",
    ),
    "filling the workspace with names": ("n = 0\nwhile True:\n    n += 1; open(f'f{n}', 'w').close()", "python"),
    "names that are as long as can be": (
        "import os\nfolder = '/'.join(['\\1' * 250] * 3)\nos.makedirs(folder)\n"
        "for i in range(3000): open(f'{folder}/{i:\\1>250}', 'w').close()",
        "python",
    ),
    "filling /tmp and /dev/shm": (
        "for d in ('/tmp', '/dev/shm'):\n    try:\n        with open(d + '/x', 'wb') as f:\n"
        "            while True: f.write(bytes(1 << 20)); f.flush()\n    except OSError as e: print(e)",
        "python",
    ),
    "one line of 50 MB": ("print('z' * 50_000_000)", "python"),
    "endless output of a child": ("yes", "bash"),
    "closing every descriptor": ("import os\nos.closerange(0, 1024)\nimport time; time.sleep(0.05)", "python"),
    "closing stdout and stderr": ("import os\nos.close(1); os.close(2)", "python"),
    "closing the stream objects": ("import sys\nsys.stdout.close(); sys.stderr.close()", "python"),
    "leaving without a word": ("import os; os._exit(0)", "python"),
    "a segmentation fault": ("import ctypes; ctypes.string_at(0)", "python"),
    "an abort": ("import os; os.abort()", "python"),
    "killing everything": ("kill -9 -1", "bash"),
    "killing PID 1": ("import os, signal\nfor s in (9, 15, 2, 19, 11): os.kill(1, s)", "python"),
    "stopping itself": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "python"),
    "a double fork": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n"
        "    os._exit(0)\nos.wait(); None",
        "python",
    ),
    "children that are never waited for": (
        "import os\nfor _ in range(100):\n    if os.fork() == 0: os._exit(0)",
        "python",
    ),
    "a child that falls out of the code": ("import os\nos.fork()\nprint('twice')", "python"),
    "recursion without end": ("import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()", "python"),
    "breaking what the interpreter is made of": (
        "import os, socket, struct, signal, sys\nfor m in (os, socket, struct, signal):\n"
        "    for n in list(vars(m)):\n        try: setattr(m, n, None)\n        except Exception: pass",
        "python",
    ),
    "locking the workspace": ("import os; os.chmod('/workspace', 0)", "python"),
    "leaving for another folder that is then gone": ("mkdir x", "sh"),
    "a thread that does not end": (
        "import threading\ndef f():\n    while True: pass\nthreading.Thread(target=f).start()",
        "python",
    ),
    "a tracer on PID 1": (
        "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nassert l.ptrace(16, 1, 0, 0) == -1",
        "python",
    ),
    "a bad repr": ("class C:\n    def __repr__(self): raise SystemExit(9)\nC()", "python"),
}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_the_next_block_runs_after(box: Box, program: str) -> None:
    code, language = PROGRAMS[program]
    await box.put("input.csv", b"1,2\n")
    await box.run(code, language, timeout_seconds=1)
    after = await box.run("open('/workspace/input.csv').read()", timeout_seconds=10)
    assert after.value == "'1,2\\n'", after
    shell = await box.run("echo $((40 + 2))", "sh", timeout_seconds=10)
    assert (shell.stdout, shell.exit_code) == ("42\n", 0)


async def test_results_forged_on_the_channel_change_neither_the_next_block_nor_its_fate(box: Box) -> None:
    """The code finds every socket of its process and floods it with answers of the right shape."""
    code = """
import os, socket, stat, struct, sys
forged = struct.Struct(">16siBB")
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            s = socket.socket(fileno=os.dup(fd))
            for _ in range(20): s.send(forged.pack(os.urandom(16), 0, 1, 0) + b"'forged'")
            s.send(b"ready"); s.send(b"[" * 60000); s.send(b"x")
    except OSError: pass
sys.exit(5)
"""
    done = await box.run(code)
    assert (done.exit_code, done.value) == (5, None)
    after = await box.run("'true'")
    assert (after.value, after.exit_code, after.state_lost) == ("'true'", 0, False)


async def test_a_forked_child_cannot_end_the_block_of_its_parent(box: Box) -> None:
    done = await box.run("import os, time\npid = os.fork()\nif pid: time.sleep(0.1)\n'parent' if pid else 'child'")
    assert done.value == "'parent'"


FORBIDDEN = [
    "open('/etc/moot', 'w')",
    "open('/root/x', 'w')",
    "open('/proc/sys/kernel/hostname', 'w').write('x')",
    "open('/proc/sysrq-trigger', 'w').write('x')",
    "open('/proc/1/mem', 'rb')",
    "open('/proc/1/environ', 'rb').read()",
    "import os; os.listdir('/proc/1/fd')",
    "import os; os.setuid(0)",
    "import os; os.chroot('/tmp')",
    "import os, stat; os.mknod('/workspace/dev', stat.S_IFBLK | 0o600, os.makedev(8, 0))",
    "import time; time.clock_settime(time.CLOCK_REALTIME, 0)",
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)",
    "import socket; socket.create_connection(('169.254.169.254', 80), 3)",
    "import socket; socket.create_connection(('1.1.1.1', 53), 3)",
    "import socket; socket.getaddrinfo('example.org', 80)",
    "import socket; socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
    "import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\nif l.unshare(0x10000000): raise OSError(1, 'unshare')",
    "import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\nif l.mount(b'x', b'/tmp', b'tmpfs', 0, 0): "
    "raise OSError(1, 'mount')",
]


async def test_what_needs_a_privilege_or_a_way_out_fails_with_an_error(box: Box) -> None:
    errors = ("PermissionError", "OSError", "gaierror", "FileNotFoundError", "TimeoutError")
    done: dict[str, Execution] = {code: await box.run(code, timeout_seconds=10) for code in FORBIDDEN}
    assert {
        code: each.stderr
        for code, each in done.items()
        if each.exit_code != 1 or not any(e in each.stderr for e in errors)
    } == {}
