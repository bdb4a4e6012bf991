"""The differences of all gates on one scale: a mark with its interval, left and right of no difference."""
# pyright: reportUnknownMemberType=false
# Altair's chainable methods are typed by way of its own schema, which pyright cannot follow.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt
import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - Altair wants its frames

from tachograph_analytics.app.comparisons import LOOKS, difference, interval
from tachograph_analytics.app.words import many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph_analytics.canary import Gate
    from tachograph_analytics.canary.gate import Scale

TITLES: Final[Mapping[Scale, str]] = {
    "points": "Difference of shares, in points (candidate minus baseline)",
    "relative": "Relative change, in % of the baseline",
}
_ROW_PX: Final = 34
_AXIS_PX: Final = 60
_NAMES_PX: Final = 260
# Okabe and Ito's colours; the mark's shape and the word in the table say the same.
_COLOURS: Final[Mapping[str | None, str]] = {"worse": "#D55E00", "better": "#009E73", "unclear": "#8A8F94"}
_SHAPES: Final[Mapping[str | None, str]] = {"worse": "triangle-up", "better": "triangle-down", "unclear": "circle"}
_INK: Final = "#1B2026"
_INK_ON_DARK: Final = "#E8ECEF"


def drawn(gates: Sequence[Gate], scale: Scale) -> tuple[Gate, ...]:
    """The gates that the chart of this scale has: those with an interval."""
    return tuple(gate for gate in gates if gate.criterion.scale == scale and gate.interval is not None)


def chart(gates: Sequence[Gate], scale: Scale, *, dark: bool = False) -> alt.LayerChart:
    """The chart of the gates of `drawn`, in their order; `dark` says what it is drawn on."""
    ink = _INK_ON_DARK if dark else _INK
    rows = [_row(gate) for gate in drawn(gates, scale)]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y(
            "gate:N",
            sort=[row["gate"] for row in rows],
            title=None,
            axis=alt.Axis(labelLimit=_NAMES_PX, labelFontSize=13, labelColor=ink, ticks=False, domain=False),
        ),
        color=alt.Color("colour:N", scale=None),
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("gate", "look", "difference", "interval")],
    )
    zero = alt.Chart(pd.DataFrame([{"none": 0}])).mark_rule(color=ink, strokeDash=[4, 3]).encode(x="none:Q")
    lines = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=TITLES[scale], axis=alt.Axis(labelColor=ink, titleColor=ink)), x2="high:Q"
    )
    marks = base.mark_point(size=110, filled=True, opacity=1).encode(
        x=alt.X("value:Q"), shape=alt.Shape("shape:N", scale=None)
    )
    layers: alt.LayerChart = alt.layer(zero, lines, marks)  # pyright: ignore[reportAssignmentType] - no facets here
    return layers.properties(height=_ROW_PX * len(rows) + _AXIS_PX).configure_view(stroke=None)


def description(gates: Sequence[Gate], scale: Scale) -> str:
    """The chart in a sentence, for those who cannot see it: what stands out; the table has the rest."""
    shown = drawn(gates, scale)
    clear = [gate for gate in shown if gate.tendency != "unclear"]
    said = [f"{gate.criterion.label} {LOOKS[gate.tendency]}, {difference(gate)} ({interval(gate)})" for gate in clear]
    if len(clear) < len(shown):
        said.append(f"{len(shown) - len(clear)} of {many(len(shown), 'gate')} without a clear difference")
    return f"{TITLES[scale]}: {'; '.join(said)}. The table above says the same."


def _row(gate: Gate) -> dict[str, Any]:
    low, high = gate.interval or (0.0, 0.0)
    return {
        "gate": gate.criterion.label,
        "value": 100 * (gate.difference or 0.0),
        "low": 100 * low,
        "high": 100 * high,
        "look": LOOKS[gate.tendency],
        "difference": difference(gate),
        "interval": interval(gate),
        "colour": _COLOURS[gate.tendency],
        "shape": _SHAPES[gate.tendency],
    }
