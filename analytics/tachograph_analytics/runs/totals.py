"""What the runs of a range add up to."""
# ruff: noqa: S608 - Scope quotes its literals, everything else is said here

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tachograph_analytics.runs import estimate
from tachograph_analytics.runs.figure import Figure, ask

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.runs.scope import Scope

# A run that waits for an approval has no outcome yet: it is neither success nor failure.
_ENDED = estimate.runs("outcome IS NOT NULL")
_SUCCEEDED = estimate.runs("outcome = 'success'")
_SPENT = estimate.total("cost")


@dataclass(frozen=True, slots=True)
class Totals:
    """Four answers about a range: US dollars, US dollars per success, a share of ended runs, runs.

    Where runs were sampled they are estimates of what there was.
    """

    spend: Figure
    cost_per_success: Figure
    success_rate: Figure
    blocked: Figure


@dataclass(frozen=True, slots=True)
class Pricing:
    """How the calls of a range got their price; `price_dates` are those of the tables behind the estimates."""

    estimated_calls: int
    reported_calls: int
    unpriced_calls: int
    price_dates: tuple[str, ...]


def totals(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Totals:
    """The figures of the runs in `scope`; null where no run has what the figure needs."""
    where = scope.where()
    refused = scope.where(
        "(outcome = 'refused' OR run_id IN (SELECT run_id FROM checkpoints WHERE decision = 'deny'))",
    )
    return Totals(
        spend=ask(connection, "Spend", "USD", f"SELECT round({_SPENT}, 9) AS spend FROM runs{where}"),
        cost_per_success=ask(
            connection,
            "Cost per success",
            "USD",
            f"SELECT round({_SPENT} / nullif({_SUCCEEDED}, 0), 9) AS cost_per_success FROM runs{where}",
        ),
        success_rate=ask(
            connection,
            "Success rate",
            "share",
            f"SELECT {_SUCCEEDED} / nullif({_ENDED}, 0) AS success_rate FROM runs{where}",
        ),
        blocked=ask(
            connection,
            "Blocked or refused",
            "runs",
            f"SELECT {estimate.whole(estimate.runs())} AS blocked_or_refused FROM runs{refused}",
        ),
    )


def pricing(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Pricing:
    """How many LLM calls in `scope` were priced by whom, and by which price tables."""
    estimated, reported, unpriced, dates = connection.execute(
        f"""SELECT count(*) FILTER (cost IS NOT NULL AND cost_source = 'estimated'),
                   count(*) FILTER (cost IS NOT NULL AND cost_source = 'provider'),
                   count(*) FILTER (cost IS NULL),
                   list_sort(list(DISTINCT price_version) FILTER (price_version IS NOT NULL))
            FROM llm_calls{scope.where()}"""
    ).fetchall()[0]
    return Pricing(estimated, reported, unpriced, tuple(dates or ()))
