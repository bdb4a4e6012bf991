"""The app's entry for Streamlit: the pages and what they share."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from tachograph_analytics.app import failures, links

# A file of our own: the browser would fetch an icon by name from a font server.
st.set_page_config(page_title="tachograph", page_icon=Path(__file__).with_name("icon.svg"), layout="wide")

page = st.navigation(
    [
        # The page at “/” must be the default one: Streamlit passes over its url_path.
        st.Page(links.START_PAGE, title="Start", icon=":material/home:", default=True),
        st.Page(links.SPIKE_PAGE, title="Spike", icon=":material/payments:", url_path="spike"),
        st.Page(links.CANARY_PAGE, title="Canary", icon=":material/alt_route:", url_path="canary"),
        st.Page(links.RUN_PAGE, title="Run", icon=":material/account_tree:", url_path="run"),
        st.Page(links.INCIDENT_PAGE, title="Incident", icon=":material/assignment:", url_path="incident"),
    ],
    position="top",
)
with failures.said():
    page.run()
