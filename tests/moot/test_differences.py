"""What changed between two texts is told in a few lines that can be read."""

import pytest

from moot.cli.differences import LINE_CHARACTERS, MOST_LINES, difference

LINES = [f"line {n}" for n in range(10)]


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("trial for two quarters", "trial for three quarters", ["trial for [-two-]{+three+} quarters"]),
        ("", "all new", ["{+all new+}"]),
        ("gone", "", ["[-gone-]"]),
        ("one, two", "one: two", ["one[-,-]{+:+} two"]),
        ("a\nb", "a\nc", ["a", "[-b-]{+c+}"]),
        ("\x1b[31mred\x1b[0m alert", "\x1b]0;title\x07blue alert", ["[-red-]{+blue+} alert"]),
        ("same", "sa\u200bme", ["(they differ where nothing is seen, or far behind)"]),
    ],
)
def test_short_texts_are_compared_by_words(a: str, b: str, said: list[str]) -> None:
    assert difference(a, b) == said


def test_what_both_have_is_shortened() -> None:
    words = " ".join(f"word{n}" for n in range(100))
    (line,) = difference(f"{words} old", f"{words} new")
    assert line.startswith("word0 word1 ")
    assert line.endswith("word99 [-old-]{+new+}")
    assert " … " in line
    assert len(line) < LINE_CHARACTERS


def test_long_texts_are_compared_by_lines() -> None:
    changed = [*LINES[:4], "another", *LINES[5:], "one more"]
    assert difference("\n".join(LINES), "\n".join(changed)) == [
        "  line 3", "- line 4", "+ another", "  line 9", "+ one more",
    ]  # fmt: skip


def test_however_long_and_different_they_are_little_is_shown() -> None:
    for a, b in (
        ("\n".join(f"a{n}" * 99 for n in range(3000)), "\n".join(f"b{n}" * 99 for n in range(3000))),
        ("a" * 10**6, "b" * 10**6),
        (" ".join(f"a{n}" for n in range(9000)), " ".join(f"b{n % 7}" for n in range(9000))),
        ("x\n" * 4000, "x\n" * 3999 + "y"),
    ):
        shown = difference(a, b)
        assert 0 < len(shown) <= MOST_LINES + 1
        assert max(map(len, shown)) <= LINE_CHARACTERS
