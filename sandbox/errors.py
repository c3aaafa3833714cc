"""What can go wrong with a sandbox, as opposed to what can go wrong in the program it runs.

    SandboxError                 caught by whoever wants to say "no sandbox"
    ├── EngineUnavailable        no Docker engine answers
    ├── ImageMissing             the engine answers and does not have the image
    ├── ImageUnusable            the image is there and cannot carry the sandbox (no python, or too old)
    ├── RuntimeMissing           the engine does not know the runtime asked for
    ├── SandboxGone              the container ended or stopped answering while it was needed
    ├── ProtocolViolation        the container said something that our program in it never says
    ├── InputTooLarge            a file that cannot fit the workspace, refused before anything is sent
    ├── WorkspaceFull            the container reports that the workspace has no room left
    └── FileRefused              a file that is missing, not a regular file, or outside the workspace

A failing program is never one of these: it is an `Execution` with its exit code, output and flags.
Every message is one line: what happened, to which thing, and what to do about it.
"""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox could not do its part. The message is one line and says what to do."""


class EngineUnavailable(SandboxError):
    """No Docker engine answers at the address in use."""


class ImageMissing(SandboxError):
    """The engine does not have the image."""


class ImageUnusable(SandboxError):
    """The image has no `python3` of at least 3.9, or cannot be started."""


class RuntimeMissing(SandboxError):
    """The engine does not know the container runtime that was asked for."""


class SandboxGone(SandboxError):
    """The container ended, or stopped answering. Open a new sandbox: variables and files of this one are lost."""


class ProtocolViolation(SandboxError):
    """Something came out of the container that our program in it never sends. The container has been removed."""


class InputTooLarge(SandboxError):
    """A file is larger than the workspace; nothing was sent."""


class WorkspaceFull(SandboxError):
    """The workspace has no room (bytes or number of files) for the file being put in."""


class FileRefused(SandboxError):
    """A file name that leads nowhere, to no regular file, or out of the workspace."""
