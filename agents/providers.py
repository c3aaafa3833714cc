"""Who can be asked over HTTP, and what each wants to be there: a package and variables of the environment."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from moot.agents.errors import ModelError

Kind: TypeAlias = Literal["openai", "anthropic", "ollama", "azure"]


@dataclass(frozen=True, slots=True)
class Provider:
    """Whose models are called `kind/NAME`."""

    kind: Kind
    title: str
    packages: tuple[str, ...]
    key: str = ""
    """The variable that holds the key; empty: none is needed."""
    settings: tuple[str, ...] = ()
    """Other variables that must be set."""
    address: str = ""
    """The variable that names another address than the usual one."""

    @property
    def variables(self) -> tuple[str, ...]:
        """All that must be set."""
        return (*([self.key] if self.key else []), *self.settings)

    @property
    def missing_package(self) -> str:
        """A package that is not installed; empty where nothing is missing."""
        return next((name for name in self.packages if importlib.util.find_spec(name) is None), "")

    @property
    def missing_variables(self) -> tuple[str, ...]:
        """Variables that are not set."""
        return tuple(name for name in self.variables if not os.environ.get(name))

    @property
    def install(self) -> str:
        """The command that brings the packages."""
        return f"pip install 'moot[{self.kind}]'"

    def check(self, model: str) -> None:
        """Raises ModelError where something is missing for `model`: which, and what helps."""
        if missing := self.missing_variables:
            what = "a key" if missing == (self.key,) else " and ".join(missing)
            told = f"set {self.key}" if missing == (self.key,) else f"set {'it' if len(missing) == 1 else 'them'}"
            raise ModelError(f"{model} needs {what}: {told} in the environment")
        if self.key:
            check_key(os.environ[self.key], self.key)
        for name in (self.address, *self.settings):
            if name.endswith(("_URL", "_ENDPOINT")) and os.environ.get(name):
                check_address(os.environ[name], f"{model}: {name}")
        self.check_packages(model)

    def check_packages(self, model: str) -> None:
        """Raises ModelError where a package is missing for `model`."""
        if missing := self.missing_package:
            raise ModelError(f"{model} needs the package '{missing}': {self.install}")


PROVIDERS: Mapping[Kind, Provider] = {
    "openai": Provider("openai", "OpenAI", ("openai", "tiktoken"), "OPENAI_API_KEY", address="OPENAI_BASE_URL"),
    "anthropic": Provider(
        "anthropic", "Anthropic", ("anthropic", "tiktoken"), "ANTHROPIC_API_KEY", address="ANTHROPIC_BASE_URL"
    ),
    "ollama": Provider("ollama", "Ollama", ("ollama", "tiktoken"), address="OLLAMA_HOST"),
    "azure": Provider(
        "azure",
        "Azure OpenAI",
        ("openai", "tiktoken"),
        "AZURE_OPENAI_API_KEY",
        ("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"),
    ),
}


def check_address(url: str, what: str) -> None:
    """Raises ModelError for what is no address that can be asked; it is not repeated, since a password may be in it."""
    if not url.startswith(("http://", "https://")):
        raise ModelError(f"{what} must be an address that begins with http:// or https://")
    if not _is_address(url):
        raise ModelError(f"{what} is no address that can be asked: check its host and its port")


def check_key(key: str, variable: str) -> None:
    """Raises ModelError for what cannot be sent as a key: the libraries repeat it when they refuse it."""
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        raise ModelError(
            f"{variable} holds no key that can be sent: there is a space or the end of a line around it, or a letter "
            "in it that no key has; set it again"
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:  # of the host's brackets, or of the port
        return False


def bare_url(url: str) -> str:
    """An address without user, password, query and last slash, fit to be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def provider_named(model: str) -> Provider | None:
    """Whose model `kind/NAME` is; None for a name of any other form."""
    kind, _, name = model.partition("/")
    return next((one for one in PROVIDERS.values() if one.kind == kind and name), None)
