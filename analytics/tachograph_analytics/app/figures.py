"""Figures as the pages draw them: the number, what kind of number it is, and a popover with its SQL."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app.words import duration, number, share, usd
from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tachograph_analytics.runs.figure import Figure

_SHOWN: Mapping[str, Callable[[float], str]] = {"USD": usd, "ms": duration, "share": share}


def shown(figure: Figure) -> str:
    """The figure's value as people read it; a dash where nothing can be said."""
    if figure.value is None:
        return "unknown"
    if isinstance(figure.value, str):
        return figure.value
    return _SHOWN.get(figure.unit, number)(figure.value)


def draw(figure: Figure, remark: str = "") -> None:
    """One figure with a remark below it, and its SQL behind a button."""
    with st.container(border=True, height="stretch"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top", gap="small"):
            st.metric(figure.label, shown(figure), width="content")
            source(figure)
        if remark:
            st.caption(remark)


def source(figure: Figure) -> None:
    """The button that shows where a figure comes from: the exact value, the SQL and how to ask it oneself."""
    with st.popover("SQL", type="tertiary", icon=":material/database:", help=f"Where “{figure.label}” comes from"):
        st.markdown(f"**{figure.label}**: `{'null' if figure.value is None else figure.value}` {figure.unit}".rstrip())
        st.code(figure.sql, language="sql", wrap_lines=True)
        st.caption("The same on the command line:")
        st.code(command(figure.sql), language="bash", wrap_lines=True)


def command(sql: str) -> str:
    """The command that asks the store of this app a question."""
    return f"tachograph query --home {shlex.quote(str(Home.default().path))} --json {shlex.quote(sql)}"
