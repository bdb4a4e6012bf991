"""The ranked differences as a table, with a button for each value that filters by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from tachograph_analytics.app import figures, filters, headline
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import number, plain, share, usd
from tachograph_analytics.runs.attribute import BY_NAME
from tachograph_analytics.runs.figure import Figure
from tachograph_analytics.spikes.differences import MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph_analytics.runs.scope import Condition
    from tachograph_analytics.spikes.differences import Difference

_OFFERED: Final = 6  # buttons: those on top, which one came for


def draw(found: Sequence[Difference], sql: str, conditions: Sequence[Condition]) -> None:
    """The differences, the one that explains most on top, with the query behind them."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header("What differs", anchor="differences")
        figures.source(Figure("What differs", len(found), "rows", sql))
    offered = [one for one in found if one.attribute in BY_NAME][:_OFFERED]
    with st.container(horizontal=True, gap="small"):
        for one in offered:
            filters.offer(one.about, one.value, conditions)
    table(
        {
            "Attribute": [f"{'▲ ' if one.stands_out else ''}{one.words}" for one in found],
            "Beyond its share": [headline.signed(one.excess) for one in found],
            "Cost": [usd(one.cost) for one in found],
            "Usual cost": [usd(one.usual_cost) for one in found],
            "Difference": [headline.signed(one.difference) for one in found],
            "Share of cost (usual)": [f"{share(one.share)} ({share(one.usual_share)})" for one in found],
            "Runs (usual)": [f"{number(one.runs)} ({number(round(one.usual_runs))})" for one in found],
            "Cost of a run (usual)": [_pair(one.cost_per_run, one.usual_cost_per_run) for one in found],
            "Cost per success (usual)": [_pair(one.cost_per_success, one.usual_cost_per_success) for one in found],
        }
    )
    st.caption(plain(headline.rules()))
    if MODEL.name in {one.attribute for one in found}:
        st.caption("Of a model the runs are its calls. It is no filter: a run may call several models.")


def _pair(now: float | None, usual: float | None) -> str:
    return f"{_each(now)} ({_each(usual)})"


def _each(amount: float | None) -> str:
    return "none" if amount is None else usd(amount)
