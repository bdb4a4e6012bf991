"""Writes table.json from the installed genai-prices: `python -m tachograph.prices.generate --date YYYY-MM-DD`.

The date is the day on which that version was published; without --date the one in the table is kept, which a new
version refuses. With --check nothing is written: exit code 1 and the file's name when it is stale.

A row of the table is a model: how its name is recognised, and its prices in US dollars per million tokens. Order
matters and is kept from the source: the first provider and the first model that match are the ones. Prices that ended
stay, so that a run of last month costs what it did then. What no token count can price (audio hours, pages, searches)
is left out; so are batch and priority rates, which telemetry does not tell apart.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_prices import __version__ as source_version
from genai_prices.data import providers as source_providers
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from datetime import time
    from decimal import Decimal

HERE = Path(__file__).parent
TABLE = HERE / "table.json"
ROOT = HERE.parents[2]

# The table's short keys for the unit prices that telemetry can fill.
KEYS = {
    "input_mtok": "in",
    "output_mtok": "out",
    "cache_read_mtok": "read",
    "cache_write_mtok": "write",
    "requests_kcount": "request",
}
TOKENS = {"in", "out"}

SIGNS: dict[type, tuple[str, str]] = {
    ClauseEquals: ("=", "equals"),
    ClauseStartsWith: ("^", "starts_with"),
    ClauseEndsWith: ("$", "ends_with"),
    ClauseContains: ("~", "contains"),
    ClauseRegex: ("/", "regex"),
}


def clause(logic: Any) -> Any:
    """A match rule as JSON: "=x" equals, "^x" starts, "$x" ends, "~x" contains, "/x" regex, a list any, {"all"} all."""
    if logic is None:
        return None
    if isinstance(logic, ClauseOr):
        return [clause(part) for part in logic.or_]
    if isinstance(logic, ClauseAnd):
        return {"all": [clause(part) for part in logic.and_]}
    if type(logic) not in SIGNS:
        raise UsageError(
            f"genai-prices has a match rule that the table cannot say: {logic!r}; teach `clause` about it."
        )
    sign, field = SIGNS[type(logic)]
    text: str = getattr(logic, field)
    return sign + (text if sign == "/" else text.lower())


def unit_price(value: Decimal | TieredPrices) -> Any:
    """A number, or [base, [threshold, price], …]: above a threshold of input tokens all tokens cost its price."""
    if isinstance(value, TieredPrices):
        return [float(value.base), *([tier.start, float(tier.price)] for tier in value.tiers)]
    return float(value)


def rates(prices: ModelPrice) -> dict[str, Any]:
    """The unit prices of one ModelPrice under the table's keys; none when it has no price for tokens."""
    found: dict[str, Any] = {}
    for source, key in KEYS.items():
        value = getattr(prices, source)
        if value is not None:
            found[key] = unit_price(value)
    return found if TOKENS & found.keys() else {}


def when(constraint: StartDateConstraint | TimeOfDateConstraint | None) -> str:
    """Empty for always, "2026-08-17" for a first day, "00:30-16:30" for hours of the day in UTC."""
    if constraint is None:
        return ""
    if isinstance(constraint, StartDateConstraint):
        return constraint.start_date.isoformat()
    return f"{_utc(constraint.start_time)}-{_utc(constraint.end_time)}"


def _utc(moment: time) -> str:
    if moment.utcoffset():
        raise UsageError(f"genai-prices has an hour that is not UTC: {moment}; convert it in `_utc`.")
    return moment.strftime("%H:%M:%S").removesuffix(":00")


def row(model: ModelInfo) -> list[Any]:
    """[match, prices] or [match, [[when, prices], …]] of one model."""
    if isinstance(model.prices, ModelPrice):
        return [clause(model.match), rates(model.prices)]
    conditional: list[ConditionalPrice] = model.prices
    return [clause(model.match), [[when(part.constraint), rates(part.prices)] for part in conditional]]


def provider_head(provider: Provider) -> dict[str, Any]:
    """What finds a provider, without its models."""
    head = {
        "id": provider.id,
        "name": clause(provider.provider_match),
        "model": clause(provider.model_match),
        "fallback": provider.fallback_model_providers,
    }
    return {key: value for key, value in head.items() if value}


def table(date: str) -> str:
    """The text of table.json: one line a model, so that a price change is one line of a diff."""
    names: dict[str, str] = tomllib.loads((HERE / "providers.toml").read_text("utf-8"))["names"]
    known = {provider.id for provider in source_providers}
    if lost := sorted(set(names.values()) - known):
        raise UsageError(f"providers.toml names providers that genai-prices does not have: {', '.join(lost)}.")
    heads = [_line(provider_head(provider)) for provider in source_providers]
    models = [_models(provider) for provider in source_providers]
    parts = [
        f'"source":"genai-prices {source_version}"',
        f'"date":"{date}"',
        f'"names":{_line(names)}',
        '"providers":[\n' + ",\n".join(heads) + "\n]",
        '"models":{\n' + ",\n".join(models) + "\n}",
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _models(provider: Provider) -> str:
    rows = [_line(row(model)) for model in provider.models]
    return f"{json.dumps(provider.id)}:[\n" + ",\n".join(rows) + "\n]"


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def table_date(given: str | None) -> str:
    """The date to write: the given one, else that of the table if it is of the same version."""
    if given:
        return given
    if TABLE.exists():
        old = json.loads(TABLE.read_text("utf-8"))
        if old["source"] == f"genai-prices {source_version}":
            return old["date"]
    raise UsageError(
        f"The price table is not from genai-prices {source_version}: run "
        "`python -m tachograph.prices.generate --date` with the day on which that version was published."
    )


def main() -> int:
    """Writes the table, or with --check says whether it is stale."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--date", metavar="YYYY-MM-DD")
    arguments = parser.parse_args()
    try:
        text = table(table_date(arguments.date))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 1
    if TABLE.exists() and TABLE.read_text("utf-8") == text:
        return 0
    where = TABLE.relative_to(ROOT)
    if arguments.check:
        print(f"{where} is not what genai-prices {source_version} says: run `make generate`.", file=sys.stderr)
        return 1
    TABLE.write_text(text, "utf-8")
    print(f"wrote {where} ({len(text) // 1024} KiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
