"""Whether effects happened once, by a run's journal and by what was seen to be performed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from moot.chats.event_types import EffectCompleted, EffectFailed, EffectUnknown, Warned
from moot.chats.events import Event
from moot.testing.performed import Sighting


def effect_problems(run: str, events: Sequence[Event], seen: Sequence[Sighting]) -> Iterator[str]:
    """What was made again although it was recorded, or without a mark that it was in doubt."""
    results: dict[str, float] = {}
    marks: Counter[str] = Counter()
    for event in events:
        match event.data:
            case EffectCompleted(key=key):
                results[f"{run}/{event.turn}/{key}"] = event.ts
            case EffectUnknown(key=key) | EffectFailed(key=key):
                marks[f"{run}/{event.turn}/{key}"] += 1
            case Warned(text=text, facts=facts) if "recorded" in facts:
                yield f"turn {event.turn}: {text}"
    sightings: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in seen:
        if sighting.key.startswith(f"{run}/"):
            sightings[sighting.key].append(sighting)
    for key, each in sightings.items():
        name = f"{each[0].what or 'an effect'} ({key.removeprefix(f'{run}/')})"
        if key in results and each[-1].ts > results[key]:
            yield f"{name} was performed again after its result was recorded"
        elif len(each) > 1 + marks[key]:
            yield f"{name} was performed {len(each)} times and marked as in doubt {marks[key]} times"
