"""Texts of models, people and programs as HTML: what they say in Markdown is laid out, nothing in them is HTML."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markupsafe import Markup, escape

from moot.chats.clean import clean, clean_line

if TYPE_CHECKING:
    from markdown_it.token import Token
    from markdown_it.utils import OptionsDict

    Env = MutableMapping[str, object]

MOST_LAID_OUT = 100_000
"""Characters of a message that is read as Markdown; longer ones are shown as they are."""
MOST_COLORED = 12_000
"""Characters of a program in colours: the time that some take grows with their square."""
MOST_COLORED_IN_ALL = 500_000
"""Characters of all programs of a page in colours: they are what takes longest, and who reads that many?"""
MOST_SHOWN = 500_000
"""Characters of one text that are shown at all."""
_SAFE = re.compile(r"(?i)(https?://|mailto:)")
_LEXERS = {
    "bash": "BashLexer", "diff": "DiffLexer", "javascript": "JavascriptLexer", "js": "JavascriptLexer",
    "json": "JsonLexer", "py": "PythonLexer", "python": "PythonLexer", "python3": "PythonLexer", "r": "SLexer",
    "sh": "BashLexer", "shell": "BashLexer", "sql": "SqlLexer", "toml": "TOMLLexer", "yaml": "YamlLexer",
    "yml": "YamlLexer",
}  # fmt: skip
"""Languages by what they are called. No more than these: what is to be coloured was written by who knows whom, and
there are lexers that take minutes for a page of slashes.
"""


class Colors:
    """How many characters of programs may still be coloured, of one page."""

    def __init__(self) -> None:
        self._left = MOST_COLORED_IN_ALL

    def take(self, text: str) -> bool:
        """Whether this program is one of them."""
        if len(text) > min(MOST_COLORED, self._left):
            return False
        self._left -= len(text)
        return True


def prose(text: str, colors: Colors) -> Markup:
    """A message, its Markdown laid out. Links lead to web pages and addresses only, and pictures are links."""
    text, missing = _cut(clean(text))
    if len(text) > MOST_LAID_OUT:
        return Markup("<pre>{}</pre>{}").format(text, missing)
    return Markup(_MARKDOWN.render(text, {"colors": colors})) + missing  # noqa: S704 - HTML in it is text


def code(text: str, language: str, colors: Colors) -> Markup:
    """A program in colours, as a block."""
    text, missing = _cut(clean(text).strip("\n"))
    return Markup('<pre class="code"><code>{}</code></pre>{}').format(_colored(text, language, colors), missing)


def output(text: str) -> Markup:
    """What a program printed, as a block."""
    text, missing = _cut(clean(text).strip("\n"))
    return Markup("<pre>{}</pre>{}").format(text, missing)


def _cut(text: str) -> tuple[str, Markup]:
    if len(text) <= MOST_SHOWN:
        return text, Markup("")
    more = Markup('<p class="dim">… {} characters more: the export as jsonl has them all</p>')
    return text[:MOST_SHOWN], more.format(f"{len(text) - MOST_SHOWN:,}")


def _colored(text: str, language: str, colors: Colors) -> Markup:
    name = _LEXERS.get(language.strip().lower())
    if name is None or not colors.take(text):
        return escape(text)
    from pygments import highlight, lexers
    from pygments.formatters import HtmlFormatter

    lexer = getattr(lexers, name)(stripnl=False)  # it adds a line end; without one some look for it at every character
    colored: str = highlight(text, lexer, HtmlFormatter(nowrap=True))
    return Markup(colored.removesuffix("\n"))  # noqa: S704 - it escapes what it colours


class _Renderer(RendererHTML):
    """Headings below those of the page, code in colours, no pictures from elsewhere, no styles."""

    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        tokens[idx].tag = _lower(tokens[idx].tag)
        return self.renderToken(tokens, idx, options, env)

    heading_close = heading_open

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        tokens[idx].attrs = {"href": str(tokens[idx].attrGet("href") or ""), "rel": "noopener noreferrer nofollow"}
        return self.renderToken(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        words = self.renderInlineAsText(tokens[idx].children or [], options, env)
        address = str(tokens[idx].attrGet("src") or "")
        link = Markup('<a href="{}" rel="noopener noreferrer nofollow">picture: {}</a>')
        return str(link.format(address, clean_line(words) or clean_line(address)))

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return str(code(tokens[idx].content, tokens[idx].info.strip().partition(" ")[0], _colors(env)))

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        return str(code(tokens[idx].content, "", _colors(env)))

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Env) -> str:
        side = str(tokens[idx].attrGet("style") or "").rpartition(":")[2]
        tokens[idx].attrs = {"class": side} if side in {"left", "right", "center"} else {}
        return self.renderToken(tokens, idx, options, env)

    td_open = th_open


def _colors(env: Env) -> Colors:
    colors = env["colors"]
    assert isinstance(colors, Colors)
    return colors


def _lower(tag: str) -> str:
    """`h1` of a message stands below the heading of its turn."""
    return f"h{min(6, int(tag[1:]) + 3)}"


class _Markdown(MarkdownIt):
    """CommonMark with tables, in which only what can do no harm is a link."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer)
        self.enable(["table", "strikethrough"])

    def validateLink(self, url: str) -> bool:  # noqa: N802 - its name there
        return _SAFE.match(url.strip()) is not None


_MARKDOWN = _Markdown()
