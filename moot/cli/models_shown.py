"""What `moot models` says."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from moot.agents.local_models import ollama_models, ollama_url
from moot.agents.providers import PROVIDERS, Provider, bare_url
from moot.chats.errors import UserError
from moot.chats.templates import template_names
from moot.cli.exit_codes import ExitCode
from moot.cli.words import dollars

if TYPE_CHECKING:
    from moot.agents.model_probe import Probe
    from moot.agents.models import ModelSpec

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOBODY_THERE = "no server there"


@dataclass(frozen=True, slots=True)
class FoundModels:
    """What can be named, and what of it is ready."""

    ollama_at: str
    ollama: tuple[str, ...] | None
    """The models of the Ollama server; None where none answers."""
    playbooks: tuple[str, ...]

    def as_object(self) -> dict[str, object]:
        """For `--json`. Whether a variable is set is told, never its value."""
        return {
            "providers": [
                {
                    "name": f"{one.kind}/NAME",
                    "title": one.title,
                    "ready": not self._missing(one),
                    "missing": self._missing(one),
                    "installed": not one.missing_package,
                    "variables": {name: bool(os.environ.get(name)) for name in one.variables},
                    "models": [f"ollama/{name}" for name in self.ollama or ()] if one.kind == "ollama" else [],
                }
                for one in PROVIDERS.values()
            ],
            "compatible": {"name": "{base_url, model}", "ready": not PROVIDERS["openai"].missing_package},
            "playbooks": [f"playbook:{name}" for name in self.playbooks],
        }

    def text(self) -> str:
        """For people."""
        compatible = PROVIDERS["openai"]
        found = [(f"{one.kind}/NAME", self._missing(one), self._ready(one)) for one in PROVIDERS.values()]
        needs = f"not installed: {compatible.install}" if compatible.missing_package else ""
        found.append(("{base_url, model}", needs, "any server that speaks OpenAI's protocol"))
        found += [(f"playbook:{name}", "", "scripted, comes with Moot: no key, no network") for name in self.playbooks]
        found += [(f"ollama/{name}", "", f"at {self.ollama_at}") for name in self.ollama or ()]
        wide = max(len(name) for name, _, _ in found)
        return "\n".join(f"{'--' if needs else 'ok'}  {name:<{wide}}  {needs or ready}" for name, needs, ready in found)

    def _missing(self, one: Provider) -> str:
        """What keeps the provider's models from being asked; empty where nothing does."""
        if one.missing_package:
            return f"not installed: {one.install}"
        if one.missing_variables:
            return f"not set: {', '.join(one.missing_variables)}"
        return f"{_NOBODY_THERE}: {self.ollama_at}" if one.kind == "ollama" and self.ollama is None else ""

    def _ready(self, one: Provider) -> str:
        if one.kind == "ollama":
            return f"{len(self.ollama or ())} models at {self.ollama_at}"
        elsewhere = os.environ.get(one.address, "") if one.address else ""
        place = f", at {bare_url(elsewhere)}" if elsewhere else ""
        return f"{one.title}: {', '.join(one.variables)} set{place}"


async def found_models() -> FoundModels:
    """Looks around; asks no model."""
    return FoundModels(ollama_url(), await ollama_models(), tuple(template_names()))


def tested(name: str | None, *, base_url: str | None, model: str | None, key_env: str | None) -> str | ModelSpec:
    """The model meant on the command line. Raises UserError where it cannot be told."""
    if base_url is None:
        if name is None or model is not None or key_env is not None:
            raise UserError("name a model (moot models test openai/NAME), or give --base-url and --model")
        if name.startswith(("playbook:", "replay:")):
            raise UserError(f"{name} asks nobody: there is nothing to test")
        return name
    if name is not None or model is None:
        raise UserError("--base-url goes with --model, and without a NAME")
    if not re.match(r"https?://[^\s@]+$", base_url):
        raise UserError("--base-url is an address such as http://localhost:11434/v1, without user or password")
    if key_env is not None and not _VARIABLE.fullmatch(key_env):
        raise UserError("--key-env is the name of an environment variable, never the key itself")
    from moot.agents.models import ModelSpec

    return ModelSpec(base_url, model, None if key_env is None else f"${{env:{key_env}}}")


def probe_object(found: Probe) -> dict[str, object]:
    """For `--json`."""
    code = ExitCode.GOAL if found.ok else ExitCode.MODEL
    return {
        "model": found.model,
        "address": found.address,
        "ok": found.ok,
        "checks": [asdict(check) for check in found.checks],
        "hint": found.hint,
        "first_seconds": _rounded(found.first_seconds),
        "seconds": _rounded(found.seconds),
        "usage": {"input_tokens": found.input_tokens, "output_tokens": found.output_tokens, "usd": found.usd},
        "priced": found.usd is not None,
        "exit_code": int(code),
    }


def probe_text(found: Probe) -> str:
    """For people."""
    signs = {True: "ok  ", False: "--  "}
    lines = [
        f"{'FAIL' if check.needed and not check.ok else signs[check.ok]} {check.name:<14} {check.detail}"
        for check in found.checks
    ]
    if found.seconds is not None:
        first = f"{found.first_seconds:.2f} s to the first word, " if found.first_seconds is not None else ""
        lines.append(f"     {'time':<14} {first}{found.seconds:.2f} s in all")
    if found.input_tokens or found.output_tokens:
        cost = "no price is known" if found.usd is None else dollars(found.usd)
        lines.append(f"     {'taken':<14} {found.input_tokens} tokens in, {found.output_tokens} out, {cost}")
    if found.hint:
        lines.append(f"     {'hint':<14} {found.hint}")
    return "\n".join([f"{found.model}{f' ({found.address})' if found.address else ''}", *lines])


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
