"""One read-only SQL question to a store, and its answer as JSON or as a table."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import duckdb

from tachograph_analytics.store.views import connect, damage_is_a_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tachograph_analytics.store.home import Home

_GAP = "  "  # between the columns of a table
_READS = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.PRAGMA})


class QueryError(Exception):
    """A sentence about SQL that cannot be answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows under column names, each name once."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def query(home: Home, sql: str) -> Answer:
    """The answer to one statement that reads; QueryError for anything else, UsageError where there is no store."""
    with connect(home) as connection:
        try:
            with damage_is_a_sentence(home):
                _require_read(connection, sql)
                cursor = connection.execute(sql)
                description = cursor.description or []
                return Answer(_distinct([column[0] for column in description]), tuple(cursor.fetchall()))
        except duckdb.Error as error:
            raise QueryError(_first_sentence(error)) from error


def as_json(answer: Answer) -> str:
    """An array of row objects; times ISO-8601 UTC, NaN and infinities null, durations seconds, bytes hex."""
    rows = [dict(zip(answer.columns, map(_plain, row), strict=True)) for row in answer.rows]
    return json.dumps(rows, ensure_ascii=False, allow_nan=False)


def as_text(answer: Answer, width: int | None) -> str:
    """A table if it fits `width` columns (None: it always does), else a block a row; no value is ever cut."""
    rows = [["" if value is None else _shown(value) for value in row] for row in answer.rows]
    widths = [max(map(len, column)) for column in zip(answer.columns, *rows, strict=True)]
    if width is None or sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
        rule = ["-" * length for length in widths]
        return "\n".join(_line(cells, widths) for cells in (answer.columns, rule, *rows))
    longest = max(map(len, answer.columns))
    blocks = [
        "\n".join(f"{name:<{longest}}{_GAP}{value}".rstrip() for name, value in zip(answer.columns, row, strict=True))
        for row in rows
    ]
    return "\n\n".join(blocks) or "no rows"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(f"{cell:<{length}}" for cell, length in zip(cells, widths, strict=True)).rstrip()


def _require_read(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(f"one statement is answered at a time, these are {len(statements)}")
    # A SELECT can hide a COPY in a common table expression, and COPY can overwrite the very files that may be read.
    if statements[0].type not in _READS or "copy" in _keywords(sql):
        raise QueryError("only statements that read are answered here")


def _keywords(sql: str) -> set[str]:
    tokens = duckdb.tokenize(sql)
    ends = [start for start, _ in tokens[1:]] + [len(sql.encode())]
    raw = sql.encode()
    return {
        raw[start:end].decode().strip().lower()
        for (start, kind), end in zip(tokens, ends, strict=True)
        if kind == duckdb.token_type.keyword
    }


def _distinct(names: list[str]) -> tuple[str, ...]:
    """The names, a repeated one with a number behind it."""
    taken: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.append(candidate)
    return tuple(taken)


@singledispatch
def _plain(value: object) -> Any:
    """The value in JSON's own types; what has no better form is its text."""
    return str(value)


@_plain.register(type(None))
@_plain.register(bool)
@_plain.register(int)
@_plain.register(str)
def _same(value: Any) -> Any:
    return value


@_plain.register
def _float(value: float) -> float | None:
    return value if math.isfinite(value) else None


@_plain.register
def _decimal(value: Decimal) -> float | None:
    return _float(float(value))


@_plain.register
def _datetime(value: datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


@_plain.register(date)
@_plain.register(time)
def _iso(value: date | time) -> str:
    return value.isoformat()


@_plain.register
def _seconds(value: timedelta) -> float:
    return value.total_seconds()


@_plain.register
def _hex(value: bytes) -> str:
    return value.hex()


@_plain.register(dict)
def _object(value: dict[Any, Any]) -> dict[str, Any]:
    return {_shown(key): _plain(item) for key, item in value.items()}


@_plain.register(list)
@_plain.register(tuple)
def _array(value: Iterable[Any]) -> list[Any]:
    return [_plain(item) for item in value]


def _shown(value: Any) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _first_sentence(error: duckdb.Error) -> str:
    """DuckDB's message without the excerpt of the SQL below it."""
    return str(error).partition("\n\n")[0].replace("\n", " ").strip()
