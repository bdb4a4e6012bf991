"""The columns of the stored tables: a few of the protocol, one for each promoted attribute, a map for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tachograph.registry import load

if TYPE_CHECKING:
    from tachograph.registry import Attribute
    from tachograph.registry.model import AttributeKind

Row = dict[str, Any]

# Microseconds without a zone, always UTC: the one timestamp that all functions of DuckDB, Ibis and Python handle
# alike. Durations are kept to the nanosecond beside it.
TIME: Final = "TIMESTAMP"
TEXT: Final = "VARCHAR"
TEXTS: Final = "MAP(VARCHAR, VARCHAR)"
INTEGER: Final = "BIGINT"

# The column that says when a row happened.
TIME_COLUMN: Final = {"spans": "start_time", "events": "event_time", "alerts": "received_at"}
TABLES: Final = tuple(TIME_COLUMN)

SQL_TYPES: Final[dict[AttributeKind, str]] = {
    "string": TEXT,
    "int": INTEGER,
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "string[]": "VARCHAR[]",
    "double[]": "DOUBLE[]",
}

_SPANS = {
    "trace_id": TEXT,
    "span_id": TEXT,
    "parent_span_id": TEXT,
    "name": TEXT,
    "kind": TEXT,
    "start_time": TIME,
    "end_time": TIME,
    "duration_ns": INTEGER,
    "status_code": TEXT,
    "status_message": TEXT,
    "service": TEXT,
    "scope": TEXT,
    "span_events": TEXT,
    "links": TEXT,
    "attributes": TEXTS,
    "resource": TEXTS,
    "received_at": TIME,
}
_EVENTS = {
    "event_id": TEXT,
    "event_name": TEXT,
    "event_time": TIME,
    "observed_time": TIME,
    "trace_id": TEXT,
    "span_id": TEXT,
    "severity": TEXT,
    "body": TEXT,
    "service": TEXT,
    "scope": TEXT,
    "attributes": TEXTS,
    "resource": TEXTS,
    "received_at": TIME,
}
_ALERTS = {
    "fingerprint": TEXT,
    "status": TEXT,
    "name": TEXT,
    "starts_at": TIME,
    "ends_at": TIME,
    "generator_url": TEXT,
    "labels": TEXTS,
    "annotations": TEXTS,
    "received_at": TIME,
}
_FIXED = {"spans": _SPANS, "events": _EVENTS, "alerts": _ALERTS}


def fixed_columns(table: str) -> dict[str, str]:
    """The columns that every file of `table` has, with their types in DuckDB."""
    return _FIXED[table]


def promoted(table: str) -> tuple[Attribute, ...]:
    """The attributes that are columns of `table`; a file has those that any of its rows fills."""
    return () if table == "alerts" else load().promoted


def columns(table: str) -> dict[str, str]:
    """Every column that `table` can have, with its type in DuckDB."""
    return _FIXED[table] | {a.column: SQL_TYPES[a.type] for a in promoted(table)}
