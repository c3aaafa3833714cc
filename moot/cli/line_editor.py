"""Lines with a cursor in them, of any number of rows: for terminals that can move it."""

from __future__ import annotations

import sys
from os import environ, get_terminal_size

from prompt_toolkit import PromptSession
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_input
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output.vt100 import Vt100_Output

from moot.chats.clean import clean
from moot.cli.lines import Left, Typed
from moot.cli.terminal import Quiet, typed_ahead


class LineEditor:
    """A `Lines`. It draws on stderr: stdout may lead elsewhere."""

    keeps = True
    hint = "Enter sends it, Alt-Enter begins a new line, Ctrl-X Ctrl-E opens an editor, Ctrl-D leaves it for later"

    def __init__(self) -> None:
        self._input = create_input(sys.stdin)
        # a terminal that does not say where its cursor is would be waited for, and complained about
        output = Vt100_Output(sys.stderr, _size, term=environ.get("TERM"), enable_cpr=False)
        self._session: PromptSession[str | Typed] = PromptSession(
            input=self._input, output=output, key_bindings=_bindings(), enable_suspend=True
        )
        self._quiet = Quiet(sys.stdin)

    def open(self) -> None:
        """Keys between two lines are not echoed: the next line shows them."""
        self._quiet.begin()

    def close(self) -> None:
        """Give the terminal back."""
        self._quiet.end()

    def ahead(self) -> str:
        """What the last line left over, and what the terminal holds."""
        left = "".join(key.data for key in get_typeahead(self._input))
        return clean(left + typed_ahead(sys.stdin)).strip()

    async def line(self, label: str, text: str = "") -> Typed:
        """Raises Left."""
        try:
            given = await self._session.prompt_async(
                label, default=text, handle_sigint=False, set_exception_handler=False
            )
        except (EOFError, KeyboardInterrupt):
            raise Left from None
        return given if isinstance(given, Typed) else Typed(given)


def _size() -> Size:
    columns, rows = get_terminal_size(sys.stderr.fileno())
    return Size(rows=rows or 24, columns=columns or 80)


def _bindings() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-x", "c-e")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(result=Typed(event.current_buffer.text, "editor"))

    @keys.add("c-o")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(result=Typed(event.current_buffer.text, "all"))

    return keys
