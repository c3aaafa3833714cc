"""Fenced blocks of code in a message."""

import pytest

from moot.agents.blocks import Block, find_blocks


def codes(text: str) -> list[tuple[str, str]]:
    return [(b.language, b.code) for b in find_blocks(text).blocks]


@pytest.mark.parametrize(
    ("label", "language"),
    [
        ("python", "python"),
        ("Python", "python"),
        ("py", "python"),
        ("python3", "python"),
        ("bash", "bash"),
        ("shell", "bash"),
        ("sh", "sh"),
    ],
)
def test_a_label_names_a_language(label: str, language: str) -> None:
    assert codes(f"```{label}\nx = 1\n```") == [(language, "x = 1\n")]


def test_blocks_come_in_order_with_words_between() -> None:
    text = "First:\n```python\na = 1\n```\nthen\n~~~bash\nls\n~~~\nend"
    assert find_blocks(text).blocks == (Block("python", "a = 1\n"), Block("bash", "ls\n"))


def test_a_block_without_a_language_is_python_where_it_parses_as_python() -> None:
    assert codes("```\nprint(1)\n```") == [("python", "print(1)\n")]
    assert codes("```\nnot python at all\n```") == []


def test_a_longer_fence_may_hold_a_shorter_one() -> None:
    assert codes('````python\ns = """\n```\n"""\n````') == [("python", 's = """\n```\n"""\n')]


def test_words_behind_the_language_are_no_code() -> None:
    assert codes("```python title=x.py\na = 1\n```") == [("python", "a = 1\n")]


def test_windows_line_ends_are_no_obstacle() -> None:
    assert [language for language, _ in codes("```python\r\na = 1\r\n```\r\n")] == ["python"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", "an empty message"),
        ("   \n", "an empty message"),
        ("just words", "10 characters of prose without a fence"),
        ("```python\nprint(1)\n", "a fence that is never closed"),
        ("```json\n{}\n```", "a block labelled 'json'"),
        ("```python\n\n```", "an empty block"),
        ("```\nnot python at all\n```", "a block without a language that is no Python"),
        ("```json\n{}\n```\n```rust\nfn\n```", "a block labelled 'json', a block labelled 'rust'"),
    ],
)
def test_where_there_is_nothing_to_run_it_is_told_what_was_seen(text: str, seen: str) -> None:
    found = find_blocks(text)
    assert found.blocks == ()
    assert found.seen == seen


def test_five_megabytes_of_unclosed_fences_are_read_at_once() -> None:
    text = "```\n" + "a ` b ~ c\n" * 500_000
    assert find_blocks(text).seen == "a fence that is never closed"
