r"""Playbooks: what scripted participants say, as rules over what really happened.

```yaml
version: 1
name: research
task: 'Does (?P<x>.+) predict (?P<y>.+)\?'      # optional: the question it can play; its groups are names everywhere
texts: {program: "..."}                         # optional: pieces that several rules insert with {texts.program}
parts:
  coder:                                        # a participant's script
    - when: {turn: 1}                           # all conditions must hold; the first rule that applies speaks
      say: "I look at {x|json}."
    - say: "CANNOT: {last.error}"               # the last rule holds always, so a playbook never runs dry
  writer:
    - when: {tool: publish, tool_error: false}  # the last message is what this tool returned, and it did not fail
      say: "Published: {last.text}"
    - when: {said: {owner: '^APPROVED'}}
      call: [{tool: publish, with: {title: "{task|line}", tags: [news], copies: 2}}]      # one or several
    - say: "DRAFT: {x}"
  judge:
    - reply: {decision: adopt, confidence: 0.7, reasons: ["{said.writer|line}"]}          # a typed reply, as JSON
```

A rule whose text uses a captured name applies only where that name was captured: no text is ever half filled.
A rule says, replies or calls. One that calls does so once in a turn, so that no script calls for ever, and does not
apply where the model is asked for words alone. What a tool returned is `last.text` from the source `tool`; a tool that
the participant does not have is an error. In `with` and `reply` texts are templates, and all else stays as it is.

`{said.NAME}`, and `said: {NAME: pattern}` in `when`, are the last message of that participant, once it has spoken.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moot.agents.errors import PlaybookError
from moot.agents.playbook_answer import Calls, Rule
from moot.agents.playbook_file import PlaybookFile, PlaybookForm, RuleForm, nearest
from moot.agents.playbook_template import Template
from moot.agents.playbook_values import Values
from moot.agents.situation import Situation

FILE_NAME = "playbook.yaml"
"""What a playbook is called inside a folder that is named after it."""

_LAST = ("text", "source", "stdout", "stderr", "exit_code", "error", "value", "files")
ALWAYS_KNOWN = frozenset({"task", "turn", *(f"last.{name}" for name in _LAST)})
"""The names that every text may use."""
_INSERT = re.compile(r"\{texts\.(\w+)\}")
_SAID = re.compile(r"\{(said\.\w+)(?:\|\w+)?\}")
"""What somebody said last, by name; known once they have spoken."""

Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One participant's script."""

    name: str
    rules: tuple[Rule, ...]
    task: re.Pattern[str] | None = None

    def answer(self, now: Situation, *, may_call: bool = True) -> str | Calls:
        """What the first rule that applies says, or which tools it calls; the last always says something. Where no
        tool may be called the rules that call some do not apply.
        """
        found = self.task.search(now.task) if self.task else None
        groups = found.groupdict() if found else {}
        known = {name: text for name, text in groups.items() if text is not None}
        for index, rule in enumerate(self.rules):
            if rule.call and not may_call:
                continue
            answer = rule.answer(index, now, known)
            if answer is not None:
                return answer
        raise PlaybookError(f"part '{self.name}' has no rule that always holds")


@dataclass(frozen=True, slots=True)
class Playbook:
    """The scripts of a chat's participants, with the text they were read from, so that a run can carry them."""

    name: str
    parts: Mapping[str, Part]
    text: str
    """The whole file."""
    origin: str
    """Where it was read, for messages."""

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @classmethod
    def parse(cls, text: str, origin: str = "playbook") -> Playbook:
        """Read a playbook's text; `PlaybookError` names the place where it does not follow the format."""
        file = PlaybookFile(text, origin)
        form = file.form()
        parts: dict[str, Part] = {}
        for name, rules in form.parts.items():
            parts[name] = Part(name, tuple(_rules(file, form, name, rules)), form.task)
        return cls(form.name, parts, text, origin)

    def check_calls(self, part: str, offered: Collection[str], rules: Iterable[int] | None = None) -> None:
        """Raises PlaybookError, with its place, for a rule that calls a tool which is not offered to who plays the
        part. `rules` are those that are looked at, from 0; all unless given.
        """
        told = self.part(part).rules
        for index in range(len(told)) if rules is None else rules:
            for number, (tool, _) in enumerate(told[index].call):
                if tool not in offered:
                    has = f"it has: {', '.join(sorted(offered))}" if offered else "it has no tools"
                    message = f"the participant that plays '{part}' has no tool '{tool}'{nearest(tool, offered)}; {has}"
                    where = ("parts", part, index, "call", number, "tool")
                    raise PlaybookFile(self.text, self.origin).error(where, message)

    def part(self, name: str) -> Part:
        """One participant's script; `PlaybookError` where there is none of that name."""
        if name not in self.parts:
            raise PlaybookError(
                f"{self.origin}: playbook '{self.name}' has no part '{name}'{nearest(name, self.parts)}; "
                f"it has: {', '.join(self.parts)}. Name one with `part:`"
            )
        return self.parts[name]


def load_playbook(name: str, base: Path, *, search: Sequence[Path] = ()) -> Playbook:
    """The playbook of that file (relative to `base`, the chat file's folder) or of that name.

    A name (no folder, no ending) is looked for as NAME.yaml, as a playbook.yaml that says so itself, and as
    NAME/playbook.yaml, in `base`; then as NAME/playbook.yaml in the folders of `search`. What lies beside the chat file
    wins, so a copied template uses its own copy.
    """
    if "/" in name or Path(name).suffix:
        tried = [base / name]
    else:
        tried = [base / f"{name}.yaml", base / name / FILE_NAME, *(folder / name / FILE_NAME for folder in search)]
        if _is_named(base / FILE_NAME, name):
            tried.insert(1, base / FILE_NAME)
    for path in tried:
        if path.is_file():
            return Playbook.parse(_read(path), str(path))
    built_in = sorted({path.parent.name for folder in search for path in folder.glob(f"*/{FILE_NAME}")})
    known = f"; built in: {', '.join(built_in)}" if built_in else ""
    raise PlaybookError(f"no playbook '{name}': there is no file {tried[0]}{nearest(name, built_in)}{known}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlaybookError(f"cannot read playbook {path}: {error}") from error


def _is_named(path: Path, name: str) -> bool:
    """Whether the file is a playbook that gives itself this name."""
    return path.is_file() and re.search(rf"^name:\s*{re.escape(name)}\s*$", _read(path), re.MULTILINE) is not None


def _rules(file: PlaybookFile, form: PlaybookForm, part: str, rules: Sequence[RuleForm]) -> list[Rule]:
    """A part's rules, each checked."""
    task_names = frozenset(form.task.groupindex if form.task else ())
    out: list[Rule] = []
    for index, rule in enumerate(rules):
        where: Where = ("parts", part, index)
        names = task_names | rule.when.names
        if clash := sorted(names & ALWAYS_KNOWN):
            raise file.error((*where, "when"), f"a pattern may not capture '{clash[0]}', which has a meaning already")
        if loose := sorted({*rule.when.between, *rule.when.same, *rule.when.same.values()} - names):
            at = ("between", loose[0]) if loose[0] in rule.when.between else ("same", loose[0])
            raise file.error((*where, "when", *at), f"no pattern captures '{loose[0]}'")
        known = names | ALWAYS_KNOWN
        out.append(_rule(file, where, rule, partial(_template, form=form, known=known)))
    always = [not rule.when.model_fields_set and rule.used <= ALWAYS_KNOWN for rule in out]
    if not always or not always[-1] or out[-1].call:
        raise file.error(
            ("parts", part),
            f"part '{part}' could run dry: its last rule must hold always and call no tool "
            "(no `when`, and no captured name in `say`)",
        )
    if True in always[:-1]:
        raise file.error(("parts", part, always.index(True)), "this rule holds always, so no later one is reached")
    return out


def _rule(file: PlaybookFile, where: Where, rule: RuleForm, template: Callable[[str], Template]) -> Rule:
    """One rule, its texts made templates."""
    with _placed(file, (*where, "say")):
        say = None if rule.say is None else template(rule.say)
    with _placed(file, (*where, "reply")):
        typed = None if rule.reply is None else Values.of(rule.reply, template)
    calls = []
    for number, call in enumerate(rule.call or ()):
        with _placed(file, (*where, "call", number, "with")):
            calls.append((call.tool, Values.of(call.with_, template)))
    return Rule(rule.when, say, tuple(calls), typed)


@contextmanager
def _placed(file: PlaybookFile, where: Where) -> Iterator[None]:
    """A ValueError becomes an error that says where."""
    try:
        yield
    except ValueError as error:
        raise file.error(where, str(error)) from error


def _template(text: str, form: PlaybookForm, known: Collection[str]) -> Template:
    text = _inserted(text, form.texts)
    return Template.of(text, {*known, *_SAID.findall(text)})


def _inserted(say: str, texts: Mapping[str, str]) -> str:
    """The text with its pieces in place."""

    def piece(found: re.Match[str]) -> str:
        if found[1] not in texts:
            raise ValueError(f"there is no text '{found[1]}'{nearest(found[1], texts)}")
        return texts[found[1]].strip("\n")

    return _INSERT.sub(piece, say).strip("\n")
