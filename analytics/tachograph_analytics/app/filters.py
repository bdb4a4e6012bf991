"""Filters of the Spike page as chips: which runs are meant, or left out. They stand in the address."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app import links
from tachograph_analytics.app.words import plain
from tachograph_analytics.runs.attribute import BY_NAME
from tachograph_analytics.runs.scope import Condition, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph_analytics.runs.attribute import Attribute


def words(condition: Condition) -> str:
    """A filter in words."""
    known = BY_NAME[condition.column]
    return f"{'Not' if condition.negated else 'Only'} {known.label} {known.shown(condition.value)}"


def draw(conditions: Sequence[Condition]) -> None:
    """A chip for each filter: a click on it turns it round, one beside it takes it away."""
    if not conditions:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("Filters:", width="content")
        for one in conditions:
            turned = replace(one, negated=not one.negated)
            _button(
                words(one), "filter", [turned if c == one else c for c in conditions], f"Turn round: {words(turned)}"
            )
            _button("✕ Remove", words(one), [c for c in conditions if c != one], f"Remove the filter: {words(one)}")


def offer(attribute: Attribute, value: str | None, conditions: Sequence[Condition]) -> None:
    """The button that makes a filter of a value."""
    condition = Condition(attribute.name, value)
    help_ = f"Show only the runs with {attribute.label} {attribute.shown(value)}; once more: all others"
    _button(words(condition), "offer", [*conditions, condition], help_)


def _button(label: str, key: str, after: Sequence[Condition], help_: str) -> None:
    st.button(plain(label), key=f"{key} {label}", help=plain(help_), on_click=_write, args=(tuple(after),))


def _write(conditions: tuple[Condition, ...]) -> None:
    for name in ("only", "not"):
        st.query_params.pop(name, None)
    st.query_params.update(links.spike(Scope(conditions=conditions)))
