"""What every page has around it: the foot that says how far the data reach, and what to do where there are none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app import state
from tachograph_analytics.app.words import ago, many, plain, share, when
from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from tachograph_analytics.app.state import Store
    from tachograph_analytics.runs.extent import Extent


def opened(title: str) -> tuple[Store, Extent] | None:
    """The store behind a page with its extent, under the page's title; None where it has no runs, which is then said.

    UsageError for a store that is newer than this program.
    """
    st.title(title)
    home = Home.default()
    if home.wal.is_dir():
        store = state.store()
        extent = state.everything(store)
        if extent.runs:
            return store, extent
    nothing_yet(home)
    return None


def foot(extent: Extent, price_dates: tuple[str, ...], home: Home) -> None:
    """How far the data reach, which prices the estimates used, and whether runs were sampled."""
    st.divider()
    if extent.until is None:
        st.caption(f"No data yet in {plain(home.path)}.")
        return
    prices = f"Estimates use prices of {plain(', '.join(price_dates))}. " if price_dates else ""
    st.caption(
        f"Data until **{when(extent.until)}** ({ago(extent.until, datetime.now(UTC))}) · {many(extent.runs, 'run')} · "
        f"{prices}{_sampling(extent.sample_rates)} All times are UTC."
    )


def _sampling(rates: tuple[float, ...]) -> str:
    if not rates or min(rates) >= 1:
        return "Every run is kept."
    return f"Runs are sampled (down to {share(min(rates))} kept): this count is that of the runs that were kept."


def nothing_yet(home: Home) -> None:
    """The commands that bring data, for a home that has none."""
    st.info(f"There are no runs yet in {plain(home.path)}. Two ways to change that:", icon=":material/inbox:")
    left, right = st.columns(2)
    with left:
        st.markdown("**See it with ready-made runs**")
        st.code(f"tachograph demo --headless --home {home.path}", language="bash")
    with right:
        st.markdown("**Record an agent of your own**")
        st.code(f"tachograph up --home {home.path}", language="bash")
        st.code(
            'import tachograph\n\ntachograph.instrument(my_agent, endpoint="http://127.0.0.1:4318")', language="python"
        )
    st.caption("Load this page again when the command has run.")
