"""Which words may come next on the command line. The verbs and options are those that help shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from moot.cli.completable import FILE, FOLDER

Command = TyperCommand | TyperGroup


class Word(NamedTuple):
    """One suggestion and what it is. A `file` is completed on: no blank comes after a folder."""

    text: str
    about: str = ""
    file: bool = False


@dataclass
class _Line:
    """How far a command line has come."""

    command: Command
    pending: TyperOption | None = None
    """An option whose value comes next."""
    arguments: list[str] = field(default_factory=list)
    only_arguments: bool = False

    def take(self, word: str) -> None:
        """Read one complete word, as the parser will; what it would refuse is passed over."""
        if self.pending is not None:
            self.pending = None
        elif word == "--" and not self.only_arguments:
            self.only_arguments = True
        elif word.startswith("-") and word != "-" and not self.only_arguments:
            option = self._option(word)
            self.pending = option if option is not None and not option.is_flag and "=" not in word else None
        elif (inner := _commands(self.command).get(word)) is not None:
            self.command = inner
        else:
            self.arguments.append(word)

    def suggest(self, incomplete: str) -> Iterator[Word]:
        """What the word that begins like this may become."""
        if self.pending is not None:
            yield from self._values(self.pending, incomplete)
        elif incomplete.startswith("-") and not self.only_arguments:
            name, equals, value = incomplete.partition("=")
            option = self._option(name)
            if equals and option is not None:
                yield from (word._replace(text=f"{name}={word.text}") for word in self._values(option, value))
            elif not equals:
                yield from self._options(incomplete)
        elif inner := _commands(self.command):
            for name, command in inner.items() if not self.arguments else ():  # what comes after no verb is not known
                if name.startswith(incomplete) and not command.hidden:
                    yield Word(name, command.get_short_help_str(80))
        elif (argument := self._argument()) is not None:
            yield from self._values(argument, incomplete)

    def _option(self, word: str) -> TyperOption | None:
        name = word.partition("=")[0]
        return next((option for option in self._known() if name in (*option.opts, *option.secondary_opts)), None)

    def _known(self) -> list[TyperOption]:
        return [each for each in self.command.params if isinstance(each, TyperOption) and not each.hidden]

    def _options(self, incomplete: str) -> Iterator[Word]:
        """By their long names."""
        known = [(name, each.help or "") for each in self._known() for name in (*each.opts, *each.secondary_opts)]
        for name, about in [*known, ("--help", "Show this message and exit.")]:
            if name.startswith(incomplete) and name.startswith("--"):
                yield Word(name, about)

    def _argument(self) -> TyperArgument | None:
        """The argument that stands at this place; the last may take any number."""
        places = [each for each in self.command.params if isinstance(each, TyperArgument)]
        if len(self.arguments) < len(places):
            return places[len(self.arguments)]
        return places[-1] if places and places[-1].nargs == -1 else None

    def _values(self, of: TyperOption | TyperArgument, incomplete: str) -> Iterator[Word]:
        context = typer.Context(self.command, resilient_parsing=True)  # parsing would import half of pydantic
        context.params = {"given": self.arguments}
        for item in of.shell_complete(context, incomplete):
            if item.type == "plain":  # for files and folders the shell itself is asked
                yield Word(item.value, item.help or "", item.help in {FILE, FOLDER})


def suggestions(command: Command, words: Sequence[str]) -> list[Word]:
    """What the last of the words may become, those before it being complete; nothing where only a file can come."""
    line = _Line(command)
    *complete, incomplete = words or [""]
    for word in complete:
        line.take(word)
    return list(line.suggest(incomplete))


def _commands(command: Command) -> dict[str, Command]:
    """The verbs beneath a group."""
    inner = command.commands if isinstance(command, TyperGroup) else {}
    return {name: each for name, each in inner.items() if isinstance(each, TyperCommand | TyperGroup)}
