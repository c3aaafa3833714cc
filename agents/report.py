"""How a turn of the executor is told: to the models as text, and back from that text to values.

Every piece of output stands under a header with its length in characters, so that a program that prints
`exit code: 0`, or a whole report, can forge neither a section nor a result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class BlockReport:
    """What became of one block of code. `exit_code` is -1 where the block never ran (`skipped` says why)."""

    language: str
    exit_code: int
    seconds: float = 0.0
    """How long it ran; told to three decimals."""
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    """The value of the block's last expression, as text."""
    files: tuple[tuple[str, int], ...] = ()
    """Files the block left as artifacts: name and size in bytes."""
    timed_out: bool = False
    oom: bool = False
    state_lost: bool = False
    truncated: bool = False
    skipped: str | None = None
    """Why it never ran, such as `no sandbox` or `no sandbox: the engine does not answer`; one line."""
    not_kept: tuple[str, ...] = ()
    """Files that were not kept: the name and why, one line each."""
    edited_by: str = ""
    """Who edited it before it ran; `changes` says what, as a unified diff."""
    changes: str = ""
    answer: str | None = None
    """What a person answered instead of letting it run."""

    @property
    def failed(self) -> bool:
        """Whether it ended with anything but success."""
        return self.exit_code != 0

    @property
    def error(self) -> str:
        """In one line, what went wrong; empty where nothing did."""
        if not self.failed:
            return ""
        if self.skipped is not None:
            return f"not run ({self.skipped})"
        if self.oom:
            return "out of memory"
        if self.timed_out:
            return f"stopped after {self.seconds:.3g} s"
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.exit_code}, and nothing on stderr"


_OOM = "out of memory: the program was killed; output so far:"
_STATE_LOST = "variables of earlier blocks are lost, files are kept"
_TRUNCATED = "the output was longer than what is kept; part of it is missing"
_NOTHING = "nothing was printed"


def render(blocks: Sequence[BlockReport]) -> str:
    """The report of one turn. Its first line is the exit code of the last block, which is the report's."""
    if not blocks:
        raise ValueError("a report needs at least one block")
    lines = [f"exit code: {blocks[-1].exit_code}"]
    for number, block in enumerate(blocks, start=1):
        lines.append(
            f"block {number} of {len(blocks)}: {json.dumps(block.language)[1:-1]}, "
            f"exit code {block.exit_code}, {block.seconds:.3f} s"
        )
        lines.extend(_notes(block))
        sections = [
            ("changes", block.changes or None), ("answer", block.answer), ("stdout", block.stdout or None),
            ("stderr", block.stderr or None), ("value", block.value),
        ]  # fmt: skip
        lines.extend(f"{name} ({len(text)} characters):\n{text}" for name, text in sections if text is not None)
        if block.skipped is None and not (block.stdout or block.stderr or block.value is not None):
            lines.append(_NOTHING)
        lines.extend(f"file {json.dumps(name, ensure_ascii=False)}: {size} bytes" for name, size in block.files)
        lines.extend(f"not kept: {_line(text)}" for text in block.not_kept)
    return "\n".join(lines)


def parse(text: str) -> tuple[BlockReport, ...] | None:
    """The blocks of a report that `render` wrote; None where the text is anything else."""
    head = _HEAD.match(text)
    if head is None:
        return None
    reader = _Reader(text, head.end())
    blocks: list[BlockReport] = []
    count = 1
    while len(blocks) < count:
        header = reader.take(_BLOCK)
        if header is None or int(header["number"]) != len(blocks) + 1:
            return None
        count = int(header["count"])
        block = _read_block(reader, header)
        if block is None:
            return None
        blocks.append(block)
    if text[reader.at :].strip("\n") or blocks[-1].exit_code != int(head["code"]):
        return None
    return tuple(blocks)


def settled(text: str) -> str:
    """A report without what differs from run to run although nothing did: how long a block took, and addresses in
    memory. Any other text as it is.
    """
    blocks = parse(text)
    return text if blocks is None else render([_quiet(block) for block in blocks])


def _quiet(block: BlockReport) -> BlockReport:
    out, err = (_ADDRESS.sub(" at 0x", text) for text in (block.stdout, block.stderr))
    value = None if block.value is None else _ADDRESS.sub(" at 0x", block.value)
    return replace(block, seconds=0.0, stdout=out, stderr=err, value=value)


def _notes(block: BlockReport) -> list[str]:
    """The plain words under a block's header."""
    notes: list[str] = []
    if block.skipped is not None:
        kind, _, detail = _line(block.skipped).partition(": ")
        notes.append(f"SKIPPED ({kind}): {detail}" if detail else f"SKIPPED ({kind})")
    if block.edited_by:
        notes.append(f"EDITED by {_line(block.edited_by)} before it ran")
    if block.timed_out:
        notes.append(f"stopped after {block.seconds:.3f} s; output so far:")
    if block.oom:
        notes.append(_OOM)
    if block.state_lost:
        notes.append(_STATE_LOST)
    if block.truncated:
        notes.append(_TRUNCATED)
    return notes


def _line(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


_ADDRESS = re.compile(r" at 0x[0-9a-f]+\b", re.IGNORECASE)
_END = r"(?:\n|\Z)"
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_CODE = r"-?\d{1,12}"  # no program ends with more, and Python reads no number of thousands of digits
_HEAD = re.compile(rf"exit code: (?P<code>{_CODE}){_END}")
_BLOCK = re.compile(
    rf"block (?P<number>\d{{1,6}}) of (?P<count>\d{{1,6}}): (?P<language>[^\n]*), exit code (?P<code>{_CODE}), "
    rf"(?P<seconds>\d+\.\d+) s{_END}"
)
_SKIPPED = re.compile(rf"SKIPPED \((?P<kind>.*?)\)(?:: (?P<detail>[^\n]+))?{_END}")
_EDITED = re.compile(rf"EDITED by (?P<by>[^\n]*) before it ran{_END}")
_TIMED_OUT = re.compile(rf"stopped after \d+\.\d+ s; output so far:{_END}")
_SECTION = re.compile(r"(?P<name>changes|answer|stdout|stderr|value) \((?P<length>\d{1,12}) characters\):\n")
_FILE = re.compile(rf"file (?P<name>{_STRING}): (?P<size>\d+) bytes{_END}")
_NOT_KEPT = re.compile(rf"not kept: (?P<text>[^\n]*){_END}")


@dataclass(slots=True)
class _Reader:
    """A place in the text that moves on with everything taken."""

    text: str
    at: int

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What stands here, if it has the pattern's form."""
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def has(self, line: str) -> bool:
        """Whether this line stands here."""
        return self.take(re.compile(re.escape(line) + _END)) is not None

    def section(self, name: str) -> str | None:
        """The counted text of that section; None where the section is not here or is cut short."""
        before = self.at
        head = self.take(_SECTION)
        if head is None or head["name"] != name:
            self.at = before
            return None
        end = self.at + int(head["length"])
        if end > len(self.text) or self.text[end : end + 1] not in ("", "\n"):
            self.at = before
            return None
        body, self.at = self.text[self.at : end], min(end + 1, len(self.text))
        return body


def _read_block(reader: _Reader, header: re.Match[str]) -> BlockReport | None:
    """One block, its header already taken; None where a file name or the language is not readable."""
    skipped = reader.take(_SKIPPED)
    edited, timed_out = reader.take(_EDITED), reader.take(_TIMED_OUT) is not None
    oom, state_lost, truncated = reader.has(_OOM), reader.has(_STATE_LOST), reader.has(_TRUNCATED)
    changes, answer = reader.section("changes"), reader.section("answer")
    stdout, stderr, value = reader.section("stdout"), reader.section("stderr"), reader.section("value")
    reader.has(_NOTHING)
    files: list[tuple[str, int]] = []
    not_kept: list[str] = []
    try:
        language = str(json.loads(f'"{header["language"]}"'))
        while found := reader.take(_FILE):
            files.append((str(json.loads(found["name"])), int(found["size"])))
    except ValueError:
        return None
    while found := reader.take(_NOT_KEPT):
        not_kept.append(found["text"])
    return BlockReport(
        language=language,
        exit_code=int(header["code"]),
        seconds=float(header["seconds"]),
        stdout=stdout or "",
        stderr=stderr or "",
        value=value,
        files=tuple(files),
        timed_out=timed_out,
        oom=oom,
        state_lost=state_lost,
        truncated=truncated,
        skipped=": ".join(part for part in skipped.groups() if part) if skipped else None,
        not_kept=tuple(not_kept),
        edited_by=edited["by"] if edited else "",
        changes=changes or "",
        answer=answer,
    )
