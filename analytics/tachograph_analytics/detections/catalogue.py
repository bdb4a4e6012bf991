"""All detections by name, and the SQL that each is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from tachograph.errors import UsageError
from tachograph_analytics.detections import (
    approval,
    budget,
    checkpoint,
    degraded,
    evidence,
    limiter,
    release,
    routing,
    tool,
)
from tachograph_analytics.detections import cache as caching
from tachograph_analytics.detections.tables import ibis

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph_analytics.detections.tables import Rows

_EXPRESSIONS: Final[tuple[Callable[[], Rows], ...]] = (
    checkpoint.tool_unchecked,
    checkpoint.checkpoint_prompt_only,
    checkpoint.content_raw,
    approval.write_unapproved,
    approval.approval_no_diff,
    approval.approval_args_changed,
    approval.approval_unaudited,
    tool.write_no_key,
    tool.key_executed_twice,
    tool.output_unvalidated,
    tool.authz_skipped,
    evidence.evidence_unresolved,
    budget.budget_no_degraded,
    budget.loop_runaway,
    routing.route_no_candidates,
    routing.route_llm_unconstrained,
    limiter.limit_raised_saturated,
    caching.cache_cross_tenant,
    caching.cache_key_no_tenant,
    caching.write_cached,
    degraded.fallback_silent,
    release.gate_no_data,
    release.gate_stale,
)
EXPRESSIONS: Final = {expression.__name__: expression for expression in _EXPRESSIONS}


@cache
def sql(rule: str, dialect: Literal["duckdb", "clickhouse"] = "duckdb") -> str:
    """The query that finds what `rule` is about, over the store's views; UsageError for a rule that does not exist."""
    if rule not in EXPRESSIONS:
        raise UsageError(f"there is no detection {rule!r}; there are: {', '.join(EXPRESSIONS)}")
    return compiled(EXPRESSIONS[rule](), dialect)


@cache
def views(rule: str) -> frozenset[str]:
    """The views that the query of `rule` asks."""
    unbound = ibis.expr.operations.UnboundTable
    return frozenset(table.name for table in EXPRESSIONS[rule]().op().find(unbound))


def compiled(rows: Rows, dialect: Literal["duckdb", "clickhouse"] = "duckdb") -> str:
    """The expression as SQL."""
    return str(ibis.to_sql(rows, dialect=dialect))


def rules() -> tuple[str, ...]:
    """The names of all detections, in the registry's order."""
    return tuple(EXPRESSIONS)
