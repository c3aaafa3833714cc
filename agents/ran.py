"""One block of code as the journal keeps it: the execution with its files named by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from moot.agents.report import BlockReport

if TYPE_CHECKING:
    from moot.sandbox.execution import Execution


class StoredFile(BaseModel):
    """A file by content: its name in the workspace, its size in bytes and its sha256 in hex."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    sha256: str


class RanBlock(BaseModel):
    """What became of one block. `exit_code` is -1 where it never ran; `skipped` says why."""

    model_config = ConfigDict(frozen=True)

    language: str
    exit_code: int
    seconds: float = 0.0
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    timed_out: bool = False
    oom: bool = False
    state_lost: bool = False
    truncated: bool = False
    skipped: str | None = None
    files: tuple[StoredFile, ...] = ()
    not_kept: tuple[str, ...] = ()

    @classmethod
    def of(cls, language: str, done: Execution, files: tuple[StoredFile, ...], lost: bool) -> Self:
        """From the sandbox's result. `lost`: the interpreter is new although blocks ran before."""
        return cls(
            language=language,
            exit_code=done.exit_code if done.skipped is None else -1,
            seconds=round(done.seconds, 6),
            stdout=done.stdout,
            stderr=done.stderr,
            value=done.value,
            timed_out=done.timed_out,
            oom=done.oom,
            state_lost=done.state_lost or lost,
            truncated=done.truncated,
            skipped=done.skipped,
            files=files,
            not_kept=tuple(f"{f.name} ({f.size} bytes): {f.why}" for f in done.not_kept),
        )

    @classmethod
    def read(cls, result: object) -> Self:
        """From the journal."""
        return result if isinstance(result, cls) else cls.model_validate(result)

    def report(self, characters: int) -> BlockReport:
        """As the chat is told it: of a stream longer than `characters`, its beginning and its end."""
        out, err = _clip(self.stdout, characters), _clip(self.stderr, characters)
        return BlockReport(
            language=self.language,
            exit_code=self.exit_code,
            seconds=self.seconds,
            stdout=out,
            stderr=err,
            value=self.value,
            files=tuple((f.name, f.size) for f in self.files),
            timed_out=self.timed_out,
            oom=self.oom,
            state_lost=self.state_lost,
            truncated=self.truncated or out != self.stdout or err != self.stderr,
            skipped=self.skipped,
            not_kept=self.not_kept,
        )

    def facts(self, key: str) -> dict[str, object]:
        """What `code.finished` says: everything but the output, which stands in the effect's result."""
        return {"key": key, **self.model_dump(exclude={"stdout", "stderr", "value"})}


def _clip(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    head = characters * 3 // 4
    left_out = len(text) - characters
    return f"{text[:head]}\n... {left_out} characters left out ...\n{text[-(characters - head) :]}"
