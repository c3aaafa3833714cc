"""What a page that Moot writes may hold, whoever reads its HTML."""

import re
from html.parser import HTMLParser

ELEMENTS: dict[str, set[str]] = {
    "html": {"lang"}, "head": set(), "meta": {"charset", "http-equiv", "content", "name"}, "title": set(),
    "style": set(), "body": set(), "header": {"class"}, "section": {"class"}, "footer": set(), "main": set(),
    "nav": {"class", "aria-label"}, "article": {"class", "id"}, "aside": {"class"}, "div": {"class", "dir"},
    "h1": set(), "h2": set(), "h3": set(), "h4": set(), "h5": set(), "h6": set(), "p": {"class"}, "br": set(),
    "hr": set(), "b": set(), "i": set(), "em": set(), "strong": set(), "s": set(), "bdi": {"class"},
    "span": {"class", "title", "aria-hidden"}, "a": {"class", "href", "rel"}, "code": set(), "pre": {"class"},
    "blockquote": set(), "ul": {"class"}, "ol": {"start"}, "li": set(), "dl": set(), "dt": set(), "dd": set(),
    "details": {"class", "open"}, "summary": set(), "figure": set(), "figcaption": set(), "img": {"src", "alt"},
    "time": set(), "table": {"class"}, "thead": set(), "tbody": set(), "tfoot": set(), "tr": set(), "th": {"class"},
    "td": {"class"},
}  # fmt: skip
"""Every element and its attributes. None of them runs, loads or sends anything."""
EMPTY = {"meta", "br", "hr", "img"}
LINK = re.compile(r"#turn-\d+|(https?://|mailto:)\S+")
SOURCE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]+")


class Page(HTMLParser):
    """A page that was read: its elements in order, its text, and whatever should not be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.text = ""
        self.styles = ""
        self._open: list[str] = []
        self.feed(str(html))
        self.close()
        if self._open:
            self.wrong.append(f"not closed: {self._open}")

    def all(self, element: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == element]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.found.append((tag, attributes))
        if tag not in ELEMENTS or set(attributes) - ELEMENTS[tag]:
            self.wrong.append(f"<{tag} {attributes}>")
        if not LINK.fullmatch(attributes.get("href") or "#turn-1"):
            self.wrong.append(f"a link to {attributes['href']}")
        if tag == "img" and not SOURCE.fullmatch(attributes.get("src") or ""):
            self.wrong.append(f"a picture from {attributes.get('src')}")
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in EMPTY:
            return
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.styles += data
        else:
            self.text += data

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"<!--{data}-->")

    def unknown_decl(self, data: str) -> None:
        self.wrong.append(f"<![{data}]>")
