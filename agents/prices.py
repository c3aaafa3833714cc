"""What a model costs: from a maintained price list, or from whoever says so."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

PER_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens read and a million tokens written. `source` says where the figures come from."""

    input_per_million: float
    output_per_million: float
    source: str

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """US dollars for that many tokens."""
        return (input_tokens * self.input_per_million + output_tokens * self.output_per_million) / PER_MILLION


FREE = Price(0.0, 0.0, "runs in this process")
"""Of a model that nobody bills for, which is not the same as a model whose price is unknown."""
OWN = Price(0.0, 0.0, "runs on a machine of yours")
_RENTED = ("-cloud", ":cloud")
"""How Ollama's names end for models that run on its company's machines: those are paid for otherwise."""


def price_of(name: str) -> Price | None:
    """The list price of `provider/model` (`openai/gpt-5-mini`); None where it is not listed: unpriced, not free.

    A deployment of Azure's that is called like a model of OpenAI's has the price of that model. What Ollama runs is
    free, except on machines of its company's.

    The list comes with the installed package; nothing is fetched. Where a price rises with the length of the request
    the highest is taken, so that what is reserved for a call is never too little. Cached input counts as input.
    """
    from datetime import UTC, datetime
    from importlib.metadata import version

    from genai_prices.data_snapshot import get_snapshot

    provider, slash, model = name.partition("/")
    if not slash or not model:
        return None
    if provider == "ollama":
        return None if model.endswith(_RENTED) else OWN
    provider = "openai" if provider == "azure" else provider
    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    prices = found.get_prices(datetime.now(UTC))
    # Set per unit of the list, so not declared as fields; a model billed by the image or the second has neither.
    per_input, per_output = getattr(prices, "input_mtok", None), getattr(prices, "output_mtok", None)
    if per_input is None or per_output is None:
        return None
    return Price(_highest(per_input), _highest(per_output), f"genai-prices {version('genai-prices')}")


def _highest(price: Decimal | TieredPrices) -> float:
    """The dearest tier of a price."""
    if isinstance(price, Decimal):
        return float(price)
    return float(max([price.base, *(tier.price for tier in price.tiers)]))
