"""How the money of a page was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tachograph_analytics.app.words import many

if TYPE_CHECKING:
    from tachograph_analytics.runs.totals import Pricing


def said(prices: Pricing) -> str:
    """An estimate says so, with the date of its prices; calls without a price are said to be left out."""
    parts: list[str] = []
    if prices.estimated_calls:
        dates = ", ".join(prices.price_dates)
        parts.append(f"estimated, prices of {dates}" if dates else "estimated")
    if prices.reported_calls:
        parts.append(f"{many(prices.reported_calls, 'call')} as the provider says" if parts else "as the provider says")
    if prices.unpriced_calls:
        parts.append(f"without {many(prices.unpriced_calls, 'call')} that have no price")
    return "; ".join(parts) or "no LLM calls"
