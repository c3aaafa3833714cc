"""What can go wrong with models, sorted by who must act.

The tree:

    ModelError            a model cannot be used: its name, its key, its package
    └── PlaybookError     a playbook file is not what the format asks for (the author of that file)
"""

from __future__ import annotations


class ModelError(Exception):
    """A model cannot be used. The message says which, why and what to do; it never holds a key."""


class PlaybookError(ModelError):
    """A playbook file does not follow the format. The message names file, line, column and part."""
