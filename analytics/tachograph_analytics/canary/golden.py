"""The golden set: cases that both releases were judged by, each beside itself."""
# ruff: noqa: S608 - releases are quoted by `text`, everything else is said here

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tachograph_analytics.canary.gate import CRITERIA, Gate
from tachograph_analytics.canary.intervals import of_paired_shares
from tachograph_analytics.canary.sample import too_few
from tachograph_analytics.runs.figure import ask
from tachograph_analytics.runs.scope import Scope, text

if TYPE_CHECKING:
    import duckdb

    from tachograph_analytics.canary.releases import Pair

_PASSED: Final = ("pass", "passed")
_FAILED: Final = ("fail", "failed")


@dataclass(frozen=True, slots=True)
class Case:
    """One case that both releases were judged by, as each was judged last; aware UTC times, runs if there were any."""

    suite: str | None
    name: str | None
    case_id: str
    baseline: bool
    candidate: bool
    baseline_score: float | None
    candidate_score: float | None
    baseline_at: datetime
    candidate_at: datetime
    baseline_run: str | None
    candidate_run: str | None


def golden(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope) -> Gate:
    """The share of passed cases; `scope` bounds the time in which they were judged, traffic or not."""
    criterion = CRITERIA["golden"]
    sql = cases_sql(pair, scope)
    baseline, candidate = (
        ask(
            connection,
            f"{criterion.label}, {release.id}",
            "share",
            f"SELECT round(avg(CAST({arm}.passed AS INTEGER)), 4) AS share {sql}",
        )
        for arm, release in (("baseline", pair.baseline), ("candidate", pair.candidate))
    )
    both, only_candidate, only_baseline, neither = connection.execute(
        f"""SELECT count(*) FILTER (candidate.passed AND baseline.passed),
                   count(*) FILTER (candidate.passed AND NOT baseline.passed),
                   count(*) FILTER (NOT candidate.passed AND baseline.passed),
                   count(*) FILTER (NOT candidate.passed AND NOT baseline.passed) {sql}"""
    ).fetchall()[0]
    n = both + only_candidate + only_baseline + neither
    if not n:
        reason, missing = _why_none(connection, pair, scope)
        return Gate(criterion, "no data", baseline, candidate, (0, 0), reason=reason, missing=missing)
    difference = (only_candidate - only_baseline) / n
    alone = f"{only_baseline} passed with {pair.baseline.id} alone and {only_candidate} with {pair.candidate.id} alone"
    note = f"Of {n} cases {alone}."
    if n < criterion.least:
        few = too_few(pair, (n, n), criterion)
        return Gate(criterion, "too few", baseline, candidate, (n, n), difference, reason=few, note=note)
    interval = of_paired_shares(both, only_candidate, only_baseline, neither)
    return Gate(criterion, "numbers", baseline, candidate, (n, n), difference, interval, note=note)


def cases(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope) -> tuple[Case, ...]:
    """The cases side by side: those that only the baseline passed first, then those that both failed."""
    rows = connection.execute(
        f"""SELECT suite, name, case_id, baseline.passed, candidate.passed, baseline.score, candidate.score,
                   baseline.ts, candidate.ts, baseline.run_id, candidate.run_id
            {cases_sql(pair, scope)}
            ORDER BY candidate.passed, baseline.passed DESC, suite, name, length(case_id), case_id"""
    ).fetchall()
    return tuple(Case(*facts[:7], *map(_aware, facts[7:9]), *facts[9:]) for facts in rows)


def cases_sql(pair: Pair, scope: Scope) -> str:
    """FROM …: one row a case that both releases were judged by, the last judgement of each; errors are none."""
    return (
        f"\nFROM ({_judged(pair.baseline.id, scope)}) AS baseline\n"
        f"JOIN ({_judged(pair.candidate.id, scope)}) AS candidate USING (suite, name, case_id)"
    )


def _judged(release: str, scope: Scope) -> str:
    labels = ", ".join(text(label) for label in (*_PASSED, *_FAILED))
    passed = ", ".join(text(label) for label in _PASSED)
    where = scope.where(
        f"release = {text(release)}", "case_id IS NOT NULL", "error_type IS NULL", f"lower(label) IN ({labels})"
    )
    return (
        "SELECT coalesce(suite, '') AS suite, coalesce(name, '') AS name, case_id, "
        f"lower(arg_max(label, ts)) IN ({passed}) AS passed, "
        "arg_max(score, ts) AS score, max(ts) AS ts, arg_max(run_id, ts) AS run_id\n"
        f"FROM evaluations{where}\nGROUP BY ALL"
    )


def _why_none(connection: duckdb.DuckDBPyConnection, pair: Pair, scope: Scope) -> tuple[str, str | None]:
    """The reason and, where nothing was ever judged, the missing hook."""
    seen = dict(
        connection.execute(
            f"""SELECT release, [count(*), count(case_id), count(error_type)] FROM evaluations
                {scope.where(f"release IN ({text(pair.baseline.id)}, {text(pair.candidate.id)})")} GROUP BY release"""
        ).fetchall()
    )
    blind = [release.id for release in (pair.baseline, pair.candidate) if release.id not in seen]
    if blind:
        nameless = connection.execute(f"SELECT count(*) FROM evaluations{scope.where('release IS NULL')}").fetchall()[
            0
        ][0]
        said = f" {nameless:,} evaluations of the agent name no release." if nameless else ""
        return f"There is no evaluation of {' and '.join(blind)} in this range.{said}", "evaluation"
    if any(not with_case for _, with_case, _ in seen.values()):
        return "The evaluations name no cases (case_id), so they cannot be paired.", None
    if any(judged == errors for judged, _, errors in seen.values()):
        return "All evaluations of a release ended in an error.", None
    return "No case was judged pass or fail with both releases.", None


def _aware(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
