"""The tables by tenant and by workflow, which every page with costs, successes or durations has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from tachograph_analytics.app import figures
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import duration, many, number, plain, share, usd
from tachograph_analytics.runs.attribute import BY_NAME
from tachograph_analytics.runs.breakdown import MOST, By, Group, breakdown, sql
from tachograph_analytics.runs.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tachograph_analytics.runs.scope import Scope

_DRAWN: Final[tuple[By, ...]] = ("tenant", "workflow")


def draw(connection: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Both tables for the runs in `scope`, each with its SQL."""
    st.header("By tenant and workflow", anchor="breakdowns")
    for column, by in zip(st.columns(len(_DRAWN)), _DRAWN, strict=True):
        with column:
            _draw(breakdown(connection, scope, by), by, sql(scope, by))


def _draw(groups: Sequence[Group], by: By, query: str) -> None:
    label = BY_NAME[by].label
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader(f"By {label}", anchor=f"by-{by}")
        figures.source(Figure(f"By {label}", len(groups), "rows", query))
    if not groups:
        st.caption("No runs.")
        return
    table(
        {
            label.capitalize(): [BY_NAME[by].shown(group.value) for group in groups],
            "Runs": [number(group.runs) for group in groups],
            "Cost": [_cost(group) for group in groups],
            "Cost per success": [_per_success(group) for group in groups],
            "Success rate": ["unknown" if g.success_rate is None else share(g.success_rate) for g in groups],
            "Duration p95": [duration(group.p95_ms) for group in groups],
        }
    )
    if len(groups) == MOST:
        st.caption(plain(f"The {MOST} with the highest cost; there may be more."))


def _cost(group: Group) -> str:
    without = f" ({many(group.unpriced, 'run')} without a price)" if group.unpriced and group.cost is not None else ""
    return usd(group.cost) + without


def _per_success(group: Group) -> str:
    if group.cost is None:
        return "no price"
    return "no success" if group.cost_per_success is None else usd(group.cost_per_success)
