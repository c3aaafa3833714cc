"""Fenced blocks of code in a message."""

import pytest

from moot.agents.blocks import Block, find_blocks
from moot.agents.fences import NEVER_CLOSED, fences


def codes(text: str) -> list[tuple[str, str]]:
    return [(b.language, b.code) for b in find_blocks(text).blocks]


@pytest.mark.parametrize(
    ("label", "language"),
    [
        ("python", "python"),
        ("Python", "python"),
        ("py", "python"),
        ("python3", "python"),
        ("ipython", "python"),
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
        ("```json\n{}\n```\n" * 9, "a block labelled 'json'"),
        (
            "".join(f"```x{n}\n1\n```\n" for n in range(7)),
            ", ".join(f"a block labelled 'x{n}'" for n in range(5)) + ", and 2 more kinds",
        ),
        ("> ```python\n> x = 1\n> ```", "a fence in a quotation"),
        ("- > ```python\n  > x = 1\n  > ```", "a fence in a quotation"),
        ("    ```python\n    x = 1\n    ```", "a fence indented so far that it is plain text"),
        ("```python x = 1 ```", "19 characters of prose without a fence"),
        ("```python\nx = 1\n``", "a fence that is never closed"),
        ("````python\nx = 1\n```", "a fence that is never closed"),
        ("```python\nx = 1\n~~~", "a fence that is never closed"),
        ("```python\nx = 1\n``` end", "a fence that is never closed"),
        ("```python\nx = 1\n    ```", "a fence that is never closed"),
        ("```\n" + "-" * 100_000 + "1\n```", "a block without a language that is no Python"),
    ],
)
def test_where_there_is_nothing_to_run_it_is_told_what_was_seen(text: str, seen: str) -> None:
    found = find_blocks(text)
    assert found.blocks == ()
    assert found.seen == seen


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\nx = 1\n`````", "x = 1\n"),
        ("```python\nx = 1\n```  \t", "x = 1\n"),
        ("~~~ python ``` ~~~\nx = 1\n~~~", "x = 1\n"),
        ("```python\nx = 1\n   ```", "x = 1\n"),
        ("```python\n> x\n- y\n```", "> x\n- y\n"),
        ('```python\ns = """\n    ```\n> ```\n"""\n```', 's = """\n    ```\n> ```\n"""\n'),
        ("```python\n\n  x = 1\n\n```", "\n  x = 1\n\n"),
    ],
)
def test_a_block_ends_where_commonmark_ends_it(text: str, code: str) -> None:
    assert codes(text) == [("python", code)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("  ```python\n  if x:\n      y\n  ```", "if x:\n    y\n"),
        ("   ```python\nif x:\n  y\n   ```", "if x:\ny\n"),
        ("- ```python\n  if x:\n      y\n  ```", "if x:\n    y\n"),
        ("1. Run this:\n   ```python\n   if x:\n       y\n   ```\n2. Look.", "if x:\n    y\n"),
        ("1. Run this:\n\n    ```python\n    if x:\n        y\n    ```", "if x:\n    y\n"),
        ("10) a\n    - b\n\n      ~~~python\n      if x:\n          y\n      ~~~", "if x:\n    y\n"),
        ("1. a\n\t```python\n\tif x:\n\t\ty\n\t```", "if x:\n\ty\n"),
        ("- a\n\t```python\n\tif x:\n\t    y\n\t```", "if x:\n    y\n"),
        ("-\n  ```python\n  x\n  ```", "x\n"),
        ("- a\n\nwords\n```python\nx\n```", "x\n"),
        ("1. a\n   ```python\nx = 1\n   ```", "x = 1\n"),
        ("- ```python\n  x = 1\n```", "x = 1\n"),
    ],
)
def test_code_loses_the_indent_of_its_fence(text: str, code: str) -> None:
    assert codes(text) == [("python", code)]


def test_a_block_behind_a_quotation_is_run_and_the_quoted_one_is_not() -> None:
    text = "> ```python\n> x = 1\n> ```\n```python\ny = 2\n```"
    assert codes(text) == [("python", "y = 2\n")]
    assert codes("> ```python\n```python\ny = 2\n```") == [("python", "y = 2\n")]


def test_a_fence_says_where_it_stands() -> None:
    text = "a\r\n- ```py\r\n  x\r\n  ```\r\nb ~~~\n~~~sh\nls"
    found = list(fences(text))
    assert [text[f.start : f.end] for f in found] == ["- ```py\r\n  x\r\n  ```", "~~~sh\nls"]
    assert [(f.label, f.code, f.flaw) for f in found] == [("py", "x\n", ""), ("sh", "ls\n", NEVER_CLOSED)]


@pytest.mark.parametrize(
    "piece",
    [
        "```a\n", "```\n", "~~~~\n", "```\n~~~\n", "`", "~", "```a` ", "```" + "a" * 60 + " ", "- ", "1. ", "> ", " ",
        "\t", "\n", "- ```\n", "> ```\n", "    ```\n", "```python\n",
        "".join("`" * n + "\n" for n in range(99, 2, -1)), "".join(" " * n + "- a\n" for n in range(60)),
    ],
)  # fmt: skip
def test_megabytes_of_what_may_be_fences_are_read_in_one_pass(piece: str) -> None:
    """Anything but one pass would not come to an end here."""
    text = piece * (1_000_000 // len(piece))
    assert find_blocks(text).blocks == ()
    assert len(find_blocks(text + "\n\n").seen) < 500


def test_five_megabytes_of_unclosed_fences_are_read_at_once() -> None:
    text = "```\n" + "a ` b ~ c\n" * 500_000
    assert find_blocks(text).seen == "a fence that is never closed"
