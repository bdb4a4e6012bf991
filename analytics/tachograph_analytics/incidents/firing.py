"""The incidents whose alert fires now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tachograph_analytics.incidents.incident import Incident, listed

if TYPE_CHECKING:
    import duckdb


def firing(connection: duckdb.DuckDBPyConnection) -> tuple[Incident, ...]:
    """The incidents whose alert fires, the newest first."""
    return tuple(incident for incident in listed(connection) if incident.status == "firing")
