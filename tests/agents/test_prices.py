"""A price is known or unknown; unknown is never zero."""

from __future__ import annotations

import pytest

from moot.agents.prices import FREE, Price, price_of


def test_a_listed_model_has_a_price_that_names_its_source() -> None:
    price = price_of("openai/gpt-4o")
    assert price is not None
    assert price.input_per_million > 0
    assert price.output_per_million > price.input_per_million
    assert price.source.startswith("genai-prices ")


@pytest.mark.parametrize(
    "name", ["openai/no-such-model", "no-such-provider/gpt-4o", "gpt-4o", "openai/", "", "playbook:x"]
)
def test_an_unknown_model_is_unpriced(name: str) -> None:
    assert price_of(name) is None


def test_a_price_that_rises_with_the_request_is_taken_at_its_highest() -> None:
    from datetime import UTC, datetime

    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import TieredPrices

    openai = next(p for p in get_snapshot().providers if p.id == "openai")
    dearest: dict[str, float] = {}
    for model in openai.models:
        price = vars(model.get_prices(datetime.now(UTC))).get("input_mtok")
        if isinstance(price, TieredPrices):
            dearest[model.id] = max(float(tier.price) for tier in price.tiers)
    assert dearest, "the list no longer has such a model"
    found = {name: price_of(f"openai/{name}") for name in dearest}
    assert {name: price and price.input_per_million for name, price in found.items()} == dearest


def test_the_cost_counts_what_is_read_and_what_is_written() -> None:
    assert Price(2.0, 8.0, "given").cost(500_000, 250_000) == 3.0
    assert FREE.cost(10**9, 10**9) == 0.0
