"""The command line: `moot ...`."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import NoReturn


def main() -> NoReturn:
    """Do what the command line says and end the process with the exit code for it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # a terminal that knows no Unicode shows question marks
    if not sys.warnoptions and not os.environ.get("MOOT_DEBUG"):
        warnings.simplefilter(
            "ignore"
        )  # they are for those who write programs; who runs a chat can do nothing about them
    code = _answer()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is decided how this ends
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # its reader has gone: no complaint when the interpreter flushes again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(code)


def _verb() -> str:
    """The verb on the command line, as far as it can be told: some of typer's errors do not say."""
    import typer

    from moot.cli.app import app

    words, at = ["moot"], typer.main.get_command(app)
    for word in sys.argv[1:]:
        known = getattr(at, "commands", {})
        if word in known:
            words, at = [*words, word], known[word]
    return " ".join(words)


def _answer() -> int:
    import typer

    try:
        from moot.cli.app import app

        if sys.argv[1:2] == ["complete"]:  # at every Tab of a shell: half the time would go into reading the words
            from moot.cli.completion_verb import complete

            complete(sys.argv[2:])
            return 0
        done = app(prog_name="moot", standalone_mode=False)
    except typer.Exit as wanted:
        return int(wanted.exit_code)
    except BrokenPipeError:
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where everything ends as a line
        from moot.cli import failures
        from moot.cli.exit_codes import ExitCode

        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":  # the help was printed; typer gives the class no public name
            return ExitCode.USAGE
        if hasattr(error, "format_message"):
            return failures.usage(error, context.command_path if context is not None else _verb())
        return failures.report(KeyboardInterrupt() if isinstance(error, typer.Abort) else error)
    return int(done or 0)
