"""The costliest runs as lines, each with the way to the run and what is unusual about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from tachograph_analytics.app import figures, links
from tachograph_analytics.app.words import duration, number, plain, usd, when
from tachograph_analytics.runs.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph_analytics.spikes.costliest import CostlyRun

_TIMES: Final = 2.0  # twice the typical figure or more is worth a word


def draw(runs: Sequence[CostlyRun], sql: str, carried: Mapping[str, str]) -> None:
    """The runs, the costliest first; `carried` are parameters that their links take along."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header("Costliest runs", anchor="runs")
        figures.source(Figure("Costliest runs", len(runs), "runs", sql))
    if not runs:
        st.caption("No run of this window has a price.")
    for run in runs:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(
                links.RUN_PAGE,
                label=f":primary[{plain(run.run_id)}]",
                query_params={**links.run(run.run_id), **carried},
                width="content",
            )
            st.markdown(f"**{plain(usd(run.cost))}** :small[:gray[{plain(_about(run))}]]", width="stretch")


def _about(run: CostlyRun) -> str:
    parts = [
        *unusual(run),
        run.outcome or "not ended",
        f"release {run.release}" if run.release else "no release recorded",
        f"tenant {run.tenant}" if run.tenant else "no tenant recorded",
        f"{run.agent or 'unknown agent'}, {run.workflow or 'no workflow recorded'}",
        duration(run.duration_ms),
        when(run.ts),
    ]
    return " · ".join(parts)


def unusual(run: CostlyRun) -> list[str]:
    """What of a run is at least twice what is typical for its agent and workflow."""
    said: list[str] = []
    if run.typical_cost and run.cost >= _TIMES * run.typical_cost:
        said.append(f"{run.cost / run.typical_cost:.2g} times the typical cost")
    for noun, value, typical in (
        ("attempts", run.attempts, run.typical_attempts),
        ("turns", run.turns, run.typical_turns),
    ):
        if value and typical and value >= _TIMES * typical:
            said.append(f"{number(value)} {noun} (typical {number(typical)})")
    return said
