"""Cost over time: a bar for each step of time, the window and what it is compared with shaded behind them."""
# pyright: reportUnknownMemberType=false
# Altair's chainable methods are typed by way of its own schema, which pyright cannot follow.

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - Altair wants its frames

from tachograph_analytics.app.words import usd, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph_analytics.spikes.spend import Bucket, Spend
    from tachograph_analytics.spikes.window import Comparison

SELECTION: Final = "brush"
WINDOW_WORD: Final = "window"
BASELINE_WORD: Final = "baseline"

_HEIGHT_PX: Final = 280
_HEADROOM: Final = 1.15  # above the highest bar, for the words of the shades
# Okabe and Ito's orange and blue; the words above the shades say the same.
_SHADES: Final[Mapping[str, str]] = {WINDOW_WORD: "#E69F00", BASELINE_WORD: "#56B4E9"}
_BAR: Final = "#0072B2"
_BAR_ON_DARK: Final = "#56B4E9"
_INK: Final = "#1B2026"
_INK_ON_DARK: Final = "#E8ECEF"
_UTC: Final = alt.Scale(type="utc")


def chart(spend: Spend, comparison: Comparison, usual_cost: float, *, dark: bool = False) -> alt.LayerChart:
    """The chart; `usual_cost` is what the baseline would have cost in the window's time, drawn as a dashed level.

    `dark` says what it is drawn on. A selection named SELECTION gives the range of time that is brushed.
    """
    ink = _INK_ON_DARK if dark else _INK
    bars = (
        alt.Chart(pd.DataFrame([_bar(bucket, spend.width, comparison) for bucket in spend.buckets]))
        .mark_bar(color=_BAR_ON_DARK if dark else _BAR, stroke=None)
        .encode(
            x=alt.X("start:T", scale=_UTC, title="UTC", axis=alt.Axis(labelColor=ink, titleColor=ink)),
            x2="end:T",
            y=alt.Y(
                "cost:Q",
                title=f"USD per {step(spend.width)}",
                scale=alt.Scale(domain=[0, _top(spend, comparison, usual_cost)], nice=False),
                axis=alt.Axis(labelColor=ink, titleColor=ink),
            ),
            y2=alt.datum(0),
            tooltip=[alt.Tooltip(f"{name}:N") for name in ("time", "spent", "runs", "successes", "part")],
        )
        .add_params(alt.selection_interval(name=SELECTION, encodings=["x"]))
    )
    layers: alt.LayerChart = alt.layer(
        *_shades(spend, comparison, ink), bars, *_usual(spend, comparison, usual_cost, ink)
    )  # pyright: ignore[reportAssignmentType] - no facets here
    return layers.properties(height=_HEIGHT_PX).configure_view(stroke=None)


def description(spend: Spend, sentence: str) -> str:
    """The chart in words, for those who cannot see it; `sentence` is what it shows."""
    if not spend.buckets:
        return f"An empty chart. {sentence}"
    highest = max(spend.buckets, key=lambda bucket: bucket.cost)
    return (
        f"Bars of cost per {step(spend.width)} from {when(spend.buckets[0].ts)} on, window and baseline shaded. "
        f"{sentence} The highest bar is {usd(highest.cost)}, at {when(highest.ts)}. The table below says the same."
    )


def step(width: timedelta) -> str:
    """The length of a bar in words."""
    minutes = int(width.total_seconds() // 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} minutes"
    hours = minutes // 60
    return {1: "hour", 24: "day"}.get(hours, f"{hours} hours")


def part(bucket: Bucket, width: timedelta, comparison: Comparison) -> str:
    """What of a comparison a bar touches."""
    ends = bucket.ts + width
    if bucket.ts < comparison.window.until and ends > comparison.window.since:
        return WINDOW_WORD
    touched = any(bucket.ts < span.until and ends > span.since for span in comparison.baseline)
    return BASELINE_WORD if touched else ""


def brushed(selection: Mapping[str, Any], width: timedelta) -> tuple[datetime, datetime] | None:
    """The range that was brushed, widened to whole steps, at least one; None where nothing is."""
    ranges = [ends for ends in dict(selection.get(SELECTION) or {}).values() if ends]
    if not ranges:
        return None
    seconds = width.total_seconds()
    first, last = (float(end) / 1000 for end in ranges[0])
    since = first // seconds * seconds
    until = max(since + seconds, -(-last // seconds) * seconds)
    return datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC)


def _bar(bucket: Bucket, width: timedelta, comparison: Comparison) -> dict[str, Any]:
    return {
        "start": bucket.ts,
        "end": bucket.ts + width,
        "cost": bucket.cost,
        "time": when(bucket.ts),
        "spent": usd(bucket.cost),
        "runs": bucket.runs,
        "successes": bucket.successes,
        "part": part(bucket, width, comparison) or "neither",
    }


def _shades(spend: Spend, comparison: Comparison, ink: str) -> list[alt.Chart]:
    first = spend.buckets[0].ts if spend.buckets else comparison.window.since
    spans = [(comparison.window, WINDOW_WORD), *((span, BASELINE_WORD) for span in comparison.baseline)]
    rows = [
        {"start": max(span.since, first), "end": span.until, "word": word, "colour": _SHADES[word]}
        for span, word in spans
        if span.until > first
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(x=alt.X("start:T", scale=_UTC), x2="end:T")
    areas = base.mark_rect(opacity=0.28).encode(color=alt.Color("colour:N", scale=None))
    texts = base.mark_text(align="left", baseline="top", dx=3, dy=2, fontSize=12, color=ink, clip=True)
    return [areas, texts.encode(y=alt.value(0), text="word:N")]


def _usual(spend: Spend, comparison: Comparison, usual_cost: float, ink: str) -> list[alt.Chart]:
    """The level of the baseline across the window; none where there is nothing to compare with."""
    window = comparison.window
    if not usual_cost or not window.length:
        return []
    level = _level(spend, comparison, usual_cost)
    frame = pd.DataFrame([{"start": window.since, "end": window.until, "level": level, "word": f"usual {usd(level)}"}])
    base = alt.Chart(frame).encode(x=alt.X("start:T", scale=_UTC), x2="end:T", y="level:Q")
    return [base.mark_rule(strokeDash=[5, 3], strokeWidth=2, color=ink).encode(tooltip=[alt.Tooltip("word:N")])]


def _level(spend: Spend, comparison: Comparison, usual_cost: float) -> float:
    return usual_cost * (spend.width / comparison.window.length) if comparison.window.length else 0.0


def _top(spend: Spend, comparison: Comparison, usual_cost: float) -> float:
    highest = max((bucket.cost for bucket in spend.buckets), default=0.0)
    return max(highest, _level(spend, comparison, usual_cost)) * _HEADROOM or 1.0
