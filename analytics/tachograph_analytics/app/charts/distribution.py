"""How the sessions of two releases are spread: a curve for a quantity, paired bars for what happened in them."""
# pyright: reportUnknownMemberType=false
# Altair's chainable methods are typed by way of its own schema, which pyright cannot follow.

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import altair as alt
import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - Altair wants its frames

from tachograph_analytics.app.words import duration, share, usd
from tachograph_analytics.canary.evidence import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tachograph_analytics.canary import Comparison, Pair
    from tachograph_analytics.canary.evidence import Kinds, Spread

TOLD: Final = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""The shares of sessions whose quantiles the table and the sentence name."""

_LAST_DRAWN: Final = 0.99  # the costliest hundredth would squeeze the rest into a corner; the table has it
_HEIGHT_PX: Final = 380
_BAR_PX: Final = 22
_AXIS_PX: Final = 130  # with the legend above the bars
# Okabe and Ito's blue and vermilion; dashes, texture and the legend's words say the same.
_BASELINE: Final = "#0072B2"
_BASELINE_ON_DARK: Final = "#56B4E9"
_CANDIDATE: Final = "#D55E00"
_INK: Final = "#1B2026"
_INK_ON_DARK: Final = "#E8ECEF"
_MS_S: Final = 1000.0
_SHOWN: Final[Mapping[str, Callable[[float | None], str]]] = {"USD": usd, "ms": duration}


def quantile(values: tuple[float, ...], level: float, unit: str) -> str:
    """One quantile of a spread as people read it."""
    return _SHOWN[unit](values[LEVELS.index(level)]) if values else "no sessions"


def curves(spread: Spread, pair: Pair, *, dark: bool = False) -> alt.Chart:
    """The share of sessions at or below each value, a curve a release, up to the 99th percentile."""
    ink = _INK_ON_DARK if dark else _INK
    scale = _MS_S if spread.unit == "ms" else 1.0
    names = _names(pair)
    rows = [
        {"release": name, "value": value / scale, "share": level}
        for name, values in zip(names, (spread.baseline, spread.candidate), strict=True)
        for level, value in zip(LEVELS, values, strict=False)
        if level <= _LAST_DRAWN
    ]
    unit = "seconds" if spread.unit == "ms" else spread.unit
    axis = alt.Axis(labelColor=ink, titleColor=ink)
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("value:Q", title=f"{spread.label}, {unit}", axis=axis),
            y=alt.Y(
                "share:Q",
                title="Share of sessions at or below",
                axis=alt.Axis(format="%", labelColor=ink, titleColor=ink),
            ),
            color=_colour(names, ink, dark=dark),
            strokeDash=alt.StrokeDash(
                "release:N", sort=names, title="Release", scale=alt.Scale(domain=names, range=[[1, 0], [6, 3]])
            ),
            tooltip=[
                alt.Tooltip("release:N"),
                alt.Tooltip("value:Q", format=",.4g"),
                alt.Tooltip("share:Q", format=".0%"),
            ],
        )
        .properties(height=_HEIGHT_PX)
        .configure_view(stroke=None)
    )


def curves_description(spread: Spread, pair: Pair) -> str:
    """The curves in a sentence, for those who cannot see them."""
    half, most = (
        [quantile(values, level, spread.unit) for values in (spread.baseline, spread.candidate)]
        for level in (0.5, 0.95)
    )
    said = "; ".join(
        f"{name}: half at or below {middle}, 95 % at or below {high}"
        for name, middle, high in zip(_names(pair), half, most, strict=True)
    )
    return f"{spread.label}, share of sessions at or below each value. {said}. The table below says the same."


def bars(kinds: Kinds, comparison: Comparison, *, dark: bool = False) -> alt.Chart:
    """The share of sessions in which each kind of thing happened, a pair of bars a kind."""
    ink = _INK_ON_DARK if dark else _INK
    names = _names(comparison.pair)
    sessions = (comparison.baseline.sessions, comparison.candidate.sessions)
    rows = [
        {"kind": kind.name, "release": name, "share": count / n if n else 0.0, "sessions": count}
        for kind in kinds.kinds
        for name, count, n in zip(names, (kind.baseline, kind.candidate), sessions, strict=True)
    ]
    label = alt.Axis(labelColor=ink, titleColor=ink, labelLimit=260, labelFontSize=13)
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="Share of sessions", axis=alt.Axis(format="%", labelColor=ink, titleColor=ink)),
            y=alt.Y("kind:N", sort=[kind.name for kind in kinds.kinds], title=None, axis=label),
            yOffset=alt.YOffset("release:N", sort=names),
            color=_colour(names, ink, dark=dark),
            tooltip=[alt.Tooltip(f"{name}:N") for name in ("kind", "release", "sessions")],
        )
        .properties(height=2 * _BAR_PX * len(kinds.kinds) + _AXIS_PX)
        .configure_view(stroke=None)
    )


def bars_description(kinds: Kinds, comparison: Comparison) -> str:
    """The bars in a sentence, for those who cannot see them."""
    sessions = (comparison.baseline.sessions, comparison.candidate.sessions)
    said = "; ".join(
        f"{kind.name}: {of(kind.baseline, sessions[0])} and {of(kind.candidate, sessions[1])}" for kind in kinds.kinds
    )
    releases = " and ".join(_names(comparison.pair))
    return f"{kinds.label}, share of sessions with {releases}. {said}. The table below says the same."


def of(count: int, n: int) -> str:
    """A count as a share of `n` sessions."""
    return share(count / n) if n else "no sessions"


def _names(pair: Pair) -> list[str]:
    return [f"{pair.baseline.id} (baseline)", f"{pair.candidate.id} (candidate)"]


def _colour(names: list[str], ink: str, *, dark: bool) -> alt.Color:
    palette = [_BASELINE_ON_DARK if dark else _BASELINE, _CANDIDATE]
    legend = alt.Legend(orient="top", title="Release", labelColor=ink, titleColor=ink, labelLimit=300)
    return alt.Color("release:N", sort=names, scale=alt.Scale(domain=names, range=palette), legend=legend)
