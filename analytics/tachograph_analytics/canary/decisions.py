"""What the release's own pipeline decided about it, as it said so to tachograph."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tachograph_analytics.runs.scope import text

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.canary.releases import Pair
    from tachograph_analytics.runs.scope import Scope

_MOST: Final = 40


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of a gate: when (aware UTC), on how many samples, how old their newest was in seconds."""

    ts: datetime
    gate: str | None
    verdict: str | None
    decision: str | None
    observed: float | None
    baseline: float | None
    threshold: float | None
    samples: int | None
    data_age_s: float | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """The newest decisions about a candidate of `total`; `nameless` ones of its agent name no release."""

    newest: tuple[Decision, ...]
    total: int
    nameless: int


def decisions(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope) -> Decisions:
    """The decisions about the candidate in the time of `scope`."""
    about = scope.where(f"release = {text(pair.candidate.id)}")
    rows = connection.execute(
        f"""SELECT ts, gate, verdict, decision, observed, baseline, threshold, samples, data_age_s
            FROM gates{about} ORDER BY ts DESC, gate LIMIT {_MOST}"""  # noqa: S608 - Scope and `text` quote
    ).fetchall()
    total, nameless = (
        connection.execute(f"SELECT count(*) FROM gates{condition}").fetchall()[0][0]  # noqa: S608 - same
        for condition in (about, scope.where("release IS NULL"))
    )
    return Decisions(tuple(Decision(ts.replace(tzinfo=UTC), *facts) for ts, *facts in rows), total, nameless)
