"""Names of models: which are known forms, and what may have been meant by another."""

from __future__ import annotations

import difflib
import re

from moot.agents.errors import ModelError
from moot.agents.prices import price_of
from moot.agents.providers import PROVIDERS

_FORMS = ("playbook:", "replay:", *(f"{kind}/" for kind in PROVIDERS))
"""How the names of models begin."""
EXPECTED = (
    f"expected playbook:FILE, replay:TAPE, {', '.join(f'{kind}/NAME' for kind in PROVIDERS)} or {{base_url, model}}"
)
_MEANT = {"claude": "anthropic", "gpt": "openai", "azure-openai": "azure", "azure_openai": "azure", "local": "ollama"}
"""What else people call a provider."""
_COMPATIBLE = frozenset(
    "gemini google mistral groq deepseek xai openrouter together fireworks vllm lmstudio".split()  # noqa: SIM905 - read as one line
)
"""Others whose servers speak OpenAI's protocol."""
_ADDRESSED = " (it speaks OpenAI's protocol: give its base_url, model and api_key)"


def check_name(model: str) -> None:
    """Refuse a name that no client answers to; makes no client, reads no file and no key."""
    if not model.isprintable():
        raise ModelError(f"unknown model {model[:100]!a}: a name has no control characters in it")
    prefix = next((prefix for prefix in _FORMS if model.startswith(prefix)), None)
    if prefix is not None and model.removeprefix(prefix).partition("#")[0].strip():
        return
    raise ModelError(f"unknown model '{model}': {EXPECTED}{_meant(model)}")


def _meant(model: str) -> str:
    """A suggestion, where the name is nearly right."""
    head = re.split(r"[:/]", model, maxsplit=1)
    if model.startswith("replay:"):
        return " (name the tape: replay:tape.jsonl)"
    if model.startswith(_FORMS):
        return ""
    if len(head) == 2 and head[1]:
        begun = _MEANT.get(head[0].lower(), head[0].lower())
        close = difflib.get_close_matches(begun, ["playbook", "replay", *PROVIDERS], n=1)
        if close:
            return f" (did you mean '{close[0]}{'/' if close[0] in PROVIDERS else ':'}{head[1]}'?)"
        return _ADDRESSED if begun in _COMPATIBLE else ""
    of = next((kind for kind in ("openai", "anthropic") if model and price_of(f"{kind}/{model}") is not None), None)
    return f" (did you mean '{of}/{model}'?)" if of is not None else ""
