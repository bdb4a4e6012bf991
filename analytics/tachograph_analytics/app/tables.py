"""Tables as HTML, which screen readers and the keyboard can walk, unlike Streamlit's grid on a canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROWS_AT_ONCE = 17
_LONG_PX = 560


def table(columns: Mapping[str, Sequence[str]]) -> None:
    """A table of texts, shown literally; a long one scrolls within itself."""
    long = max(map(len, columns.values()), default=0) > _ROWS_AT_ONCE
    st.table(  # pyright: ignore[reportUnknownMemberType] - its signature names types of packages that are not installed
        {plain(heading): [plain(text) for text in texts] for heading, texts in columns.items()},
        hide_index=True,
        height=_LONG_PX if long else "content",
    )


def pairs(heading: str, facts: Mapping[str, str]) -> None:
    """A table of names and their values."""
    table({heading: list(facts), "Value": list(facts.values())})
