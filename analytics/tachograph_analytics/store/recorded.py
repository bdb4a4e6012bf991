"""What a store holds, in the neutral form that `tachograph lint` checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tachograph.registry import load
from tachograph.registry.recorded import EventRecord, Recorded, SpanRecord
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb


def recorded(path: Path) -> Recorded:
    """All spans and events of the home at `path`; UsageError where there is no store."""
    connection = connect(Home.at(path).require())
    spans = _rows(connection, "spans", "name", "span_id")
    events = _rows(connection, "events", "event_name", "span_id")
    return Recorded(
        tuple(SpanRecord(name or "", attributes, where or "") for name, where, attributes in spans),
        tuple(EventRecord(name or "", attributes, where or "") for name, where, attributes in events),
    )


def _rows(
    connection: duckdb.DuckDBPyConnection, view: str, name: str, where: str
) -> list[tuple[str | None, str | None, dict[str, Any]]]:
    """Name, place and attributes of each row: the typed columns under their registry names, and the rest."""
    promoted = load().promoted
    columns = [f'"{attribute.column}"' for attribute in promoted if attribute.column in _columns(connection, view)]
    names = [attribute.name for attribute in promoted if f'"{attribute.column}"' in columns]
    query = f"SELECT {name}, {where}, attributes, {', '.join(columns)} FROM {view}"  # noqa: S608 - names of our own
    return [(row[0], row[1], _attributes(row[2], names, row[3:])) for row in connection.execute(query).fetchall()]


def _columns(connection: duckdb.DuckDBPyConnection, view: str) -> set[str]:
    described = connection.execute(f"DESCRIBE {view}").fetchall()
    return {str(row[0]) for row in described}


def _attributes(rest: dict[str, str] | None, names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    typed = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    return {**{name: _as_sent(name, text) for name, text in (rest or {}).items()}, **typed}


def _as_sent(name: str, text: str) -> Any:
    """An attribute without a column of its own is kept as text: read as the type that the registry gives it."""
    known = load().attributes.get(name)
    if known is None or known.type == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
