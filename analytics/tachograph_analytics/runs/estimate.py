"""What there was, from what was kept: a kept run stands for as many as its sample rate says."""
# ruff: noqa: S608 - Scope quotes its literals, everything else is said here

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.runs.scope import Scope

RATE: Final = "coalesce(nullif(sample_rate, 0), 1)"
"""A run's sample rate as SQL: 1 where it says none, and for a 0, at which nothing would have been kept."""


def total(column: str, condition: str = "") -> str:
    """The SQL of a column's sum over all runs, also those that were not kept; null where no run has a value."""
    return f"sum({column} / {RATE}){_only(condition)}"


def runs(condition: str = "") -> str:
    """The SQL of the number of runs (that meet the condition), also those that were not kept; it has a fraction."""
    return f"coalesce(sum(1 / {RATE}){_only(condition)}, 0)"


def whole(sql: str) -> str:
    """The SQL of a number of runs, to the nearest whole one."""
    return f"round({sql})::BIGINT"


def _only(condition: str) -> str:
    return f" FILTER ({condition})" if condition else ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How runs were sampled: `kept` of about `estimated` are in the store; `least` is the lowest rate."""

    kept: int
    estimated: int
    least: float


def sampling(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Sampling | None:
    """How the runs in `scope` were sampled; None where every one of them was kept."""
    kept, estimated, least = connection.execute(
        f"SELECT count(*), {whole(runs())}, coalesce(min({RATE}), 1) FROM runs{scope.where()}"
    ).fetchall()[0]
    return Sampling(kept, estimated, least) if least < 1 else None
