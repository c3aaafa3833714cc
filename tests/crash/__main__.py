"""Kill runs at every point and at random, and print what became of them: `scripts/crash`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.crash.ownership import situations
from tests.crash.points import points, seeds
from tests.crash.report import Report
from tests.crash.suite import Case, play


def main() -> int:
    """Exit code 0 where nothing was found."""
    options = _options()
    began = time.monotonic()
    cases: list[Case] = [*seeds(options.first, options.seeds)]
    if not options.no_points:
        cases = [*points(), *situations(), *cases]
    cases = [case for case in cases if options.only in f"{case.group}, {case.name}"]
    home = Path(options.keep or tempfile.mkdtemp(prefix="moot-crash-"))
    report = Report([case.group for case in cases])
    for result in play(cases, home, workers=2 * (os.cpu_count() or 1), keep=bool(options.keep)):
        report.add(result)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{report.progress}")
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if options.json:
        said = json.dumps([asdict(result) for result in report.results])
    else:
        said = report.text(time.monotonic() - began)
    sys.stdout.write(f"{said}\n")
    if not (report.failed or options.keep):
        shutil.rmtree(home)
    return 1 if report.failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="how many random seeds (200)")
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="SEED", help="the first of them (1)")
    parser.add_argument("--no-points", action="store_true", help="only the seeds")
    parser.add_argument("--only", default="", metavar="WORDS", help="only cases in whose name these stand")
    parser.add_argument("--keep", metavar="FOLDER", help="keep what every case leaves, in a new folder")
    parser.add_argument("--json", action="store_true", help="every result as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
