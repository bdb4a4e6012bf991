"""Which releases of which agent there are, and which two of them to look at side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tachograph_analytics.canary.unit import TRAFFIC, UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tachograph_analytics.runs.scope import Scope

_TICK = timedelta(microseconds=1)  # the store's times are no finer: what is before `last` + 1 tick includes `last`


@dataclass(frozen=True, slots=True)
class Release:
    """A release of an agent as it was seen: when its first and last run began (aware UTC), on which tracks."""

    agent: str
    id: str
    tracks: tuple[str, ...]
    first: datetime
    last: datetime
    runs: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two releases of one agent: `candidate` is judged by `baseline`."""

    baseline: Release
    candidate: Release

    @property
    def agent(self) -> str:
        """The agent of both."""
        return self.candidate.agent

    def overlap(self, scope: Scope) -> Scope | None:
        """The part of `scope` in which both releases ran, for their agent alone; None where they never did.

        From the later first run to the earlier last one: what ran at the same time had the same days, the same users
        and the same outages.
        """
        since = max(filter(None, (self.baseline.first, self.candidate.first, scope.since)))
        last = min(self.baseline.last, self.candidate.last) + _TICK
        until = min(last, scope.until) if scope.until else last
        return replace(scope, since=since, until=until, agent=self.agent) if since < until else None


def releases(connection: duckdb.DuckDBPyConnection) -> tuple[Release, ...]:
    """All releases of all agents that say their name, the one that came last first; golden cases are no traffic."""
    rows = connection.execute(
        f"""SELECT agent, release, list_sort(list(DISTINCT track) FILTER (track IS NOT NULL)), min(ts), max(ts),
                   count(*), count(DISTINCT {UNIT})
            FROM runs WHERE agent IS NOT NULL AND release IS NOT NULL AND {TRAFFIC}
            GROUP BY agent, release ORDER BY min(ts) DESC, agent, release"""  # noqa: S608 - our own expressions
    ).fetchall()
    return tuple(
        Release(
            agent, release, tuple(tracks or ()), first.replace(tzinfo=UTC), last.replace(tzinfo=UTC), runs, sessions
        )
        for agent, release, tracks, first, last, runs, sessions in rows
    )


def default_pair(known: Sequence[Release], agent: str | None = None) -> Pair | None:
    """The pair that most likely waits for a decision, of `agent` or of any; None where no agent has two releases.

    The newest release that runs as canary against the release that had most runs beside it on another track; without a
    canary the two newest releases of the agent whose newest one came last.
    """
    of_agent = [release for release in known if agent in {None, release.agent}]
    newest_first = sorted(of_agent, key=lambda release: release.first, reverse=True)
    for candidate in newest_first:
        if "canary" in candidate.tracks:
            beside = [other for other in newest_first if _stable_beside(other, candidate)]
            if beside:
                return Pair(max(beside, key=lambda other: other.runs), candidate)
    for candidate in newest_first:
        before = [other for other in newest_first if other.agent == candidate.agent and other != candidate]
        if before:
            return Pair(before[0], candidate)
    return None


def _stable_beside(other: Release, candidate: Release) -> bool:
    """Whether `other` is the agent's stable release of the candidate's time; one that names no track may be it too."""
    stable = not other.tracks or set(other.tracks) & {"stable", "baseline"}
    together = other.first <= candidate.last and candidate.first <= other.last
    return bool(stable) and together and other.agent == candidate.agent and other.id != candidate.id
