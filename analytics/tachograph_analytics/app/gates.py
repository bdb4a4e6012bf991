"""The gates of two releases as the Canary page draws them: table, charts, and one of them with what is behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from tachograph.registry import load
from tachograph_analytics.app import comparisons, figures, links
from tachograph_analytics.app.charts import distribution
from tachograph_analytics.app.charts import gates as drawing
from tachograph_analytics.app.snapshot import carried
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import duration, many, number, plain, usd, when
from tachograph_analytics.canary.evidence import LEVELS, Kinds, Movers, Spread
from tachograph_analytics.runs.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph_analytics.canary import Comparison, Gate, Pair
    from tachograph_analytics.canary.decisions import Decision, Decisions
    from tachograph_analytics.canary.gate import Scale
    from tachograph_analytics.canary.golden import Case

_SCALES: Final[tuple[Scale, ...]] = ("points", "relative")
_CASES_SHOWN: Final = 40
_HOUR_S: Final = 3600.0


def draw_all(comparison: Comparison) -> None:
    """Every gate: those with numbers in a table and as charts, then those without data."""
    told, silent = comparison.in_order(), comparison.silent()
    st.header("Gates", anchor="gates")
    if told:
        table(comparisons.rows(told, comparison.pair))
        st.caption(
            "Per session, worst first: a session, else a user, else a run. Looks worse or better: the whole interval "
            "lies on that side of no difference."
        )
        _charts(told)
    if silent:
        st.header("No data", anchor="no-data")
        st.markdown("About these nothing can be said, which is not the same as nothing being wrong.")
        table(comparisons.silent_rows(silent))


def _charts(told: Sequence[Gate]) -> None:
    dark = st.context.theme.type == "dark"
    for scale in _SCALES:
        if not drawing.drawn(told, scale):
            continue
        st.altair_chart(
            drawing.chart(told, scale, dark=dark),
            width="stretch",
            alt=drawing.description(told, scale),
            key=f"gates {scale}",
        )


def draw_numbers(gate: Gate) -> None:
    """One gate: what is counted, both values with their SQL, the difference, and what must be known to read them."""
    st.markdown(plain(f"{gate.criterion.label}: {gate.criterion.counts}."))
    left, middle, right = st.columns(3)
    with left:
        figures.draw(gate.baseline, "baseline")
    with middle:
        figures.draw(gate.candidate, "candidate")
    with right, st.container(border=True, height="stretch"):
        st.metric("Difference", comparisons.difference(gate), width="content")
        st.caption(plain(f"95 % interval of this look: {comparisons.interval(gate)}"))
    for sentence in filter(None, (gate.reason, gate.note)):
        st.caption(plain(sentence))


def draw_spread(spread: Spread, pair: Pair) -> None:
    """A quantity of the sessions as curves, with a table of its quantiles."""
    if not spread.baseline or not spread.candidate:
        return
    _titled("Spread", Figure(spread.label, len(LEVELS), "quantiles", spread.sql))
    st.altair_chart(
        distribution.curves(spread, pair, dark=st.context.theme.type == "dark"),
        width="stretch",
        alt=distribution.curves_description(spread, pair),
        key="spread",
    )
    arms = ((f"{pair.baseline.id} (baseline)", spread.baseline), (f"{pair.candidate.id} (candidate)", spread.candidate))
    table(
        {"Share of sessions at or below": [f"{level:.0%}".replace("%", " %") for level in distribution.TOLD]}
        | {
            name: [distribution.quantile(values, level, spread.unit) for level in distribution.TOLD]
            for name, values in arms
        }
    )


def draw_kinds(kinds: Kinds, comparison: Comparison) -> None:
    """What happened in the sessions as paired bars, with a table."""
    _titled("What happened", Figure(kinds.label, len(kinds.kinds), "kinds", kinds.sql))
    if not kinds.kinds:
        st.caption("It happened in no session of either release.")
        return
    pair, b, c = comparison.pair, comparison.baseline.sessions, comparison.candidate.sessions
    st.altair_chart(
        distribution.bars(kinds, comparison, dark=st.context.theme.type == "dark"),
        width="stretch",
        alt=distribution.bars_description(kinds, comparison),
        key="kinds",
    )
    table(
        {
            kinds.label: [kind.name for kind in kinds.kinds],
            f"Sessions of {pair.baseline.id}": [
                f"{number(k.baseline)} ({distribution.of(k.baseline, b)})" for k in kinds.kinds
            ],
            f"Sessions of {pair.candidate.id}": [
                f"{number(k.candidate)} ({distribution.of(k.candidate, c)})" for k in kinds.kinds
            ],
        }
    )


def draw_movers(movers: Movers) -> None:
    """The runs that moved a gate, each with the way to it."""
    _titled(movers.title, Figure(movers.title, len(movers.runs), "runs", movers.sql))
    if not movers.runs:
        st.caption("There are none.")
    for one in movers.runs:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _run_link(one.run_id)
            about = [usd(one.cost), duration(one.duration_ms), one.outcome or "not ended"]
            about += [part for part in (one.tenant, one.workflow) if part]
            st.caption(plain(" · ".join([*about, when(one.ts)])))


def draw_cases(cases: Sequence[Case], pair: Pair) -> None:
    """Golden cases side by side; those that only the baseline passed come first."""
    st.subheader("The same case side by side", anchor="cases")
    shown = cases[:_CASES_SHOWN]
    if len(cases) > len(shown):
        st.caption(f"{len(shown)} of {len(cases)} cases; those that only the baseline passed come first.")
    table(
        {
            "Case": [" · ".join(filter(None, (case.suite, case.name, case.case_id))) for case in shown],
            "This pair": [_pairing(case, pair) for case in shown],
            pair.baseline.id: [_judged(passed=case.baseline, score=case.baseline_score) for case in shown],
            pair.candidate.id: [_judged(passed=case.candidate, score=case.candidate_score) for case in shown],
            "Judged": [f"{when(case.baseline_at)} and {when(case.candidate_at)}" for case in shown],
        }
    )
    lost = [case for case in shown if case.baseline and not case.candidate and case.candidate_run]
    for case in lost:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(plain(f"{case.case_id}, runs of {pair.baseline.id} and {pair.candidate.id}:"))
            for run_id in filter(None, (case.baseline_run, case.candidate_run)):
                _run_link(run_id)


def draw_decisions(decided: Decisions, pair: Pair) -> None:
    """What the release's own pipeline decided about the candidate."""
    st.header(f"Decided about {plain(pair.candidate.id)}", anchor="decided")
    if not decided.newest:
        nameless = (
            f" {many(decided.nameless, 'decision')} about this agent name no release." if decided.nameless else ""
        )
        st.caption(
            plain(f"No gate was decided for {pair.candidate.id} in this time.{nameless} A pipeline says it with:")
        )
        st.code('tachograph.gate("success", verdict="pass", decision="promote", samples=1013)', language="python")
        return
    newest = decided.newest
    if decided.total > len(newest):
        st.caption(f"The newest {len(newest)} of {number(decided.total)} decisions.")
    table(
        {
            "When": [when(one.ts) for one in newest],
            "Gate": [one.gate or "unnamed" for one in newest],
            "Verdict": [(one.verdict or "none").replace("_", " ") for one in newest],
            "Decision": [one.decision or "none" for one in newest],
            "Observed": [_value(one.observed) for one in newest],
            "Baseline": [_value(one.baseline) for one in newest],
            "Threshold": [_value(one.threshold) for one in newest],
            "Samples": ["▲ none" if not one.samples else number(one.samples) for one in newest],
            "Age of the data": [_age(one) for one in newest],
        }
    )


def _titled(title: str, figure: Figure) -> None:
    """A subheader with the query behind what follows."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader(plain(title))
        figures.source(figure)


def _run_link(run_id: str) -> None:
    st.page_link(
        links.RUN_PAGE,
        label=f":primary[{plain(run_id)}]",
        icon=":material/account_tree:",
        query_params={**links.run(run_id), **carried(st.query_params)},
        width="content",
    )


def _pairing(case: Case, pair: Pair) -> str:
    if case.baseline == case.candidate:
        return "both passed" if case.baseline else "both failed"
    return f"▲ only {pair.baseline.id} passed" if case.baseline else f"▽ only {pair.candidate.id} passed"


def _judged(*, passed: bool, score: float | None) -> str:
    return ("pass" if passed else "fail") + (f" ({score:.2f})" if score is not None else "")


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:,.4g}"


def _age(one: Decision) -> str:
    if one.data_age_s is None:
        return "unknown"
    threshold = load().detections["gate_stale"].threshold
    stale = threshold is not None and one.data_age_s > threshold
    return ("▲ " if stale else "") + duration(one.data_age_s * 1000)
