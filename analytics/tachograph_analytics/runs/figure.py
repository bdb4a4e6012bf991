"""A number together with the SQL that it comes from, so that everybody can ask again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

Value = float | int | str | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One answer: `value` is what `sql` gives, None where nothing can be said; `unit` is USD, ms, share or a noun."""

    label: str
    value: Value
    unit: str
    sql: str


def ask(connection: duckdb.DuckDBPyConnection, label: str, unit: str, sql: str) -> Figure:
    """The figure behind `sql`, which gives one row of one column."""
    row = connection.execute(sql).fetchone()
    return Figure(label, row[0] if row is not None else None, unit, sql)
