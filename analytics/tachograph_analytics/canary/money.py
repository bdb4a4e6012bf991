"""Cost per success: a ratio of sums, whose interval one runaway run must not blow up."""
# ruff: noqa: S608 - releases are quoted by `text`, everything else is said here

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tachograph_analytics.canary.gate import CRITERIA, Gate
from tachograph_analytics.canary.intervals import Moments, of_ratios
from tachograph_analytics.canary.sample import nothing, too_few
from tachograph_analytics.canary.sessions import TABLE
from tachograph_analytics.runs.scope import text

if TYPE_CHECKING:
    from tachograph_analytics.canary.sessions import Sessions

# A run counts with at most so many times the baseline's mean cost of a run. In simulations with heavy tails this cut
# the variance to a third and cost no power; how many runs it touches is said beside the number.
CAP: Final = 20

_DIGITS: Final = 8  # the last bits of a sum depend on the order in which its rows come

_PRICED: Final = "priced AND ended > 0"


def cost_per_success(sessions: Sessions) -> Gate:
    """Cost of all runs by successful run, each run counted with at most the cap; sessions without a price left out."""
    criterion, pair = CRITERIA["cost_per_success"], sessions.pair
    cap = f"(SELECT {CAP} * sum(cost) / sum(runs) FROM {TABLE} WHERE release = {text(pair.baseline.id)} AND {_PRICED})"
    capped = f"list_sum(list_transform(costs, lambda c: least(c, {TABLE}_cap.cap)))"
    source = f"{TABLE}, (SELECT {cap} AS cap) AS {TABLE}_cap"
    baseline, candidate = (
        sessions.figure(
            f"{criterion.label}, {release.id}",
            "USD",
            f"SELECT round(sum({capped}) / nullif(sum(successes), 0), {_DIGITS}) AS cost_per_success\nFROM {source}\n"
            f"WHERE release = {text(release.id)} AND {_PRICED}",
        )
        for release in (pair.baseline, pair.candidate)
    )
    of_baseline, of_candidate = (
        _moments(sessions, release.id, source, capped) for release in (pair.baseline, pair.candidate)
    )
    samples = (of_baseline.n, of_candidate.n)
    reason = nothing(pair, samples, "sessions with a price for each run") or _no_ratio(
        sessions, of_baseline, of_candidate
    )
    if reason:
        return Gate(criterion, "no data", baseline, candidate, samples, reason=reason)
    difference = of_candidate.mean_x / of_candidate.mean_y / (of_baseline.mean_x / of_baseline.mean_y) - 1
    note = _note(sessions, source)
    if min(samples) < criterion.least:
        few = too_few(pair, samples, criterion)
        return Gate(criterion, "too few", baseline, candidate, samples, difference, reason=few, note=note)
    interval = of_ratios(of_baseline, of_candidate)
    return Gate(criterion, "numbers", baseline, candidate, samples, difference, interval, note=note)


def _moments(sessions: Sessions, release: str, source: str, capped: str) -> Moments:
    """Of the pairs (capped cost, successful runs) of the sessions of a release."""
    sql = f"""SELECT count(*), avg(x), avg(y), var_samp(x), var_samp(y), covar_samp(x, y)
              FROM (SELECT {capped} AS x, successes AS y FROM {source} WHERE release = {text(release)} AND {_PRICED})"""
    n, *moments = sessions.connection.execute(sql).fetchall()[0]
    return Moments(n, *(float(moment or 0.0) for moment in moments))


def _no_ratio(sessions: Sessions, of_baseline: Moments, of_candidate: Moments) -> str:
    """Why a ratio cannot be made of samples that are there."""
    arms = ((of_baseline, sessions.pair.baseline.id), (of_candidate, sessions.pair.candidate.id))
    failed = [release for moments, release in arms if moments.mean_y <= 0]
    if failed:
        return f"No run of {' and of '.join(failed)} succeeded, so there is no cost per success."
    free = [release for moments, release in arms if moments.mean_x <= 0]
    return f"The runs of {' and '.join(free)} cost nothing, so there is nothing to compare." if free else ""


def _note(sessions: Sessions, source: str) -> str:
    """The cap, what it touched, and the sessions that are left out."""
    over = f"list_transform(costs, lambda c: greatest(c - {TABLE}_cap.cap, 0))"
    beyond = f"list_filter(costs, lambda c: c > {TABLE}_cap.cap)"
    sql = f"""SELECT any_value(cap), CAST(coalesce(sum(runs) FILTER (priced), 0) AS BIGINT),
                CAST(coalesce(sum(len({beyond})) FILTER (priced), 0) AS BIGINT),
                coalesce(sum(list_sum({over})) FILTER (priced), 0) / nullif(sum(cost) FILTER (priced), 0),
                count(*) FILTER (NOT priced)
              FROM {source} WHERE ended > 0"""
    cap, runs, capped, cut, unpriced = sessions.connection.execute(sql).fetchall()[0]
    said = f"Each run counts with at most ${cap:,.4g}, {CAP} times the baseline's mean"
    touched = (
        f"; that cut {capped:,} of {runs:,} runs and {cut:.1%} of the cost.".replace("%", " %")
        if capped
        else "; no run costs more."
    )
    left_out = f" {unpriced:,} sessions have a run without a price and are left out." if unpriced else ""
    return said + touched + left_out
