from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from genai_prices import Usage as SourceUsage
from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from tachograph.prices import Price, Usage, price

NOW = datetime(2026, 11, 13, 11, 17, tzinfo=UTC)
LAST_YEAR = datetime(2025, 11, 13, 2, 17, tzinfo=UTC)


def names_of(rule: object) -> list[str]:
    """Every whole name that a match rule of the source spells out."""
    equals = getattr(rule, "equals", None)
    parts = getattr(rule, "or_", None) or ()
    return ([equals] if equals else []) + [name for part in parts for name in names_of(part)]


def prices_of(model: ModelInfo) -> list[ModelPrice]:
    return [model.prices] if isinstance(model.prices, ModelPrice) else [part.prices for part in model.prices]


def priced_by_tokens(model: ModelInfo) -> bool:
    return all(part.input_mtok is not None or part.output_mtok is not None for part in prices_of(model))


def usages(model: ModelInfo) -> list[Usage]:
    """Odd numbers below, at and above every threshold of the model."""
    values = [value for part in prices_of(model) for value in part.__dict__.values()]
    starts = {tier.start for value in values if isinstance(value, TieredPrices) for tier in value.tiers}
    sizes = [1311, *(start + step for start in starts for step in (0, 1, 1313))]
    return [Usage(size, 17, cached_tokens=11, cache_write_tokens=13) for size in sizes]


def source_amount(provider: Provider, model: ModelInfo, usage: Usage, at: datetime) -> float:
    reported = SourceUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    return float(model.calc_price(reported, provider, genai_request_timestamp=at).total_price)


CASES = [
    (provider, name, found)
    for provider in providers
    for model in provider.models
    for name in [model.id, *names_of(model.match)]
    if (found := provider.find_model(name, all_providers=providers)) is not None and priced_by_tokens(found)
]


@pytest.mark.parametrize("at", [NOW, LAST_YEAR], ids=["now", "last year"])
def test_every_token_priced_model_costs_what_the_source_says(at):
    wrong: list[str] = []
    checked = 0
    for provider, name, model in CASES:
        for usage in usages(model):
            ours = price(provider.id, name, usage, at=at)
            theirs = source_amount(provider, model, usage, at)
            checked += 1
            if ours is None or not math.isclose(ours.amount, theirs, rel_tol=1e-12):
                wrong.append(f"{provider.id} {name} {usage}: {ours} is not {theirs}")
    assert wrong == []
    assert checked > 2500


def test_a_price_carries_the_date_of_the_table():
    found = price("openai", "gpt-4o", Usage(1_000_000, 0), at=NOW)
    assert found == Price(2.5, "2026-11-10")


def test_cached_and_written_tokens_have_their_own_price():
    found = price(
        "anthropic", "claude-3-5-haiku-latest", Usage(1300, 17, cached_tokens=1100, cache_write_tokens=13), at=NOW
    )
    expected = (187 * 0.8 + 17 * 4 + 1100 * 0.08 + 13 * 1) / 1e6
    assert found is not None
    assert math.isclose(found.amount, expected, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("no-such-provider", "gpt-4o"),
        (None, "no-such-model"),
        ("", ""),
        ("groq", "whisper-large-v3"),
        ("openai", "x" * 100_000),
    ],
)
def test_what_the_table_does_not_know_has_no_price(provider, model):
    assert price(provider, model, Usage(11, 13), at=NOW) is None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(11, 13, cached_tokens=17),
        Usage(11, -1),
        Usage(11, 13, cached_tokens=7, cache_write_tokens=5),
        Usage(-1, 13),
    ],
)
def test_usage_whose_parts_exceed_the_whole_has_no_price(usage):
    assert price("openai", "gpt-4o", usage, at=NOW) is None


@pytest.mark.parametrize(
    ("provider", "model", "same_as"),
    [
        ("azure.ai.openai", "gpt-4o", ("azure", "gpt-4o")),
        ("gcp.vertex_ai", "gemini-2.5-pro", ("google", "gemini-2.5-pro")),
        ("mistral_ai", "mistral-small-latest", ("mistral", "mistral-small-latest")),
        ("x_ai", "grok-4", ("x-ai", "grok-4")),
        ("OpenAI", "GPT-4o", ("openai", "gpt-4o")),
        (None, "gpt-4o", ("openai", "gpt-4o")),
        (None, "openai/gpt-4o", ("openai", "gpt-4o")),
        (None, "openai:gpt-4o", ("openai", "gpt-4o")),
        ("litellm", "mistral/mistral-small-latest", ("mistral", "mistral-small-latest")),
        ("openai", "gpt-4o-20241120", ("openai", "gpt-4o-2024-11-20")),
    ],
)
def test_a_provider_is_known_by_its_names_in_telemetry(provider, model, same_as):
    usage = Usage(1117, 13, cached_tokens=11)
    found = price(provider, model, usage, at=NOW)
    assert found is not None
    assert found == price(*same_as, usage, at=NOW)


def test_hours_of_the_day_choose_the_price():
    night = price("deepseek", "deepseek-chat", Usage(1_000_000, 0), at=datetime(2026, 11, 13, 0, 29, 59, tzinfo=UTC))
    day = price("deepseek", "deepseek-chat", Usage(1_000_000, 0), at=datetime(2026, 11, 13, 0, 30, tzinfo=UTC))
    evening = price("deepseek", "deepseek-chat", Usage(1_000_000, 0), at=datetime(2026, 11, 13, 16, 30))  # noqa: DTZ001  naive means UTC
    assert (night, day, evening) == (
        Price(0.135, "2026-11-10"),
        Price(0.27, "2026-11-10"),
        Price(0.135, "2026-11-10"),
    )


def test_without_a_time_the_price_is_of_now():
    assert price("openai", "gpt-4o", Usage(1_000_000, 0)) == price("openai", "gpt-4o", Usage(1_000_000, 0), at=NOW)


def test_the_lookup_does_not_need_the_source():
    code = (
        "import sys; from tachograph.prices import Usage, price; assert price('openai', 'gpt-4o', Usage(11, 13));"
        "assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
