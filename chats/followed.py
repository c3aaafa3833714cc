"""Who spoke after whom, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from moot.chats.story import Story
from moot.chats.telling import Telling

START = ""
"""Stands for the beginning of the run, after which somebody spoke first."""


def followed(story: Story) -> Mapping[tuple[str, str], int]:
    """How often the second of a pair spoke after the first. Who spoke in parallel spoke after each of those before,
    and was followed by each of those after. Turns that did not finish count for nothing.
    """
    counts = Counter[tuple[str, str]]()
    before = [START]
    for step in steps(story):
        spoke = [turn.participant for turn in step if turn.finished]
        counts.update((first, then) for first in before for then in spoke)
        before = spoke or before
    return counts


def steps(story: Story) -> Iterator[list[Telling]]:
    """The turns in their order, those together that were taken in parallel."""
    step: list[Telling] = []
    for _, turn in sorted(story.turns.items()):
        if step and (turn.why is None or turn.why is not step[0].why):
            yield step
            step = []
        step.append(turn)
    if step:
        yield step


def speakers(story: Story) -> list[str]:
    """Everybody at the table, in order, and whoever else took a turn."""
    seated = story.created.participants if story.created is not None else ()
    return list(dict.fromkeys([*seated, *(turn.participant for _, turn in sorted(story.turns.items()))]))
