from __future__ import annotations

from datetime import UTC, datetime

from tachograph_analytics.app.charts.waterfall import MOST_ROWS, PROBLEM, description, waterfall
from tachograph_analytics.runs.steps import Step

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def step(number, kind, name, start, took, *, depth=0, cost=None):
    return Step(str(number), None, depth, kind, name, BEGAN, start, took, cost, None, {}, {})


PATH = [
    step(1, "run", "invoke_agent airline", 0.0, 1300.0),
    step(2, "llm", "chat gpt-4o", 100.0, 117.0, depth=1, cost=0.0313),
    step(3, "tool", "execute_tool refund", 300.0, 713.0, depth=1),
]


def rows(chart):
    (data,) = chart.to_dict()["datasets"].values()
    return data


def test_one_row_a_step_with_words_for_kind_duration_cost_and_problem():
    found = rows(waterfall(PATH, {"3": ["the tool failed"]}, "2"))
    assert [(r["start"], r["end"], r["label"].strip("\u200b\u00a0"), r["text"], r["problem"]) for r in found] == [
        (0.0, 1300.0, "▣ run airline", "1.3 s", "none"),
        (100.0, 217.0, "✦ llm chat gpt-4o", "117 ms · $0.0313", "none"),
        (300.0, 1013.0, "▲ ■ tool refund", "▲ 713 ms", "the tool failed"),
    ]
    assert [r["colour"] == PROBLEM for r in found] == [False, False, True]
    assert [r["picked"] for r in found] == [False, True, False]


def test_long_runs_are_drawn_in_larger_units():
    found = rows(waterfall([step(1, "run", "r", 0.0, 137_000.0)], {}, None))
    assert found[0]["end"] == 137.0


def test_no_more_rows_than_can_be_read():
    assert (
        len(rows(waterfall([step(n, "llm", "chat m", n, 1.0) for n in range(MOST_ROWS + 17)], {}, None))) == MOST_ROWS
    )


def test_the_chart_in_a_sentence():
    assert description(PATH, {"3": ["the tool failed"]}, 1300.0) == (
        "Waterfall of 3 steps in 1.3 s, 1 of them with a problem. The longest is ■ tool refund with 713 ms. "
        "The table below says the same."
    )
