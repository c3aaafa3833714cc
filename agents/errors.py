"""What can go wrong with models, sorted by who must act.

The tree:

    ModelError            a model cannot be used: its name, its key, its package
    ├── PlaybookError     a playbook file is not what the format asks for (the author of that file)
    ├── TapeError         a tape cannot be read or written, or has no reply to what is asked (who recorded it)
    └── ModelFault        a model was asked and did not answer as it should; asked again it may
        └── ModelRefused  and it would not the next time either (who chose the model, its address or its key)
            └── UnusableReply  it was told what was wrong with its reply and did not mend it
"""

from __future__ import annotations


class ModelError(Exception):
    """A model cannot be used. The message says which, why and what to do; it never holds a key."""


class PlaybookError(ModelError):
    """A playbook file does not follow the format. The message names file, line, column and part."""


class TapeError(ModelError):
    """A tape cannot be read or written, or a request is not on it. A miss shows in what the request differs."""


class ModelFault(ModelError):
    """A model was asked and did not answer as it should. The same request may be answered another time.

    `elsewhere`: no such model was found there, so another name or address may be meant. `status_code` is that of HTTP,
    where there was one. `billed`: it was at work on a reply, which may have to be paid though it is of no use.
    """

    def __init__(
        self, words: str, *, elsewhere: bool = False, status_code: int | None = None, billed: bool = False
    ) -> None:
        super().__init__(words)
        self.elsewhere, self.status_code, self.billed = elsewhere, status_code, billed


class ModelRefused(ModelFault):
    """A request that will not be answered, however often it is made: somebody has to put something right first."""


class UnusableReply(ModelRefused):
    """A model did not keep to the form of its replies, or to its tools, though it was told what was wrong."""
