"""A store of sampled runs: what the figures estimate, what their SQL gives, and that it is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from analytics.app.opening import opener, text
from analytics.app.recorded import filled

import tachograph
from tachograph.telemetry.recorder import active
from tachograph.testing import EPOCH
from tachograph_analytics.app import links
from tachograph_analytics.runs.estimate import Sampling, sampling
from tachograph_analytics.runs.scope import Scope
from tachograph_analytics.runs.totals import totals
from tachograph_analytics.spikes.spend import spend
from tachograph_analytics.spikes.totals import totals as of_comparison
from tachograph_analytics.spikes.window import compared
from tachograph_analytics.store.query import as_json, query
from tachograph_analytics.store.views import connect

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
END = BEGAN + timedelta(hours=1)


def kept_runs() -> None:
    """Of about 130 runs at 0.1 and 26 at 0.5, 13 each; of refused runs, which are always kept, all 3."""
    for rate, cost, times, outcome in ((0.1, 0.03, 13, ""), (0.5, 0.07, 13, ""), (1.0, 0.11, 3, "refused")):
        active().sample_rate = rate
        for _number in range(times):
            with tachograph.run("desk", tenant="acme") as run:
                with tachograph.llm_call("gpt-4o", provider="openai") as call:
                    call.usage(input_tokens=11, output_tokens=13, cost=cost)
                if outcome:
                    run.outcome(outcome)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("sampled"), kept_runs, EPOCH)


def test_the_figures_estimate_what_there_was(home):
    with connect(home) as connection:
        found = totals(connection, Scope(BEGAN, END, "desk"))
    figures = (found.spend, found.cost_per_success, found.success_rate, found.blocked)
    spent = 130 * 0.03 + 26 * 0.07 + 3 * 0.11
    assert [figure.value for figure in figures] == pytest.approx([spent, spent / 156, 156 / 159, 3])
    for figure in figures:
        assert list(json.loads(as_json(query(home, figure.sql)))[0].values()) == [figure.value]


def test_window_and_chart_estimate_the_same(home):
    with connect(home) as connection:
        summed = of_comparison(connection, compared(connection, Scope(BEGAN, END, "desk"), END))
        bars = spend(connection, Scope(agent="desk"), BEGAN, END).buckets
    assert (summed.runs, summed.successes, summed.unpriced, summed.sampled) == (159, 156, 0, 0.1)
    assert summed.cost == pytest.approx(130 * 0.03 + 26 * 0.07 + 3 * 0.11)
    assert sum(bar.runs for bar in bars) == summed.runs
    assert sum(bar.successes for bar in bars) == summed.successes
    assert sum(bar.cost for bar in bars) == pytest.approx(summed.cost)


def test_what_part_is_kept(home):
    with connect(home) as connection:
        assert sampling(connection, Scope()) == Sampling(kept=29, estimated=159, least=0.1)
        (last,) = connection.execute("SELECT min(ts) FROM runs WHERE outcome = 'refused'").fetchone()
        assert sampling(connection, Scope(last.replace(tzinfo=UTC))) is None
        assert sampling(connection, Scope(END, None)) is None


def test_the_columns_of_a_run_say_its_own_rate(home):
    rows = query(
        home, "SELECT sample_rate, count(*), round(sum(1 / sample_rate)) FROM runs GROUP BY ALL ORDER BY 1"
    ).rows
    assert rows == ((0.1, 13, 130.0), (0.5, 13, 26.0), (1.0, 3, 3.0))


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (links.START_PAGE, "These four figures are estimates"),
        (links.SPIKE_PAGE, "Sentence and chart are estimates"),
    ],
    ids=["start", "spike"],
)
def test_the_pages_say_so(home, page, said, monkeypatch):
    began = round(BEGAN.timestamp() * 1000)
    shown = text(opener(monkeypatch, page)(home, **{"from": str(began), "to": str(began + 3_600_000)}))
    assert "Sampled: 29 of about 159 runs are kept (all notable ones, 10.0 % of the others at least)." in shown
    assert said in shown
    assert "Runs are sampled (down to 10.0 % kept)" in shown


def two_releases() -> None:
    active().sample_rate = 0.1
    for _number in range(13):
        for release, track in (("1.3", "stable"), ("1.4", "canary")):
            with tachograph.run("desk", release=release, track=track):
                pass


def test_a_comparison_of_releases_warns_that_it_sees_a_selection(tmp_path, monkeypatch):
    shown = text(opener(monkeypatch, links.CANARY_PAGE)(filled(tmp_path / "home", two_releases, EPOCH)))
    assert "Sampled: 24 of about 240 runs are kept. Failed, blocked and degraded runs are always kept" in shown
