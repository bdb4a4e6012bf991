"""The price of one LLM call in US dollars, or None when the table does not know: never a guess, never 0 for unknown.

The table is read at the first call (a few milliseconds) and never touches the network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, cast

from tachograph.prices.match import dashed_dates, matches

_MODEL_LENGTH = 256  # longer names are no model's; keeps the table's regular expressions short
_REMEMBERED = 512  # (provider, model) pairs; an agent uses a handful


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call: input includes cached and cache-written ones, output includes reasoning."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def plausible(self) -> bool:
        """False when the parts exceed the whole: the numbers were read by another convention."""
        parts = (self.output_tokens, self.cached_tokens, self.cache_write_tokens)
        return min(parts) >= 0 and self.cached_tokens + self.cache_write_tokens <= self.input_tokens


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars of one call, and the date of the table that says so."""

    amount: float
    version: str


def price(provider: str | None, model: str, usage: Usage, *, at: datetime | None = None) -> Price | None:
    """What `usage` of `model` costs at the standard rate; None when the table has no price for it.

    `provider` is a name as telemetry says it (`openai`, `aws.bedrock`, `gcp.vertex_ai` …); None finds it by the model.
    `at` is when the call was made, UTC if it has no time zone; now by default. A usage whose parts exceed its whole
    has no price.
    """
    if not usage.plausible:
        return None
    entry = _entry(provider and provider.strip().lower(), model.strip().lower()[:_MODEL_LENGTH])
    rates = _rates(entry, at)
    return Price(_amount(rates, usage), _table()["date"]) if rates else None


@cache
def _table() -> dict[str, Any]:
    return json.loads(files("tachograph.prices").joinpath("table.json").read_text("utf-8"))


@lru_cache(_REMEMBERED)
def _entry(provider: str | None, model: str) -> Any:
    """The table's prices of a model, or None."""
    if provider in {None, "", "litellm"}:
        provider, model = _provider_by_model(model)
    else:
        provider = _provider_by_name(provider or "")
    if provider is None:
        return None
    found = _model(provider, model)
    dashed = dashed_dates(model)
    return _model(provider, dashed) if found is None and dashed != model else found


def _provider_by_name(name: str) -> str | None:
    table = _table()
    if name in table["models"]:
        return name
    if name in table["names"]:
        return table["names"][name]
    return next((head["id"] for head in table["providers"] if matches(head.get("name"), name)), None)


def _provider_by_model(model: str) -> tuple[str | None, str]:
    """The provider that a bare model name belongs to; a gateway's `provider/model` and `provider:model` are split."""
    for head in _table()["providers"]:
        if matches(head.get("model"), model):
            return head["id"], model
    for separator in "/:":
        prefix, found, rest = model.partition(separator)
        if found and (provider := _provider_by_name(prefix)):
            return provider, rest
    return None, model


def _model(provider: str, model: str) -> Any:
    table = _table()
    head = next(head for head in table["providers"] if head["id"] == provider)
    for owner in (provider, *head.get("fallback", ())):
        for rule, prices in table["models"][owner]:
            if matches(rule, model):
                return prices
    return None


def _rates(entry: Any, at: datetime | None) -> dict[str, Any] | None:
    """The unit prices that hold at that time: the last condition that is met, else the first price."""
    if not isinstance(entry, list):
        return entry
    moment = datetime.now(UTC) if at is None else at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    day, clock = moment.date().isoformat(), moment.strftime("%H:%M:%S.%f")
    parts = cast("list[list[Any]]", entry)
    return next((rates for when, rates in reversed(parts) if _holds(when, day, clock)), parts[0][1])


def _holds(when: str, day: str, clock: str) -> bool:
    if ":" not in when:
        return day >= when
    start, _, end = when.partition("-")
    return start <= clock < end if start <= end else clock >= start or clock < end


def _amount(rates: dict[str, Any], usage: Usage) -> float:
    """Cached and cache-written tokens at their own price where there is one, else at that of input."""
    read = usage.cached_tokens if "read" in rates else 0
    write = usage.cache_write_tokens if "write" in rates else 0
    counts = {
        "in": usage.input_tokens - read - write,
        "out": usage.output_tokens,
        "read": read,
        "write": write,
        "request": 1000,  # priced per thousand, so that one division serves all
    }
    return sum(_unit(value, usage.input_tokens) * counts[key] for key, value in rates.items()) / 1_000_000


def _unit(value: Any, input_tokens: int) -> float:
    if not isinstance(value, list):
        return value
    tiers = cast("list[Any]", value)
    return next((cost for start, cost in reversed(tiers[1:]) if input_tokens > start), tiers[0])
