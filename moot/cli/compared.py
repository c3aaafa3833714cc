"""Two runs beside each other, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from moot.chats.clean import clean_line
from moot.chats.compare import Comparison, Difference, Pair, Said, Side, Spending
from moot.cli.differences import difference
from moot.cli.words import count, dollars, tokens

MOST_DETAILED = 10
"""How many turns are told in detail; of the others it is said that they differ."""
Json = dict[str, object]


def compared_text(found: Comparison, a: str, b: str) -> str:
    """For people. `a` and `b` are what the runs are called."""
    return "\n".join(_lines(found, a, b))


def _lines(found: Comparison, a: str, b: str) -> Iterator[str]:
    yield _side("a", a, found.a)
    yield _side("b", b, found.b)
    if found.relation:
        yield found.relation
    yield from (_setting(setting) for setting in found.settings)
    yield from _turns(found.turns)
    yield from (_setting(end) for end in found.ends)
    if found.same:
        yield "the same was said, with the same results and the same end"
    elif found.first is None:
        yield "the same was said, to another end"
    else:
        yield f"first difference: turn {found.first}"


def _side(letter: str, called: str, side: Side) -> str:
    end = "not finished" if side.outcome is None else f"{side.outcome} (rule {clean_line(side.rule or '', 80)})"
    parts = [clean_line(side.chat, 40), end, count(side.turns, "turn"), _spent(side.spent)]
    return f"{letter} {called}  {' · '.join(parts)}"


def _spent(spent: Spending) -> str:
    money = "unpriced" if spent.usd is None else dollars(spent.usd)
    runs = f", {count(spent.code_runs, 'code run')}" if spent.code_runs else ""
    return f"{tokens(spent.input_tokens + spent.output_tokens)}, {money}{runs}"


def _setting(setting: Difference) -> str:
    of_a, of_b = ("none" if text is None else clean_line(text, 120) for text in (setting.a, setting.b))
    return f"{setting.name}: a {of_a} | b {of_b}"


def _turns(pairs: Sequence[Pair]) -> Iterator[str]:
    """Turns that are the same stand on one line together."""
    same: list[int] = []
    told = 0
    for pair in pairs:
        if not pair.differs:
            same.append(pair.turn)
            continue
        yield from _same(same)
        same = []
        told += 1
        yield from _pair(pair, in_detail=told <= MOST_DETAILED)
    yield from _same(same)


def _same(turns: Sequence[int]) -> Iterator[str]:
    if turns:
        which = f"turn {turns[0]}" if len(turns) == 1 else f"turns {turns[0]} to {turns[-1]}"
        yield f"= {which}: the same"


def _pair(pair: Pair, *, in_detail: bool) -> Iterator[str]:
    a, b = pair.a, pair.b
    if a is None or b is None:
        said = a or b
        assert said is not None  # a pair has one side at least
        yield f"≠ turn {pair.turn}: only in {'a' if b is None else 'b'}, {clean_line(said.participant, 40)}"
        if in_detail:
            yield f"    {clean_line(said.text, 200)}"
        return
    who = " | ".join(dict.fromkeys(clean_line(said.participant, 40) for said in (a, b)))
    yield f"≠ turn {pair.turn}: {who} ({', '.join(pair.differs)})"
    if in_detail:
        yield from (f"    {line}" for line in _detail(a, b))


def _detail(a: Said, b: Said) -> Iterator[str]:
    if a.reason != b.reason:
        yield f"because: a {clean_line(a.reason)} | b {clean_line(b.reason)}"
    if a.code != b.code and _ends(a) != _ends(b):
        yield f"code: a {_ends(a)} | b {_ends(b)}"
    yield from difference(a.words, b.words) if a.words != b.words else ()
    if a.spent != b.spent:
        yield f"cost: a {_spent(a.spent)} | b {_spent(b.spent)}"


def _ends(said: Said) -> str:
    words = [
        f"skipped ({clean_line(ran.skipped, 80)})" if ran.skipped is not None else f"exit code {ran.exit_code}"
        for ran in said.code
    ]
    files = [clean_line(name, 60) for ran in said.code for name, _ in ran.files]
    return ", ".join([*words, *files]) or "none"


def compared_object(found: Comparison) -> Json:
    """For `--json`: everything."""
    return {
        "same": found.same,
        "first_difference": found.first,
        "relation": found.relation,
        "a": asdict(found.a),
        "b": asdict(found.b),
        "settings": [asdict(setting) for setting in found.settings],
        "ends": [asdict(end) for end in found.ends],
        "turns": [
            {
                "turn": pair.turn,
                "differs": list(pair.differs),
                "a": None if pair.a is None else asdict(pair.a),
                "b": None if pair.b is None else asdict(pair.b),
            }
            for pair in found.turns
        ],
    }
