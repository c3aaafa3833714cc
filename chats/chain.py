"""The rolling digest of a run's rows: each row's takes in the one before it, so that whatever is changed, removed,
added or put elsewhere afterwards gives another last digest.

It finds damage, mistakes and edits by hand. It is no signature: whoever rewrites the rows can also write a new digest.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

Row = tuple[int, float, int, int, str, str, str, str]
"""One event as a store keeps it: seq, ts, turn, attempt, type, participant, span, and its data as JSON."""
EMPTY = b""
"""Of a journal without a row."""


def chained(chain: bytes, rows: Iterable[Row]) -> bytes:
    """The digest after these rows, in their order, from the one before them: 16 bytes, or what was given for no row."""
    for seq, ts, turn, attempt, kind, participant, span, data in rows:
        # the lengths keep what stands at the end of one text from counting as the beginning of the next
        numbers = f"{seq} {ts!r} {turn} {attempt} {len(kind)} {len(participant)} {len(span)} "
        row = f"{numbers}{kind}{participant}{span}{data}".encode("utf-8", "surrogatepass")
        chain = blake2b(chain + row, digest_size=16).digest()
    return chain
