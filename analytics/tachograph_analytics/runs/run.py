"""One run: how it ended and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tachograph_analytics.runs.figure import Figure, ask
from tachograph_analytics.runs.scope import text

if TYPE_CHECKING:
    import duckdb

# Column of the view runs, label and unit of each figure of a run.
_FIGURES = (
    ("cost", "Cost", "USD"),
    ("duration_ms", "Duration", "ms"),
    ("turns", "Turns", "turns"),
    ("llm_calls", "LLM calls", "calls"),
    ("tool_calls", "Tool calls", "calls"),
    ("input_tokens", "Input tokens", "tokens"),
    ("output_tokens", "Output tokens", "tokens"),
    ("cached_tokens", "Cached input tokens", "tokens"),
)

# The columns of the view runs that are facts of `Run` under the same name.
_FACTS = (
    "agent",
    "workflow",
    "tenant",
    "release",
    "track",
    "session",
    "tier",
    "outcome",
    "stop_reason",
    "error_type",
    "cost_source",
    "sample_rate",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One user request; `outcome` is null while it waits or where its end is missing. `started` is aware UTC."""

    run_id: str
    started: datetime
    agent: str | None
    workflow: str | None
    tenant: str | None
    release: str | None
    track: str | None
    session: str | None
    tier: int | None
    outcome: str | None
    stop_reason: str | None
    error_type: str | None
    cost_source: str | None
    sample_rate: float | None
    figures: dict[str, Figure]
    price_dates: tuple[str, ...]
    unpriced_calls: int


def find(connection: duckdb.DuckDBPyConnection, run_id: str) -> Run | None:
    """The run with this id; None if the store has none."""
    cursor = connection.execute(
        f"SELECT ts, {', '.join(_FACTS)} FROM runs WHERE run_id = $run_id",  # noqa: S608 - our own columns
        {"run_id": run_id},
    )
    row = cursor.fetchone()
    if row is None:
        return None
    dates, unpriced = connection.execute(
        """SELECT list_sort(list(DISTINCT price_version) FILTER (price_version IS NOT NULL)),
                  count(*) FILTER (cost IS NULL)
           FROM llm_calls WHERE run_id = $run_id""",
        {"run_id": run_id},
    ).fetchall()[0]
    started, *facts = row
    return Run(
        run_id=run_id,
        started=started.replace(tzinfo=UTC),
        **dict(zip(_FACTS, facts, strict=True)),
        figures=_figures(connection, run_id),
        price_dates=tuple(dates or ()),
        unpriced_calls=unpriced,
    )


def _figures(connection: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, Figure]:
    return {
        column: ask(connection, label, unit, f"SELECT {column} FROM runs WHERE run_id = {text(run_id)}")  # noqa: S608 - quoted
        for column, label, unit in _FIGURES
    }
