"""The waterfall: one row a step, from when to when, with its kind in word and shape, its duration and its cost."""
# pyright: reportUnknownMemberType=false
# Altair's chainable methods are typed by way of its own schema, which pyright cannot follow.

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import pandas as pd  # pyright: ignore[reportMissingTypeStubs] - Altair wants its frames

from tachograph_analytics.app.words import duration
from tachograph_analytics.runs.labels import title, took

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph_analytics.runs.steps import Step

MOST_ROWS: Final = 150  # an SVG of more rows is slow to draw and slower to read
SELECTION: Final = "picked"

_ROW_PX: Final = 24
_AXIS_PX: Final = 60
# The names beside the bars: their room on a narrow window and on a wide one, in pixels.
_NAMES_PX: Final = "(windowSize()[0] < 700 ? 150 : 330)"
_DEEPEST: Final = 8  # levels that are indented; deeper ones stand at that of the eighth
# Room to the right of the longest bar for its text, as a share of the whole time.
_MARGIN: Final = 0.28

# Okabe and Ito's colours by what a step is for: frame, model, tool, guard, choice, memory.
_COLOURS: Final[Mapping[str, str]] = {
    "run": "#8A8F94",
    "turn": "#8A8F94",
    "step": "#8A8F94",
    "other": "#8A8F94",
    "llm": "#0072B2",
    "wire": "#56B4E9",
    "tool": "#009E73",
    "checkpoint": "#E69F00",
    "approval": "#E69F00",
    "plan": "#CC79A7",
    "route": "#CC79A7",
    "delegate": "#CC79A7",
    "combine": "#CC79A7",
    "cache": "#56B4E9",
}
PROBLEM: Final = "#D55E00"
_INK: Final = "#1B2026"
_INK_ON_DARK: Final = "#E8ECEF"


def waterfall(
    steps: Sequence[Step], problems: Mapping[str, Sequence[str]], picked: str | None, *, dark: bool = False
) -> alt.LayerChart:
    """The chart of at most MOST_ROWS steps; `problems` are sentences by span id, `picked` is the span in the details.

    `dark` says what it is drawn on. A selection named SELECTION gives the `span_id` of the row that is clicked.
    """
    ink = _INK_ON_DARK if dark else _INK
    rows = _rows(steps, problems, picked)
    end = max((row["end"] for row in rows), default=0.0) or 1.0
    unit, factor = _unit(end)
    for row in rows:
        row["start"], row["end"] = row["start"] / factor, row["end"] / factor
    end /= factor
    base = alt.Chart(pd.DataFrame(rows)).encode(y=_names(rows, ink))
    x = alt.X(
        "start:Q",
        title=f"{unit} since the run began",
        scale=alt.Scale(domain=[0, end * (1 + _MARGIN)], nice=False),
        axis=alt.Axis(orient="top", tickCount=6, grid=True, labelColor=ink, titleColor=ink),
    )
    bars = (
        base.mark_bar(height=12, cornerRadius=2, minBandSize=2, clip=True)
        .encode(
            x=x,
            x2="end:Q",
            color=alt.Color("colour:N", scale=None),
            opacity=alt.condition(alt.datum.picked, alt.value(1.0), alt.value(0.85)),
            stroke=alt.condition(alt.datum.picked, alt.value("#999999"), alt.value(None)),
            strokeWidth=alt.value(2),
            tooltip=[alt.Tooltip("title:N", title="step"), alt.Tooltip("took:N"), alt.Tooltip("problem:N")],
        )
        .add_params(alt.selection_point(name=SELECTION, fields=["span_id"], on="click", empty=False))
    )
    # A step of no length would be invisible as a bar.
    starts = base.mark_tick(thickness=2, height=12).encode(x=x, color=alt.Color("colour:N", scale=None))
    texts = base.mark_text(align="left", baseline="middle", dx=6, fontSize=13, color=ink).encode(
        x=alt.X("end:Q"), text="text:N"
    )
    layers: alt.LayerChart = alt.layer(bars, starts, texts)  # pyright: ignore[reportAssignmentType] - no facets here
    return layers.properties(height=_ROW_PX * len(rows) + _AXIS_PX).configure_view(stroke=None)


def description(steps: Sequence[Step], problems: Mapping[str, Sequence[str]], whole_ms: float | None) -> str:
    """The chart in a sentence, for those who cannot see it."""
    wrong = sum(step.span_id in problems for step in steps)
    longest = max(
        (step for step in steps if step.kind not in {"run", "turn", "step"}),
        key=lambda step: step.duration_ms or 0.0,
        default=None,
    )
    slow = f" The longest is {title(longest)} with {duration(longest.duration_ms)}." if longest is not None else ""
    whole = f"Waterfall of {len(steps)} steps in {duration(whole_ms)}, {wrong} of them with a problem."
    return f"{whole}{slow} The table below says the same."


def _rows(steps: Sequence[Step], problems: Mapping[str, Sequence[str]], picked: str | None) -> list[dict[str, Any]]:
    return [
        {
            "row": number,
            "span_id": step.span_id,
            "label": _label(step, wrong=step.span_id in problems),
            "title": title(step),
            "start": step.start_ms,
            "end": step.start_ms + (step.duration_ms or 0.0),
            "took": took(step),
            "problem": "; ".join(problems.get(step.span_id, ())) or "none",
            "text": ("▲ " if step.span_id in problems else "") + took(step),
            "colour": PROBLEM if step.span_id in problems else _COLOURS.get(step.kind, _COLOURS["other"]),
            "picked": step.span_id == picked,
        }
        for number, step in enumerate(steps[:MOST_ROWS])
    ]


def _label(step: Step, *, wrong: bool) -> str:
    # Vega trims texts: the zero-width space keeps the no-break spaces behind it.
    indent = "\u200b" + "\u00a0\u00a0\u00a0" * min(step.depth, _DEEPEST)
    return f"{indent}{'▲ ' if wrong else ''}{title(step)}"


def _names(rows: Sequence[Mapping[str, Any]], ink: str) -> alt.Y:
    """The axis of names: rows are numbers, since names repeat; a table in the axis turns them into names."""
    labels = json.dumps([row["label"] for row in rows])
    return alt.Y(
        "row:O",
        title=None,
        axis=alt.Axis(
            labelExpr=f"{labels}[datum.value]",
            labelAlign="left",
            labelPadding=alt.ExprRef(_NAMES_PX),
            labelLimit=alt.ExprRef(_NAMES_PX),
            labelFontSize=13,
            labelColor=ink,
            labelOverlap=False,
            ticks=False,
            domain=False,
        ),
    )


def _unit(end_ms: float) -> tuple[str, float]:
    if end_ms < 2_000:  # noqa: PLR2004 - two seconds
        return "ms", 1.0
    return ("seconds", 1_000.0) if end_ms < 600_000 else ("minutes", 60_000.0)  # noqa: PLR2004 - ten minutes
