"""How long Moot takes to start, and how much it brings along: `.venv/bin/python benchmarks/size.py`.

Installs the project into empty environments, without and with its extra, and measures those.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNS = 15
STARTS = {
    "python -c pass": ["-c", "pass"],
    "import moot": ["-c", "import moot"],
    "moot --help": ["-m", "moot", "--help"],
    "moot --version": ["-m", "moot", "--version"],
    "import autogen_agentchat.teams": ["-c", "import autogen_agentchat.teams"],
}


def install(folder: Path, what: str) -> Path:
    """A new environment with the project and the locked versions of what it needs; returns its Python."""
    uv = Path(sys.executable).with_name("uv")
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, env=environment)
    python = folder / "bin" / "python"
    command: list[str | Path] = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, what]
    subprocess.run([*command, "--constraint", ROOT / "requirements.lock"], check=True, env=environment)
    return python


def measure(python: Path) -> tuple[int, float, float]:
    """Packages, megabytes of what they hold, and of those the compiled files."""
    packages = python.parent.parent / "lib"
    files = [file for file in packages.rglob("*") if file.is_file()]
    compiled = sum(file.stat().st_size for file in files if file.suffix == ".pyc")
    everything = sum(file.stat().st_size for file in files)
    return len(list(packages.rglob("*.dist-info"))), (everything - compiled) / 1e6, compiled / 1e6


def start(python: Path, arguments: list[str]) -> tuple[float, float]:
    """Median and least milliseconds of a whole process, after one that warms the disk."""
    taken = []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        subprocess.run([python, *arguments], check=True, cwd=python.parent, stdout=subprocess.DEVNULL)
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken[1:]), min(taken[1:])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="moot-size-") as folder:
        plain = install(Path(folder, "plain"), str(ROOT))
        extra = install(Path(folder, "openai"), f"{ROOT}[openai]")
        print(f"{'start':32} {'median ms':>10} {'least ms':>10}")
        for name, arguments in STARTS.items():
            print("{:32} {:10.0f} {:10.0f}".format(name, *start(plain, arguments)))
        print(f"\n{'installed':32} {'packages':>10} {'MB':>10} {'MB .pyc':>10}")
        for name, python in {"moot": plain, "moot[openai]": extra}.items():
            print("{:32} {:10} {:10.1f} {:10.1f}".format(name, *measure(python)))


if __name__ == "__main__":
    main()
