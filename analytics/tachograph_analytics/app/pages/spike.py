"""Spike: where did the money go?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import streamlit as st

from tachograph_analytics.app import (
    breakdowns,
    controls,
    costly,
    differences,
    figures,
    filters,
    frame,
    headline,
    links,
    prices,
    sampled,
    state,
)
from tachograph_analytics.app.charts import spend as drawing
from tachograph_analytics.app.snapshot import Snapshot, add_to_incident, carried
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import many, number, plain, usd, when
from tachograph_analytics.runs.estimate import sampling
from tachograph_analytics.runs.figure import Figure
from tachograph_analytics.runs.totals import pricing
from tachograph_analytics.spikes import alarm, costliest, releases
from tachograph_analytics.spikes import differences as ranking
from tachograph_analytics.spikes.spend import Spend, spend
from tachograph_analytics.spikes.totals import COLUMNS, Totals, totals
from tachograph_analytics.spikes.window import Comparison, compared

if TYPE_CHECKING:
    from tachograph_analytics.app.links import Window
    from tachograph_analytics.runs.estimate import Sampling
    from tachograph_analytics.runs.scope import Scope
    from tachograph_analytics.runs.totals import Pricing
    from tachograph_analytics.spikes.releases import Pair

# The chart reaches back over the baseline where that leaves the window wide enough to see, else over this many windows.
_FARTHEST: Final = 30
_NEAREST: Final = 3
_SILENT: Final = timedelta(minutes=5)  # a window that is cut by more than this is said to be


def page() -> None:
    """Draws the page."""
    found = frame.opened("Where did the money go?")
    if found is None:
        return
    store, extent = found
    asked = {name: st.query_params.get_all(name) for name in ("only", "not")}
    window = links.window(st.query_params, datetime.now(UTC), filters=asked)
    for complaint in window.complaints:
        st.warning(plain(complaint))
    window = _of_alert(store, window)
    controls.draw(window, extent)
    filters.draw(window.scope.conditions)
    scope, _ = controls.with_data(store, window, extent)
    dates: tuple[str, ...] = ()
    if scope is not None and extent.first is not None and extent.last is not None:
        # Runs of the last minute began before its end.
        end = extent.last.replace(second=0, microsecond=0) + timedelta(minutes=1)
        priced = pricing(store.connection, scope.of_calls())
        _spike(store, compared(store.connection, scope, end), scope, priced, extent.first)
        dates = priced.price_dates
    frame.foot(extent, dates, store.home)


def _of_alert(store: state.Store, window: Window) -> Window:
    """The window in which the alert of the address fired last, where the address names no time itself."""
    if not window.alert:
        return window
    found = alarm.last(store.connection, window.alert, window.scope.agent)
    if found is None:
        st.info(plain(f"The alert {window.alert} that led here never fired in this data."), icon=":material/link:")
        return window
    goes_on = f"until {when(found.until)}" if found.until else "and goes on"
    of = f" of {found.agent}" if found.agent else ""
    st.caption(plain(f"▲ The alert {window.alert}{of} fired at {when(found.since + alarm.LEAD)} {goes_on}."))
    if window.chosen:
        return window
    scope = replace(window.scope, since=found.since, until=found.until, agent=window.scope.agent or found.agent)
    return replace(window, name=links.CUSTOM, scope=scope, chosen=True)


def _spike(store: state.Store, comparison: Comparison, scope: Scope, priced: Pricing, first: datetime) -> None:
    summed = totals(store.connection, comparison)
    found = ranking.differences(store.connection, comparison) if summed.usual_cost else ()
    pair = releases.pair(store.connection, comparison.scope)
    sentences = [
        headline.spent(summed, comparison),
        headline.traffic(summed),
        headline.why(found, summed),
        headline.rivals(pair) if pair else "",
    ]
    sentence = " ".join(filter(None, sentences))
    _chart(store, comparison, summed, first)
    _headline(sentence, summed, pair, comparison)
    _honesty(comparison, summed, scope, priced, sampling(store.connection, comparison.scope))
    query = ranking.sql(comparison) if found else summed.sql
    add_to_incident(_snapshot(f"{sentence} Cost: {prices.said(priced)}.", query, found, summed))
    if found:
        differences.draw(found, query, scope.conditions)
    else:
        st.info(plain(headline.history(comparison, summed)), icon=":material/history:")
    breakdowns.draw(store.connection, comparison.scope)
    runs = costliest.costliest(store.connection, comparison.scope)
    costly.draw(runs, costliest.sql(comparison.scope), carried(st.query_params))


def _headline(sentence: str, summed: Totals, pair: Pair | None, comparison: Comparison) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top"):
        st.markdown(f"**{plain(sentence)}**", width="stretch")
        figures.source(Figure("Cost of the window", summed.cost, "USD", summed.sql))
        if pair is not None:
            rivals = f"Cost per success of {pair.newer.name}"
            figures.source(Figure(rivals, pair.newer.cost_per_success, "USD", releases.sql(comparison.scope)))
    if pair is not None:
        st.page_link(
            links.CANARY_PAGE,
            label=f":primary[{plain(f'Compare {pair.newer.name} with {pair.older.name}')}]",
            icon=":material/alt_route:",
            query_params={
                **links.canary(pair.older.name, pair.newer.name, replace(comparison.scope, agent=pair.newer.agent)),
                **carried(st.query_params),
            },
        )


def _honesty(comparison: Comparison, summed: Totals, scope: Scope, priced: Pricing, kept: Sampling | None) -> None:
    """What the figures leave out, and how the money was counted."""
    window = comparison.window
    said = [f"Cost: {prices.said(priced)}."]
    if summed.unpriced:
        said.append(f"{many(summed.unpriced, 'run')} of the window have no price and are not in its cost.")
    if kept is not None:
        said.append(sampled.estimated(kept, "Sentence and chart"))
    if (scope.until or datetime.now(UTC)) - window.until > _SILENT:
        said.append(f"The data end at {when(window.until)}, so the window is counted until then.")
    st.caption(plain(" ".join(said)))


def _chart(store: state.Store, comparison: Comparison, summed: Totals, first: datetime) -> None:
    window = comparison.window
    reach = [span.since for span in comparison.baseline if window.since - span.since <= _FARTHEST * window.length]
    since = max(first, min([*reach, window.since - _NEAREST * window.length]))
    found = spend(store.connection, comparison.scope, since, window.until)
    key = f"spend {window.since} {window.until}"  # a brush belongs to the chart in which it was drawn
    st.altair_chart(
        drawing.chart(found, comparison, summed.usual_cost, dark=st.context.theme.type == "dark"),
        width="stretch",
        key=key,
        on_select=lambda: _brushed(key, found.width),
        selection_mode=drawing.SELECTION,
        alt=drawing.description(found, headline.spent(summed, comparison)),
    )
    unseen = bool(comparison.baseline) and not reach
    level = " Dashed: what is usual." if summed.usual_cost else ""
    st.caption(
        "Drag over the bars, or type two moments, to choose another window."
        + level
        + (" The baseline is farther back than the chart." if unseen else "")
    )
    controls.draw_moments(window.since, window.until)
    with st.expander("The same as a table", icon=":material/table:"):
        _table(found, comparison)


def _brushed(key: str, width: timedelta) -> None:
    chosen = drawing.brushed(st.session_state[key]["selection"], width)
    if chosen is not None:
        controls.choose(*chosen)


def _table(found: Spend, comparison: Comparison) -> None:
    figures.source(Figure("Cost over time", len(found.buckets), "rows", found.sql))
    table(
        {
            f"From (UTC), {drawing.step(found.width)} each": [when(bucket.ts) for bucket in found.buckets],
            "Cost": [usd(bucket.cost) for bucket in found.buckets],
            "Runs": [number(bucket.runs) for bucket in found.buckets],
            "Successes": [number(bucket.successes) for bucket in found.buckets],
            "Part of": [drawing.part(bucket, found.width, comparison) or "neither" for bucket in found.buckets],
        }
    )


def _snapshot(sentence: str, query: str, found: tuple[ranking.Difference, ...], summed: Totals) -> Snapshot:
    if not found:
        return Snapshot(sentence, query, COLUMNS, (summed.row,))
    rows = tuple(tuple(getattr(one, column) for column in ranking.COLUMNS) for one in found)
    return Snapshot(sentence, query, ranking.COLUMNS, rows)


page()
