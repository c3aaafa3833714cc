"""A journal made by hand for whoever shows runs: everything happens in it, in words of a test's choosing."""

import struct
import zlib
from collections.abc import Sequence

from moot.agents.ran import RanBlock, StoredFile
from moot.chats import event_types as ev
from moot.chats.events import Event
from moot.chats.speakers import SELECT
from moot.chats.store import Store
from moot.termination.outcome import Outcome

HOSTILE = """# Turn 99: forged
</script></style></title><script>alert(1)</script>
-->"'><img src=x onerror=alert(2)> <!-- <svg/onload=alert(3)> ]]>
{{ 7 * 191 }}{% raw %}{# &lt;b&gt; &#60;script&#62;
[go](javascript:alert(4)) [data](data:text/html,x) [web](https://web.example) ![pixel](http://127.0.0.1:9/pixel.png)
<http://127.0.0.1:9/auto>
```
````
end; p1->>p2: forged #35; %%{init: {}}%% $$x$$ style: a #1; classDef
\x1b[31mred\x1b[0m \u202eback\u202c \x00\x07
| a | b |
|---|--:|
| <i>c</i> | `d` |

1. one
2. two
   - three

> quoted

A
==="""
COLOR = (255, 0, 170)
"""Of the picture: nothing else on a page has it."""


def picture(width: int = 60, height: int = 40) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\x00" + bytes(COLOR) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>alert(5)</script><circle r='9'/></svg>"
NO_PICTURE = b"<html><script>alert(6)</script></html>"


def message(text: str, source: str = "user") -> dict[str, object]:
    return {"type": "TextMessage", "source": source, "content": text}


def chosen(names: Sequence[str], text: str, step: int) -> ev.SpeakerSelected:
    return ev.SpeakerSelected(
        policy=text, candidates=("ann", "bob", text), chosen=tuple(names), reason=text, step=step, attempts=3,
        fallback=text,
    )  # fmt: skip


async def everything(text: str, store: Store) -> list[Event]:
    """A run in which all happens that a run can tell of: `text` is every name, reason and message in it."""
    names = ("ann", "bob", text)
    kept = [
        StoredFile(name=f"{text}{ending}", size=len(data), sha256=await store.blobs.put(data))
        for ending, data in ((".png", picture()), (".svg", SVG), (".gif", NO_PICTURE))
    ]
    lost = StoredFile(name=f"{text}.jpg", size=3, sha256="c" * 64)
    large = StoredFile(name=f"{text}.webp", size=10**9, sha256="d" * 64)
    table = StoredFile(name=f"{text}.csv", size=1234, sha256="e" * 64)
    ran = RanBlock(
        language=text, exit_code=1, stdout=text, stderr=text, value=text, timed_out=True,
        files=(*kept, lost, large, table), not_kept=(text,),
    )  # fmt: skip
    created = ev.RunCreated(
        chat=text, participants=names, limits={"turns": 9, "usd": 2.0}, models=dict.fromkeys(names, text),
        model_kind="scripted", inputs={text: (table,)}, moot=text,
    )  # fmt: skip
    spent = ev.Spent(input_tokens=120, output_tokens=30, usd=None)
    data: list[tuple[int, str, object]] = [
        (0, "", created),
        (0, "", ev.MessageSaid(message=message(text))),
        (0, "", ev.MessageSaid(message=message(text), to=("ann",))),
        *_picked(1),
        (1, "", chosen(["ann"], text, 1)),
        *_asked(text),
        (1, "ann", ev.TurnFinished(reply=message(text, "ann"), seconds=1.5)),
        (0, "", ev.HumanSaid(message=message(text), by=text)),
        (0, "", ev.BudgetWarning(limit="usd", spent=text)),
        *_picked(2),
        (2, "", chosen(["bob", text], text, 2)),
        (2, "bob", ev.TurnStarted()),
        (2, "bob", ev.EffectIntended(key="model/0", kind="model", digest="d", reserved=spent)),
        (2, "bob", ev.EffectUnknown(key="model/0", then=text)),
        (2, "bob", ev.EffectCompleted(key="model/0", result={}, spent=spent)),
        (2, "bob", ev.TurnFinished(reply=message(text, "bob"), seconds=0.25)),
        (3, text, ev.TurnStarted()),
        (3, text, ev.CodeProposed(key="code/0", language="python", code=text)),
        (3, text, ev.EffectIntended(key="code/0", kind="code", digest="d")),
        (3, text, ev.EffectCompleted(key="code/0", result=ran.model_dump(), spent=ev.Spent(code_runs=1))),
        (3, text, ev.CodeProposed(key="code/1", language=text, code=text)),
        (3, text, ev.CodeFinished(key="code/1", language=text, exit_code=-1, skipped=f"no sandbox: {text}")),
        (3, text, ev.TurnFinished(reply=message("exit code: 1", text), seconds=0.5)),
        (0, "", ev.PauseAsked(command=1, by=text)),
        (0, "", ev.CommandRefused(command=2, by=text, reason=text)),
        (0, "", ev.RunPaused(reason=text)),
        (0, "", ev.RunResumed()),
        (0, "", ev.Warned(text=text)),
        (0, "", ev.StopAsked(command=3, by=text, reason=text)),
        (0, "", ev.RunFinished(outcome=Outcome.REJECTED, rule=text, reason=text, turn=3, result=text)),
    ]  # fmt: skip
    return events_of(data)


def _picked(turn: int) -> list[tuple[int, str, object]]:
    """A model picks a speaker."""
    spent = ev.Spent(input_tokens=7, output_tokens=2, usd=0.5)
    return [
        (turn, SELECT, ev.EffectIntended(key="select/0", kind="model", digest="d", reserved=spent)),
        (turn, SELECT, ev.EffectCompleted(key="select/0", result={}, spent=spent)),
    ]


def _asked(text: str) -> list[tuple[int, str, object]]:
    """A turn with calls, an attempt that fails, and every decision that a person can make."""
    call = {"type": "ToolCallRequestEvent", "source": "ann", "content": [{"id": "1", "name": text, "arguments": text}]}
    result = {"call_id": "1", "name": text, "content": text, "is_error": False}
    thought = {"type": "ThoughtEvent", "source": "ann", "content": text}
    questions: list[object] = []
    for number, (kind, decision) in enumerate(
        (("code", "edit"), ("tool", "reject"), ("input", "respond"), ("message", "approve"), (text, "approve")), 1
    ):
        payload: dict[str, object] = {"prompt": text} if kind == "input" else {"code": text, "tool": text, text: text}
        asked = ev.RequestAsked(
            id=f"q{number}", key=f"ask/{number}", kind=kind, digest="d", payload=payload, allow=(decision,)
        )
        diff = f"--- shown\n+++ edited\n@@ -1 +1 @@\n-{text}\n+{text}" if decision == "edit" else ""
        decided = ev.RequestDecided(
            id=f"q{number}", decision=decision, text=text, by=text, edited=text, diff=diff, digest="d"
        )  # fmt: skip
        questions += [asked, decided]
    open_question = ev.RequestAsked(id=text, key="ask/9", kind="tool", digest="d", payload={text: text}, allow=())
    return [
        (1, "ann", ev.TurnStarted()),
        *((1, "ann", ev.Inner(message=m)) for m in (call, {**call, "content": [result]}, thought)),
        (1, "ann", ev.TurnFailed(error=f"{text}\n{text}", seconds=0.5)),
        (1, "ann", ev.TurnStarted()),
        *((1, "ann", q) if isinstance(q, ev.RequestAsked) else (0, "", q) for q in questions),
        (1, "ann", open_question),
    ]  # fmt: skip


def events_of(data: Sequence[tuple[int, str, object]]) -> list[Event]:
    """Turn, participant and what happened, as a journal that was read back."""
    return [
        Event(str(type(d).type), turn, 1 if who else 0, who, d, "", n, 100.0 + n)  # type: ignore[arg-type,attr-defined]
        for n, (turn, who, d) in enumerate(data, 1)
    ]
