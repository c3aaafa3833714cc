"""The graph policy: who speaks next and why, fan-out and joins, being asked once more, and what validation refuses."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import pytest
from autogen_agentchat.messages import TextMessage

from moot.chats.edge_tokens import EdgeSyntaxError
from moot.chats.edges import parse_edge
from moot.chats.errors import SpecError, UserError
from moot.chats.graph import Graph, graph
from moot.chats.speakers import Choice
from moot.termination.outcome import Outcome, Stop
from moot.termination.transcript import CodeRun, Transcript, Turn

RESEARCH = (
    "planner -> coder",
    "coder -> executor",
    "executor -> coder when exit_code != 0",
    "executor -> reviewer when exit_code == 0",
    'reviewer -> coder when says "REDO:"',
    "reviewer -> planner otherwise",
)
RESEARCHERS = ("planner", "coder", "executor", "reviewer")


def turn(number: int, step: int, name: str, text: str = "...", exit_code: int | None = None) -> Turn:
    runs = () if exit_code is None else (CodeRun(name, "python", exit_code),)
    return Turn(number, step, name, TextMessage(content=text, source=name), runs)


class Talk:
    """A chat under a policy: whoever was chosen says the next thing."""

    def __init__(self, policy: Graph, *names: str) -> None:
        self.policy, self.said = policy, Transcript(names)

    async def choose(self) -> Choice | Stop:
        return await self.policy.choose(self.said, self.said.participants)

    async def chosen(self) -> tuple[str, ...]:
        choice = await self.choose()
        assert isinstance(choice, Choice), choice
        return choice.names

    def says(self, name: str, text: str = "...", exit_code: int | None = None) -> None:
        self.together((name, text, exit_code))

    def together(self, *replies: tuple[str, str, int | None]) -> None:
        step = self.said.history[-1].step + 1 if self.said.history else 1
        for name, text, exit_code in replies:
            self.said.history.append(turn(self.said.turns + 1, step, name, text, exit_code))


async def test_the_first_edges_source_opens_and_the_edges_lead_on() -> None:
    talk = Talk(graph(*RESEARCH), *RESEARCHERS)
    opening = await talk.choose()
    assert opening == Choice(
        ("planner",), "planner opens: the first edge starts there", "graph", candidates=("planner",)
    )
    talk.says("planner")
    assert await talk.chosen() == ("coder",)
    talk.says("coder")
    assert await talk.chosen() == ("executor",)
    talk.says("executor", exit_code=1)
    failing = await talk.choose()
    assert failing == Choice(
        ("coder",),
        "executor -> coder when exit_code != 0: exit code was 1",
        "graph",
        candidates=("coder", "reviewer"),
    )
    talk.says("coder")
    talk.says("executor", exit_code=0)
    assert await talk.chosen() == ("reviewer",)
    talk.says("reviewer", "The sign is wrong.\nREDO: with log scales")
    assert await talk.chosen() == ("coder",)
    talk.says("coder")
    talk.says("executor", exit_code=0)
    talk.says("reviewer", "Think again.")
    otherwise = await talk.choose()
    assert isinstance(otherwise, Choice)
    assert otherwise.names == ("planner",)
    assert otherwise.reason == 'reviewer -> planner otherwise: it does not say "REDO:"'


async def test_no_code_found_goes_back_to_the_coder() -> None:
    talk = Talk(graph(*RESEARCH), *RESEARCHERS)
    talk.says("executor", "no code block found")
    choice = await talk.choose()
    assert isinstance(choice, Choice)
    assert choice.names == ("coder",)
    assert choice.reason == "executor -> coder when exit_code != 0: no code ran"


async def test_the_first_edge_that_holds_wins_and_otherwise_comes_last_wherever_it_stands() -> None:
    talk = Talk(graph("a -> b otherwise", 'a -> c when contains "x"', 'a -> d when says "x"', "b, c, d -> a"), *"abcd")
    talk.says("a", "x")
    assert await talk.chosen() == ("c",)


async def test_a_fan_out_speaks_in_parallel_and_its_join_waits_for_all() -> None:
    talk = Talk(graph("a -> b, c", "b -> e", "e, c -> d", "d -> a"), *"abcde")
    talk.says("a")
    assert await talk.chosen() == ("b", "c")
    talk.together(("b", "...", None), ("c", "...", None))
    assert await talk.chosen() == ("e",)  # c has arrived at the join and waits
    talk.says("e")
    choice = await talk.choose()
    assert isinstance(choice, Choice)
    assert choice.names == ("d",)
    assert choice.reason == "e, c -> d: all have arrived"
    talk.says("d")
    assert await talk.chosen() == ("a",)


async def test_a_join_goes_on_without_whoever_was_not_started() -> None:
    talk = Talk(graph('a -> b, c when says "both"', "a -> b otherwise", "b, c -> d", "d -> a"), *"abcd")
    talk.says("a", "one")
    talk.says("b")
    choice = await talk.choose()
    assert isinstance(choice, Choice)
    assert choice.names == ("d",)
    assert choice.reason == "b, c -> d: nobody else is active, c did not come"


async def test_a_condition_on_a_join_is_put_to_each_source() -> None:
    talk = Talk(graph("a -> b, c", 'b, c -> d when says "OK"', "b, c -> a otherwise", "d -> a"), *"abcd")
    talk.says("a")
    talk.together(("b", "OK", None), ("c", "no", None))
    assert await talk.chosen() == ("d",)  # both joins have one of two; the first goes on, nobody else being active
    talk.says("d")
    assert await talk.chosen() == ("a",)


async def test_two_branches_that_meet_without_a_join_let_the_target_speak_once() -> None:
    talk = Talk(graph("a -> b, c", "b -> d", "c -> d", "d -> a"), *"abcd")
    talk.says("a")
    talk.together(("b", "...", None), ("c", "...", None))
    assert await talk.chosen() == ("d",)


async def test_several_sources_of_the_first_edge_open_together() -> None:
    assert await Talk(graph("a, b -> c", "c -> a, b"), *"abc").chosen() == ("a", "b")


async def test_whoever_was_started_and_has_not_spoken_is_not_lost() -> None:
    talk = Talk(graph("a -> b, c", "b, c -> d", "d -> a"), *"abcd")
    talk.says("a")
    talk.says("b")
    assert await talk.chosen() == ("c",)
    talk.says("c")
    assert await talk.chosen() == ("d",)


async def test_a_branch_that_no_edge_leaves_just_ends_while_others_go_on() -> None:
    talk = Talk(graph("a -> b, c", "c -> a"), *"abc")
    talk.says("a")
    talk.together(("b", "...", None), ("c", "...", None))
    assert await talk.chosen() == ("a",)


async def test_a_reply_that_fits_no_edge_is_asked_for_once_more_and_then_the_run_fails() -> None:
    policy = replace(
        graph('a -> b when says "REDO:" or contains "again"', "b -> a"),
        endings=(("a", 'a line that starts with "DONE:"'),),
    )
    talk = Talk(policy, "a", "b")
    talk.says("a", "hm")
    again = await talk.choose()
    expected = 'a line that starts with "REDO:" or the words "again", or a line that starts with "DONE:"'
    assert again == Choice(
        ("a",),
        'a once more: no edge fits its reply (it does not say "REDO:" and it does not contain "again")',
        "graph",
        candidates=("a", "b"),
        attempts=2,
        note=f"Your last reply leads nowhere: what is expected is {expected}. "
        "Reply once more in the form that is expected.",
    )
    talk.says("a", "hm, hm")
    stop = await talk.choose()
    assert stop == Stop("graph", f"no edge fits the last reply of a; expected {expected}", Outcome.FAILED, turn=2)


async def test_a_second_reply_that_fits_goes_on_and_the_next_slip_is_asked_again() -> None:
    talk = Talk(graph('a -> b when says "GO"', "b -> a"), "a", "b")
    for _ in range(2):
        talk.says("a", "hm")
        assert await talk.chosen() == ("a",)
        talk.says("a", "GO")
        assert await talk.chosen() == ("b",)
        talk.says("b")


async def test_only_the_one_who_slipped_is_asked_again_and_the_others_wait() -> None:
    talk = Talk(graph("a -> b, c", 'b -> d when says "OK"', "c -> e", "d, e -> a"), *"abcde")
    talk.says("a")
    talk.together(("b", "hm", None), ("c", "...", None))
    again = await talk.choose()
    assert isinstance(again, Choice)
    assert again.names == ("b",)
    assert again.note is not None
    talk.says("b", "OK")
    assert await talk.chosen() == ("e", "d")


async def test_where_no_edge_leads_on_and_no_rule_ended_it_the_speaker_is_asked_and_then_the_run_fails() -> None:
    talk = Talk(graph("a -> b"), "a", "b")
    talk.says("a")
    talk.says("b", "no verdict")
    again = await talk.choose()
    assert isinstance(again, Choice)
    assert (again.names, again.attempts) == (("b",), 2)
    talk.says("b", "still none")
    stop = await talk.choose()
    assert isinstance(stop, Stop)
    assert stop.outcome is Outcome.FAILED
    assert "no edge fits the last reply of b" in stop.reason


async def test_what_code_came_to_is_not_asked_for_again() -> None:
    talk = Talk(graph("a -> b", "b -> a when exit_code == 0"), "a", "b")
    talk.says("a")
    talk.says("b", "exit code: 1", 1)
    stop = await talk.choose()
    assert isinstance(stop, Stop)
    assert stop.outcome is Outcome.FAILED
    assert stop.reason == "no edge fits the last reply of b; expected code that ends with exit_code == 0"


async def test_somebody_who_may_not_speak_ends_the_run_with_words_and_never_silently() -> None:
    talk = Talk(graph("a -> b", "b -> a"), "a", "b")
    talk.says("a")
    stop = await talk.policy.choose(talk.said, ["a"])
    assert stop == Stop("graph", "b would speak next, but may not", Outcome.FAILED, turn=1)


async def test_whoever_speaks_out_of_turn_steers_the_chat() -> None:
    talk = Talk(graph("a -> b", "b -> c", "c -> a"), *"abc")
    talk.says("a")
    talk.says("c")
    assert await talk.chosen() == ("a",)


async def test_a_turn_of_somebody_outside_the_graph_changes_nothing() -> None:
    talk = Talk(graph("a -> b", "b -> a"), "a", "b", "guest")
    talk.says("a")
    talk.says("guest", "hello")
    assert await talk.chosen() == ("b",)


class Counted(list[Turn]):
    """A history that counts which turns are looked at."""

    def __init__(self, turns: Sequence[Turn] = ()) -> None:
        super().__init__(turns)
        self.looked_at: set[int] = set()

    @overload  # type: ignore[override]
    def __getitem__(self, index: int) -> Turn: ...
    @overload
    def __getitem__(self, index: slice) -> list[Turn]: ...
    def __getitem__(self, index: int | slice) -> Turn | list[Turn]:
        places = range(*index.indices(len(self))) if isinstance(index, slice) else [range(len(self))[index]]
        self.looked_at |= set(places)
        return super().__getitem__(index)


async def test_a_choice_looks_at_the_same_few_turns_at_turn_10_and_at_turn_2000() -> None:
    talk = Talk(graph(*RESEARCH), *RESEARCHERS)
    history = talk.said.history = Counted()
    looked_at: dict[int, int] = {}
    for number in range(2000):
        history.looked_at.clear()
        (name,) = await talk.chosen()
        looked_at[number] = len(history.looked_at)
        talk.says(name, "REDO: please", exit_code=number % 3)
    assert set(looked_at.values()) == {0, 1, 2, 3}
    assert looked_at[10] == looked_at[1999] == 3


def fresh(policy: Graph) -> Graph:
    return Graph(policy.edges, policy.endings)


async def test_what_is_remembered_never_changes_the_answer() -> None:
    policy = graph('a -> b, c when contains "3"', "a -> c otherwise", "b, c -> d", 'd -> a when not says "hm"')
    first, second = Talk(policy, *"abcd"), Talk(policy, *"abcd")
    for number in range(60):
        for talk in (first, second):
            choice = await talk.choose()
            assert choice == await fresh(policy).choose(talk.said, talk.said.participants)
            if isinstance(choice, Stop):
                choice = Choice(("a",), "", "")
            words = "hm" if number % 7 == 0 and talk is first else str(number)
            talk.together(*((name, words, None) for name in choice.names))
    del first.said.history[20:]
    assert await first.choose() == await fresh(policy).choose(first.said, first.said.participants)
    first.said.history[:] = second.said.history
    assert await first.choose() == await second.choose()


async def test_a_step_that_is_still_growing_is_read_again() -> None:
    policy = graph("a -> b, c", 'b -> d when says "x"', "b, c -> a otherwise", "d -> a")
    talk = Talk(policy, *"abcd")
    talk.says("a")
    talk.says("b", "x")
    assert await talk.chosen() == ("c", "d")
    talk.said.history.append(turn(3, 2, "c"))
    assert await talk.chosen() == ("d",)
    assert await talk.choose() == await fresh(policy).choose(talk.said, talk.said.participants)


async def test_the_policy_is_a_value_whatever_it_remembers() -> None:
    policy = graph(*RESEARCH)
    talk = Talk(policy, *RESEARCHERS)
    talk.says("planner")
    await talk.choose()
    assert policy == graph(*RESEARCH)
    assert hash(policy) == hash(graph(*RESEARCH))
    for twin in (pickle.loads(pickle.dumps(policy)), copy.copy(policy), copy.deepcopy(policy)):
        assert twin == policy
        assert await twin.choose(talk.said, RESEARCHERS) == await policy.choose(talk.said, RESEARCHERS)
    assert "remembered" not in repr(policy)


async def test_a_transcript_that_is_gone_is_forgotten() -> None:
    policy = graph("a -> b", "b -> a")
    talk = Talk(policy, "a", "b")
    await talk.choose()
    assert len(policy._remembered) == 1
    del talk
    gc.collect()
    assert len(policy._remembered) == 0


def test_an_edge_is_read_with_the_columns_of_its_names() -> None:
    edge = parse_edge("  a, b->c  ,  d when exit_code!=0")
    assert str(edge) == "a, b -> c, d when exit_code != 0"
    assert edge.named() == (("a", 3), ("b", 6), ("c", 9), ("d", 15))
    assert edge == parse_edge(str(edge))


@pytest.mark.parametrize(
    ("text", "column", "suggestion"),
    [
        ("a -> b wen timed_out", 8, "did you mean 'when'?"),
        ("a -> b otherwize", 8, "did you mean 'otherwise'?"),
        ("a -> b -> c", 8, "write each step as an edge of its own"),
        ("a => b", 3, "did you mean '->'?"),
        ("a - > b", 3, "did you mean '->'?"),
        ("a ->", 5, None),
        ("-> b", 1, None),
        ("a, -> b", 4, None),
        ("a -> when timed_out", 6, None),
        ("a -> fact-checker", 6, "did you mean 'fact_checker'?"),
        ("a -> 2b", 6, "did you mean '_2b'?"),
        ("a -> d\u00e9j\u00e0", 6, None),
        ("a -> b when timed_out otherwise", 23, None),
        ("a -> b otherwise when timed_out", 18, None),
        ("", 1, None),
    ],
)
def test_an_edge_that_cannot_be_read_points_at_its_column(text: str, column: int, suggestion: str | None) -> None:
    with pytest.raises(EdgeSyntaxError) as caught:
        parse_edge(text)
    assert caught.value.column == column
    if suggestion:
        assert caught.value.suggestion == suggestion


def test_graph_reports_every_bad_edge_with_a_caret() -> None:
    with pytest.raises(SpecError) as caught:
        graph("a -> b", "a -> b wen timed_out", "b => a")
    assert str(caught.value) == (
        "graph:2:8: edge 2: expected 'when CONDITION', 'otherwise' or the end of the edge, got 'wen'"
        " (did you mean 'when'?)\n"
        "a -> b wen timed_out\n"
        "       ^\n"
        "graph:3:3: edge 3: expected '->', got '=>' (did you mean '->'?)\n"
        "b => a\n"
        "  ^"
    )


def test_graph_wants_edges_and_wants_them_as_texts() -> None:
    with pytest.raises(SpecError, match="at least one edge"):
        graph()
    with pytest.raises(UserError, match="edges as texts"):
        graph(["a -> b"])  # type: ignore[arg-type]


Found = tuple[int | None, int, str]


def found(policy: Graph, participants: Sequence[str], watched: Sequence[str] = ()) -> list[Found]:
    return [(p.edge, p.column, p.message) for p in policy.validate(participants, watched)]


def test_the_graph_of_the_research_chat_has_nothing_wrong() -> None:
    assert found(graph(*RESEARCH), RESEARCHERS, ["reviewer"]) == []
    assert found(graph(*RESEARCH), RESEARCHERS) == []


def test_an_edge_to_nobody_is_found_once_and_with_what_was_meant() -> None:
    problems = graph("coder -> exectuor", "executor -> coder").validate(["coder", "executor"], [])
    assert [(p.edge, p.column, p.message, p.suggestion) for p in problems] == [
        (0, 10, "nobody is called 'exectuor'", "did you mean 'executor'?")
    ]


def test_a_participant_nobody_reaches_is_found() -> None:
    problems = graph("a -> b", "b -> a", "c -> a").validate(["a", "b", "c", "d"], [])
    assert [(p.participant, p.message) for p in problems] == [
        ("c", "no edge ever reaches this participant"),
        ("d", "no edge ever reaches this participant"),
    ]


def test_a_graph_that_cannot_be_left_is_found() -> None:
    dead_end = "the graph cannot be left: nobody follows b and no stop rule looks at what it says"
    assert found(graph("a -> b"), "ab") == [(0, 6, dead_end)]
    assert found(graph("a -> b"), "ab", "b") == []
    unheard = "the graph cannot be left: no stop rule looks at anybody reached from b, c"
    assert found(graph('a -> b when says "x"', "a -> a otherwise", "b -> c", "c -> b"), "abc", "a") == [(2, 1, unheard)]


def test_repetitions_and_edges_that_are_never_taken_are_found() -> None:
    assert found(graph("a -> b", "b -> a", "a  ->  b"), "ab") == [(2, 1, "the same as edge 1")]
    assert found(graph("a -> b, b", "b -> a"), "ab") == [(0, 9, "b is named twice")]
    first = "never taken: edge 1 (a -> b) always comes first"
    assert found(graph("a -> b", "a -> c", "b -> a", "c -> a"), "abc")[0] == (1, 1, first)
    assert found(graph("a -> b", "a -> c otherwise", "b -> a, c", "c -> a"), "abc") == [(1, 1, first)]
    problems = graph("a -> b", "a -> c", "b -> a, c", "c -> a").validate("abc", [])
    assert problems[0].suggestion == "for both write 'a -> b, c'"
    same = 'never taken: edge 1 (a -> b when says "x") always comes first'
    assert found(graph('a -> b when says "x"', 'a -> c when says "x"', "b -> c", "c -> a"), "abc") == [(1, 1, same)]
    assert found(graph("a -> c otherwise", 'a -> b when says "x"', "b -> a", "c -> a"), "abc") == []
