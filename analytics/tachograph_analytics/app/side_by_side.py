"""Two releases by tenant and by workflow: whether what differs does so for everybody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import streamlit as st

from tachograph_analytics.app import figures
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import duration, number, plain, share, usd
from tachograph_analytics.runs.attribute import BY_NAME
from tachograph_analytics.runs.breakdown import MOST, By, Group, breakdown, sql
from tachograph_analytics.runs.figure import Figure
from tachograph_analytics.runs.scope import Condition

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from tachograph_analytics.canary import Pair
    from tachograph_analytics.runs.scope import Scope

_DRAWN: Final[tuple[By, ...]] = ("tenant", "workflow")


def draw(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope) -> None:
    """Both tables for the runs of the two releases in `scope`, each with its SQL."""
    st.header("By tenant and workflow", anchor="breakdowns")
    st.caption("All runs of the time in which both ran, also of sessions that saw both. First the baseline's value.")
    for by in _DRAWN:
        _draw(connection, pair, scope, by)


def _draw(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope, by: By) -> None:
    label, releases = BY_NAME[by].label, (pair.baseline.id, pair.candidate.id)
    scopes = [replace(scope, conditions=(*scope.conditions, Condition("release", release))) for release in releases]
    baseline, candidate = ({group.value: group for group in breakdown(connection, one, by)} for one in scopes)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"By {label}", anchor=f"by-{by}", width="stretch")
        for release, one, groups in zip(releases, scopes, (baseline, candidate), strict=True):
            figures.source(Figure(f"By {label}, {release}", len(groups), "rows", sql(one, by)))
    values = [*candidate, *(value for value in baseline if value not in candidate)]

    def both(of: Callable[[Group], str]) -> list[str]:
        return [
            " | ".join(of(arm[value]) if value in arm else "none" for arm in (baseline, candidate)) for value in values
        ]

    table(
        {
            label.capitalize(): [BY_NAME[by].shown(value) for value in values],
            f"Runs of {releases[0]} | {releases[1]}": both(lambda group: number(group.runs)),
            "Cost per success": both(_per_success),
            "Success rate": both(lambda g: "unknown" if g.success_rate is None else share(g.success_rate)),
            "Duration p95": both(lambda group: duration(group.p95_ms)),
        }
    )
    if MOST in {len(baseline), len(candidate)}:
        st.caption(plain(f"The {MOST} with the highest cost of each release; there may be more."))


def _per_success(group: Group) -> str:
    if group.cost is None:
        return "no price"
    return "no success" if group.cost_per_success is None else usd(group.cost_per_success)
