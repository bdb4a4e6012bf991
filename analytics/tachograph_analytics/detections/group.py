"""Findings of one kind together, for people who ask what is wrong and not how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tachograph.registry import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tachograph_analytics.detections.finding import Finding, Severity

EXAMPLES: Final = 3  # newest runs of a group: enough to click, few enough for a line
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_URGENCY: Final = ("page", "ticket", "info")


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one rule about one agent; `runs` counts the runs they are in.

    `releases` are those that were seen, the one with most findings first. `first_seen` and `last_seen` are None where
    no finding has a time. `sentence` says it all in one; `examples` are ids of the newest runs, newest first.
    """

    rule: str
    pattern: str
    severity: Severity
    agent: str | None
    releases: tuple[str, ...]
    count: int
    runs: int
    first_seen: datetime | None
    last_seen: datetime | None
    sentence: str
    examples: tuple[str, ...]


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """The findings by rule and agent: what pages first, then the most frequent."""
    together: dict[tuple[str, str | None], list[Finding]] = {}
    for finding in findings:
        together.setdefault((finding.rule, finding.agent), []).append(finding)
    groups = [_group(found) for found in together.values()]
    return sorted(groups, key=lambda g: (_URGENCY.index(g.severity), -g.count, g.rule, g.agent or ""))


def _group(found: list[Finding]) -> Group:
    newest_first = sorted(found, key=lambda finding: finding.ts or _NEVER, reverse=True)
    times = [finding.ts for finding in newest_first if finding.ts is not None]
    one = newest_first[0]
    runs = tuple(dict.fromkeys(finding.run_id for finding in newest_first if finding.run_id is not None))
    releases = Counter(finding.release for finding in newest_first if finding.release is not None)
    return Group(
        rule=one.rule,
        pattern=one.pattern,
        severity=one.severity,
        agent=one.agent,
        releases=tuple(release for release, _ in releases.most_common()),
        count=len(found),
        runs=len(runs),
        first_seen=times[-1] if times else None,
        last_seen=times[0] if times else None,
        sentence=_sentence(one, len(found), len(runs)),
        examples=runs[:EXAMPLES],
    )


def _sentence(newest: Finding, count: int, runs: int) -> str:
    """The only finding's own words, or the rule's with how often and in how many runs."""
    if count == 1:
        first = newest.summary.split(" ", 1)[0]
        begin = newest.summary[:1].upper() if first.isalpha() else newest.summary[:1]  # a tool's name stays as it is
        return f"{begin}{newest.summary[1:]}."
    brief = load().detections[newest.rule].brief.removesuffix(".")
    where = f" in {runs} {'run' if runs == 1 else 'runs'}" if runs else ""
    return f"{brief}: {count} times{where}."
