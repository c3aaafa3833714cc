"""Sizes as people write them (`256m`) and as the kernel wants them (bytes)."""

from __future__ import annotations

import re

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SHOWN = ("KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"(\d+)\s*([bkmg]?)(?:i?b)?", re.IGNORECASE)


def parse_size(text: str, *, what: str) -> int:
    """Bytes of a size such as `64k`, `256m` or `1g` (powers of 1024). `what` names the setting in the ValueError."""
    found = _SIZE.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"{what}={text!r} is not a size; write a whole number and a unit, such as 512m or 1g")
    size = int(found[1]) * _UNITS[found[2].lower()]
    if size == 0:
        raise ValueError(f"{what}={text!r} must be more than nothing; write a size such as 512m or 1g")
    return size


def show_size(size: int) -> str:
    """A size for people: `823 B`, `12.0 KiB`, `300.0 MiB`."""
    if size < 1 << 10:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_SHOWN))
    return f"{size / (1 << 10 * power):.1f} {_SHOWN[power - 1]}"
