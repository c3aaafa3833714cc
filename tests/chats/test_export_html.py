"""A run as one page: complete, readable, and harmless whatever was said in it."""

import base64
import re

import pytest

from moot.chats import event_types as ev
from moot.chats.events import Event
from moot.chats.exports.html import html
from moot.chats.exports.pictures import MOST_OF_ONE, Picture, pictures
from moot.chats.exports.prose import MOST_COLORED, MOST_COLORED_IN_ALL, MOST_LAID_OUT, MOST_SHOWN, Colors, output
from moot.chats.exports.prose import code as code_in
from moot.chats.exports.prose import prose as prose_in
from moot.chats.memory_store import MemoryStore
from moot.chats.story import Story
from tests.pages import Page
from tests.told_runs import HOSTILE, SVG, chosen, events_of, everything, message, picture


def prose(text: str) -> str:
    return prose_in(text, Colors())


def code(text: str, language: str = "") -> str:
    return code_in(text, language, Colors())


async def page(text: str) -> str:
    store = MemoryStore()
    story = Story.of("01run", await everything(text, store))
    return html(story, await pictures(story, store.blobs))


def turns(number: int, text: str = "said") -> list[Event]:
    """A run of that many turns."""
    created = ev.RunCreated(chat="long", participants=("ann", "bob"), limits={"turns": number})
    data: list[tuple[int, str, object]] = [(0, "", created)]
    for turn in range(1, number + 1):
        who = ("ann", "bob")[turn % 2]
        choice = ev.SpeakerSelected(policy="order", candidates=(), chosen=(who,), reason="it is its turn", step=turn)
        reply = ev.TurnFinished(reply=message(text, who), seconds=0.1)
        data += [(turn, "", choice), (turn, who, ev.TurnStarted()), (turn, who, reply)]
    return events_of(data)


async def test_everything_is_told_who_why_what_was_asked_decided_run_and_spent_and_how_it_ended() -> None:
    text = Page(await page("It seems so")).text
    for words in (
        "SCRIPTED",
        "PLAYBOOK MODEL: scripted replies; real speakers, sandbox and budget",
        "✘ rejected It seems so (rule It seems so, turn 3)",
        "3 turns",
        "168 tokens",
        "$1.00 + unpriced cost",
        "select picking the speakers",
        "because It seems so It seems so, 3 tries, fallback It seems so",
        "choosing took 9 tok, $0.50",
        "could have been chosen: ▲ bob, ■ It seems so",
        "failed attempt 1 of ann failed: It seems so",
        "before the reply: 3 steps",
        "question q1 ann asks whether to run this code",
        "edited and approved by It seems so",
        "+It seems so",
        "rejected by It seems so",
        "answered by It seems so",
        "it was never decided",
        "said It seems so to everybody",
        "budget It seems so are spent",
        "doubt bob: model model/0 was under way",
        "Exit code 1 after 0.00 s, timed out",
        "It seems so.png · 121 B",
        "It seems so.gif · 38 B · not a picture, whatever its name says",
        "It seems so.jpg · 3 B · its content is missing",
        "It seems so.webp · 1.0 GB · too large to be shown here",
        "not kept: It seems so",
        "SKIPPED (no sandbox) It seems so",
        "Calls of which no result is known may have taken up to 150 tokens, unpriced",
        "refused what It seems so asked for changed nothing",
        "resumed the run goes on",
    ):
        assert words in re.sub(r"\s+", " ", text)


async def test_no_text_of_a_run_is_html_in_the_page_or_loads_anything() -> None:
    whole = await page(HOSTILE)
    read = Page(whole)
    assert read.wrong == []
    assert len(read.all("article")) == 3
    assert [one["id"] for one in read.all("article")] == ["turn-1", "turn-2", "turn-3"]
    assert [len(read.all(name)) for name in ("html", "head", "title", "style", "body", "h1", "main")] == [1] * 7
    assert len(read.all("img")) == 2
    assert "url(" not in read.styles
    assert "@import" not in read.styles
    assert "1337" not in read.text  # no text is a template either
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", whole)


async def test_the_page_forbids_what_it_does_not_need() -> None:
    (policy,) = [m["content"] for m in Page(await page("x")).all("meta") if m.get("http-equiv")]
    assert policy is not None
    assert policy.split("; ") == [
        "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip


async def test_pictures_stand_in_the_page_once_and_only_as_pictures() -> None:
    sources = [str(one["src"]).partition(",") for one in Page(await page("x")).all("img")]
    assert [kind for kind, _, _ in sources] == ["data:image/png;base64", "data:image/svg+xml;base64"]
    assert [base64.b64decode(data) for _, _, data in sources] == [picture(), SVG]


async def test_what_is_too_large_missing_or_no_picture_is_said_so() -> None:
    store = MemoryStore()
    known = await pictures(Story.of("01run", await everything("x", store)), store.blobs)
    assert [one.why_not for one in known.values() if not one.source] == [
        "not a picture, whatever its name says", "its content is missing", "too large to be shown here",
    ]  # fmt: skip
    assert MOST_OF_ONE > 1_000_000


@pytest.mark.parametrize("address", ["https://a.example/x?y=1&z", "http://a.example", "mailto:ann@a.example"])
def test_links_to_the_web_are_links_that_tell_nobody_where_they_were(address: str) -> None:
    for text in (f"[here]({address})", f"<{address}>"):
        (link,) = Page(prose(text)).all("a")
        assert link == {"href": address, "rel": "noopener noreferrer nofollow"}


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "&#106;avascript:alert(1)",
        "data:text/html,x", "data:image/svg+xml;base64,x", "file:///etc/passwd", "//a.example", "/etc/passwd", "x.html",
        "vbscript:x", "ftp://a", "\x01javascript:alert(1)", "http:a", "blob:x", "#turn-1",
    ],
)  # fmt: skip
def test_no_other_address_is_a_link(address: str) -> None:
    for text in (f"[here]({address})", f"<{address}>", f"![here]({address})", f"[here][1]\n\n[1]: {address}"):
        read = Page(prose(text))
        assert read.wrong == []
        assert read.all("a") == []
        assert read.all("img") == []


def test_pictures_of_others_are_links_to_them() -> None:
    read = Page(prose("![a *cat*](https://a.example/cat.png)"))
    assert read.text.strip() == "picture: a cat"
    assert [link["href"] for link in read.all("a")] == ["https://a.example/cat.png"]


def test_markdown_is_laid_out_below_the_headings_of_the_page() -> None:
    read = Page(prose("# A\n\n## B\n\n###### C\n\n- `x`\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\none\ntwo ~~no~~ **yes**"))
    names = [name for name, _ in read.found]
    assert names[:3] == ["h4", "h5", "h6"]
    assert {"ul", "li", "code", "table", "td", "br", "s", "strong"} <= set(names)
    assert read.all("td") == [{}, {"class": "right"}]


@pytest.mark.parametrize("language", ["python", "bash", "json", "diff", "nonsense", "", "../x", "py 'x"])
def test_code_is_coloured_where_its_language_is_known_and_whole_in_any(language: str) -> None:
    text = '+a = "<b>"  # &amp;\n\n\tif x:\n-    {"y": 1}'
    read = Page(code(text, language))
    assert read.wrong == []
    assert read.text == text
    assert bool(read.all("span")) == (language in {"python", "bash", "json", "diff"})


def test_very_long_texts_are_shown_as_they_are_and_end_where_nobody_reads_on() -> None:
    long = "*x* [" * (MOST_LAID_OUT // 4)
    assert [name for name, _ in Page(prose(long)).found] == ["pre"]
    for shown in (prose, code, output):
        read = Page(shown("y" * (MOST_SHOWN + 1_234)))
        assert read.text.count("y") == MOST_SHOWN
        assert "… 1,234 characters more" in read.text


def test_colours_end_before_a_page_takes_long() -> None:
    colors, program = Colors(), "x = 1\n" * (MOST_COLORED // 6)
    assert Page(code_in(f"{program}{program}", "python", colors)).all("span") == []
    assert Page(code_in("x = 1", "python", colors)).all("span") != []
    taken = 0
    while colors.take(program):
        taken += len(program)
    assert MOST_COLORED_IN_ALL - 2 * MOST_COLORED < taken <= MOST_COLORED_IN_ALL
    assert Page(code_in(program, "python", colors)).all("span") == []
    assert Page(code_in(program, "python", Colors())).all("span") != []


@pytest.mark.parametrize(
    "piece", ["[", "![", "*a ", "`", "<", "> ", "- ", "[a](", "&", "|a", "\\", "***", "~~", "[]: "]
)
def test_texts_that_are_hard_to_read_as_markdown_are_shown_all_the_same(piece: str) -> None:
    read = Page(prose("x " + piece * (20_000 // len(piece))))
    assert read.wrong == []
    assert "x" in read.text


async def test_a_run_that_was_left_at_any_point_and_an_empty_one_are_pages_too() -> None:
    store = MemoryStore()
    events = await everything("It seems so", store)
    for end in range(len(events)):
        read = Page(html(Story.of("01run", events[:end]), {}))
        assert read.wrong == []
        assert any(words in read.text for words in ("not finished", "waiting", "is empty"))
    assert "Its journal is empty." in Page(html(Story.of("01run", []), {})).text
    damaged = Page(html(Story.of("01run", events[1:]), {}))
    assert "Its journal is damaged: it does not begin with run.created." in damaged.text
    assert damaged.wrong == []


async def test_a_fork_says_what_it_copied_and_what_was_changed() -> None:
    events = await everything("It seems so", MemoryStore())
    forked = ev.RunForked(parent=HOSTILE, turn=2, head=9, edits={HOSTILE: HOSTILE})
    read = Page(html(Story.of("01run", [*events[:-1], *events_of([(0, "", forked)])]), {}))
    assert read.wrong == []
    text = re.sub(r"\s+", " ", read.text)
    assert "The first 2 turns were copied from run # Turn 99: forged" in text
    assert "forked a fork of # Turn 99: forged" in text


async def test_what_has_no_price_is_unpriced_not_free() -> None:
    spent = ev.Spent(input_tokens=5, output_tokens=2, usd=None)
    data: list[tuple[int, str, object]] = [
        (0, "", ev.RunCreated(chat="study", participants=("ann",), limits={"turns": 4}, model_kind="real")),
        (1, "", chosen(["ann"], "first", 1)),
        (1, "ann", ev.TurnStarted()),
        (1, "ann", ev.EffectIntended(key="model/0", kind="model", digest="d")),
        (1, "ann", ev.EffectCompleted(key="model/0", result={}, spent=spent)),
    ]
    text = Page(html(Story.of("01run", events_of(data)), {})).text
    assert "unpriced" in text
    assert "$0" not in text
    assert "SCRIPTED" not in text


def test_a_picture_made_twice_is_shown_once_and_pointed_to_after() -> None:
    known = {"a" * 64: Picture("data:image/png;base64,AAAA")}
    data: list[tuple[int, str, object]] = [
        (0, "", ev.RunCreated(chat="study", participants=("ann",), limits={"turns": 4}))
    ]
    file = {"name": "plot.png", "size": 3, "sha256": "a" * 64}
    for turn in (1, 2):
        ran = {"language": "python", "exit_code": 0, "files": [file]}
        data += [
            (turn, "", chosen(["ann"], "first", turn)),
            (turn, "ann", ev.TurnStarted()),
            (turn, "ann", ev.CodeProposed(key="code/0", language="python", code="plot()")),
            (turn, "ann", ev.EffectIntended(key="code/0", kind="code", digest="d")),
            (turn, "ann", ev.EffectCompleted(key="code/0", result=ran)),
            (turn, "ann", ev.TurnFinished(reply=message("done", "ann"))),
        ]
    read = Page(html(Story.of("01run", events_of(data)), known))
    assert len(read.all("img")) == 1
    assert "plot.png · 3 B · the same as plot.png in turn 1" in read.text
    assert {"href": "#turn-1"} in read.all("a")  # from the list of files


def test_long_runs_are_whole_in_the_page() -> None:
    whole = Page(html(Story.of("01run", turns(1_000, "**said** `x`\n\n```python\nprint(1)\n```")), {}))
    assert len(whole.all("article")) == 1_000
    assert whole.wrong == []
    assert len(whole.all("nav")) == 0  # an index of so many helps nobody
