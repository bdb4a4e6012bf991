from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tachograph_analytics.app import comparisons
from tachograph_analytics.app.charts import distribution
from tachograph_analytics.app.charts import gates as drawing
from tachograph_analytics.canary import Comparison, Gate, Pair, Release
from tachograph_analytics.canary.evidence import LEVELS, Kind, Kinds, Spread
from tachograph_analytics.canary.gate import CRITERIA
from tachograph_analytics.canary.sessions import Arm
from tachograph_analytics.runs.figure import Figure
from tachograph_analytics.runs.scope import Scope

AT = datetime(2026, 1, 1, 13, tzinfo=UTC)
PAIR = Pair(*(Release("support", name, (), AT, AT, 1013, 1013) for name in ("2.7", "2.8")))


def gate(name, difference=None, interval=None, *, state="numbers", value=(0.11, 0.13), samples=(1029, 1013), **more):
    figures = (Figure(name, one, "share", "SELECT 1") for one in value)
    return Gate(CRITERIA[name], state, *figures, samples, difference, interval, **more)


COST = gate("cost_per_success", 0.6, (0.53, 0.671))
SUCCESS = gate("success", -0.003, (-0.0173, 0.013))
FASTER = gate("latency", -0.051, (-0.07, -0.031))
BLOCKED = gate("blocked", -0.02, (-0.03, -0.01))
FEW = gate("approval", 0.07, state="too few")
SILENT = gate("golden", state="no data", value=(None, None), samples=(0, 0), reason="none", missing="evaluation")


def compared(*gates, **more):
    arms = (Arm(1029, 1031, 0, 500, frozenset()), Arm(1013, 1013, 0, 500, frozenset()))
    return Comparison(PAIR, Scope(AT, AT, "support"), *arms, more.pop("both", 0), gates, **more)


def test_a_tendency_is_the_side_on_which_the_whole_interval_lies():
    assert [g.tendency for g in (COST, SUCCESS, FASTER, BLOCKED, FEW, SILENT)] == [
        "worse",
        "unclear",
        "better",
        "worse",  # fewer blocks: a guardrail may have gone
        None,
        None,
    ]


LESS = gate("success", -0.051, (-0.07, -0.031), value=(0.9, 0.849))
SAME = gate("cost_per_success", 0.01, (-0.03, 0.06))
BOTH = "(1,013 and 1,029 sessions)"
COSTS = f"2.8 costs 60 % more per success than 2.7 {BOTH}"
NOTHING = f"Nothing looks worse with 2.8 than with 2.7 {BOTH}"
FEWER = f"Blocked or refused: 13.0 % with 2.8, 2.0 points less than with 2.7 {BOTH}"


@pytest.mark.parametrize(
    ("gates", "sentences"),
    [
        ((SUCCESS, COST), (COSTS, "success is the same within ±2 points.")),
        ((LESS, COST), (COSTS, "success is 5.1 points lower.")),
        (
            (LESS, SAME),
            (
                f"Success: 84.9 % with 2.8, 5.1 points less than with 2.7 {BOTH}",
                "cost per success is the same within ±6 %.",
            ),
        ),
        (
            (SUCCESS, gate("cost_per_success", state="no data"), FASTER),
            (NOTHING, "success is the same within ±2 points", "nothing can be said about cost per success."),
        ),
        ((gate("success", state="too few"), BLOCKED), (FEWER, "success has too few sessions for an interval.")),
    ],
    ids=["costs more", "costs more and does less", "does less", "no price", "too few"],
)
def test_the_headline(gates, sentences):
    assert comparisons.headline(compared(*gates)) == "; ".join(sentences)


def test_left_out_sessions_and_a_ramp_are_said():
    comparison = compared(COST, both=1)
    assert "1 session saw both releases and is left out." in comparisons.sample(comparison)
    assert comparisons.ramp(comparison) == ""
    arms = (Arm(1000, 1000, 0, 600, frozenset()), Arm(1000, 1000, 0, 100, frozenset()))
    ramped = Comparison(PAIR, Scope(AT, AT), *arms, 0, ())
    assert comparisons.ramp(ramped).startswith(
        "The share of 2.8 went from 14 % of the sessions in the first half of this time to 69 % in the second."
    )


def test_gates_are_ordered_by_what_is_worst():
    comparison = compared(SUCCESS, SILENT, BLOCKED, COST, FASTER)
    assert [g.criterion.name for g in comparison.in_order()] == ["cost_per_success", "blocked", "success", "latency"]
    assert [g.criterion.name for g in comparison.silent()] == ["golden"]


def data(chart, key):
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows if key in row]


def test_differences_are_marks_with_rules_in_shapes_of_their_own():
    gates = (COST, SUCCESS, FASTER, FEW)
    found = data(drawing.chart(gates, "points"), "gate")
    assert {(r["gate"], round(r["low"], 2), r["value"], round(r["high"], 2), r["shape"]) for r in found} == {
        ("Success", -1.73, -0.3, 1.3, "circle"),
        ("Slower than the baseline's 95th percentile", -7.0, -5.1, -3.1, "triangle-down"),
    }
    assert {row["shape"] for row in data(drawing.chart(gates, "relative"), "gate")} == {"triangle-up"}
    assert [layer["mark"]["type"] for layer in drawing.chart(gates, "points").to_dict()["layer"]] == [
        "rule",
        "rule",
        "point",
    ]


def test_differences_in_a_sentence():
    assert drawing.description((COST, SUCCESS), "relative") == (
        "Relative change, in % of the baseline: Cost per success ▲ looks worse, +60.0 % (+53.0 to +67.1 %). "
        "The table above says the same."
    )
    assert drawing.description((COST, SUCCESS, FASTER), "points") == (
        "Difference of shares, in points (candidate minus baseline): Slower than the baseline's 95th percentile "
        "▽ looks better, −5.1 points (−7.0 to −3.1 points); 1 of 2 gates without a clear difference. "  # noqa: RUF001 - a minus
        "The table above says the same."
    )


SPREAD = Spread(
    "Cost of a session",
    "USD",
    tuple(0.01 + level for level in LEVELS),
    tuple(0.02 + 2 * level for level in LEVELS),
    "SELECT 1",
)


def test_curves_of_both_releases_up_to_the_99th_percentile_differ_in_dashes_too():
    chart = distribution.curves(SPREAD, PAIR).to_dict()
    (points,) = chart["datasets"].values()
    assert len(points) == 200
    assert max(row["share"] for row in points) == 0.99
    assert chart["encoding"]["strokeDash"]["scale"]["range"] == [[1, 0], [6, 3]]
    assert distribution.curves_description(SPREAD, PAIR) == (
        "Cost of a session, share of sessions at or below each value. "
        "2.7 (baseline): half at or below $0.51, 95 % at or below $0.96; "
        "2.8 (candidate): half at or below $1.02, 95 % at or below $1.92. The table below says the same."
    )


def test_bars_are_shares_of_each_releases_sessions():
    kinds = Kinds("Outcome", (Kind("success", 1000, 900), Kind("failed", 29, 113)), "SELECT 1")
    comparison = compared(COST)
    (bars,) = distribution.bars(kinds, comparison).to_dict()["datasets"].values()
    assert [(row["kind"], row["release"], round(row["share"], 4)) for row in bars] == [
        ("success", "2.7 (baseline)", 0.9718),
        ("success", "2.8 (candidate)", 0.8885),
        ("failed", "2.7 (baseline)", 0.0282),
        ("failed", "2.8 (candidate)", 0.1115),
    ]
    assert distribution.bars_description(kinds, comparison) == (
        "Outcome, share of sessions with 2.7 (baseline) and 2.8 (candidate). success: 97.2 % and 88.8 %; "
        "failed: 2.8 % and 11.2 %. The table below says the same."
    )
