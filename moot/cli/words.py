"""Amounts as people read them: those of `moot.chats.words`, under the name they have on the command line."""

from moot.chats.words import age, count, dollars, few, money, seconds, size, spent, time_of, tokens

__all__ = ["age", "count", "dollars", "few", "money", "seconds", "size", "spent", "time_of", "tokens"]
