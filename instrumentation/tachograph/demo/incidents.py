"""What Alertmanager would have posted about the five weeks: two alerts that fire, and an older one that is over."""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from tachograph.demo.airline.replay import read
from tachograph.demo.arrivals import DAY_S, arrivals
from tachograph.demo.support.systems import outages
from tachograph.registry import load, names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph.demo.world import World

GRAFANA: Final = "http://127.0.0.1:3000"
PROMETHEUS: Final = "http://127.0.0.1:9090"
"""Where the compose stack has them."""

CANARY_DAYS: Final = 10
"""Before the end, the new release of the platform gets half of the sessions."""

_QUIET_DAYS: Final = 5  # from the canary's beginning until the outages' days begin: nothing else costs money
_RULE_EVERY_S: Final = 60.0
# What the rule of the canary's cost asks for (alerts.toml): so many successes on each track within a day, for so long.
_ENOUGH: Final = 50
_HELD_S: Final = 1_800.0
_SUCCEED: Final = 0.87  # of the platform's runs; measured on either track
_SILENCE_SEEN_S: Final = 600.0
_DETECTED_S: Final = 600.0  # so long a rule on a detection looks back
_AROUND_S: Final = 1_800.0  # before and after an outage, for the eye
_OLD_DAYS: Final = 20
_UNAPPROVED: Final = frozenset({"airline-2-0", "airline-6-0", "airline-8-0"})
"""The airline's recordings with a write that the customer did not say yes to; it is within a minute of the arrival."""
_WRITE_SEEN_S: Final = 60.0
_NEVER: Final = "0001-01-01T00:00:00Z"  # Alertmanager's end of what goes on


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert over time, in seconds since 1970; `window` is what its link shows, `ends` is None while it fires."""

    key: str
    starts: float
    ends: float | None
    window: tuple[float, float]


def firings(world: World) -> tuple[Firing, ...]:
    """Alerts of a history, in order of time; a small one may have no write that nobody approved."""
    canary = world.until - CANARY_DAYS * DAY_S
    outage = outages(world.seed, world.until)[-1]
    return (
        *_unapproved(world),
        Firing("canary_cost", _canary_seen(world), None, (canary, canary + _QUIET_DAYS * DAY_S)),
        Firing(
            "fallback_silent",
            outage.begin + _SILENCE_SEEN_S,
            None,
            (outage.begin - _AROUND_S, outage.end + _AROUND_S),
        ),
    )


def _unapproved(world: World) -> tuple[Firing, ...]:
    """The first write that nobody approved of those after the twentieth last day began, and what came on top of it.

    Of the many in five weeks one is told, so that the list of what is over is short.
    """
    recordings = read(None)
    since = world.until - _OLD_DAYS * DAY_S
    writes = [
        arrival.at + _WRITE_SEEN_S
        for arrival in arrivals("airline", world.requests("airline"), seed=world.seed, until=world.until)
        # the first that the airline's traffic draws, too
        if arrival.random.choice(recordings).session in _UNAPPROVED and since <= arrival.at < world.until - DAY_S
    ]
    if not writes:
        return ()
    starts = ends = writes[0]
    for write in writes:
        ends = write if write - ends <= _DETECTED_S else ends
    return (Firing("write_unapproved", starts, ends + _DETECTED_S, (starts - DAY_S / 2, starts + DAY_S / 2)),)


def _canary_seen(world: World) -> float:
    """About when the rule of the canary's cost began to fire; it goes on to the end, as it outlasts quiet hours.

    Each request is taken for an equal share of a success, as which of them succeed is known only when they are played:
    some minutes off on a working day, some hours on a weekend, when the successes are just enough. A history with too
    few runs for the rule has it a day after the canary's beginning, as if it were a full one.
    """
    begin = world.until - CANARY_DAYS * DAY_S
    came: tuple[list[float], list[float]] = ([], [])  # stable and canary, as the platform's router sends them
    for arrival in arrivals("support", world.requests("support"), seed=world.seed, until=world.until):
        came[arrival.days_left < CANARY_DAYS and arrival.number % 2].append(arrival.at)
    since, at = None, begin
    while at < world.until:
        within = min(bisect_left(times, at) - bisect_left(times, at - DAY_S) for times in came)
        since = (since or at) if within * _SUCCEED >= _ENOUGH else None
        if since is not None and at - since >= _HELD_S:
            return at
        at += _RULE_EVERY_S
    return begin + DAY_S + _HELD_S


def notifications(world: World, agents: Sequence[str], app: str) -> list[dict[str, Any]]:
    """What Alertmanager posts, its webhook's version 4, one notification after the other, about these agents.

    `app` is the address of the app, to which `investigate_url` leads.
    """
    data = tomllib.loads(files("tachograph.demo").joinpath("incidents.toml").read_text("utf-8"))
    posted: list[dict[str, Any]] = []
    for firing in firings(world):
        about = data[firing.key]
        if about["agent"] in agents:
            posted.append(_notification(about, firing, app, ends=None))
            if firing.ends is not None:
                posted.append(_notification(about, firing, app, ends=firing.ends))
    return posted


def _notification(about: dict[str, str], firing: Firing, app: str, *, ends: float | None) -> dict[str, Any]:
    alert = _alert(about, firing, app, ends)
    agent = load().attributes[names.GEN_AI_AGENT_NAME].column
    group = {"alertname": about["name"], agent: about["agent"]}
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{about["name"]}", {agent}="{about["agent"]}"}}',
        "truncatedAlerts": 0,
        "status": alert["status"],
        "receiver": about["severity"],
        "groupLabels": group,
        "commonLabels": alert["labels"],
        "commonAnnotations": alert["annotations"],
        "externalURL": "http://127.0.0.1:9093",
        "alerts": [alert],
    }


def _alert(about: dict[str, str], firing: Firing, app: str, ends: float | None) -> dict[str, Any]:
    agent = load().attributes[names.GEN_AI_AGENT_NAME].column
    return {
        "status": "firing" if ends is None else "resolved",
        "labels": {
            "alertname": about["name"],
            agent: about["agent"],
            "severity": about["severity"],
            "pattern": about["pattern"],
        },
        "annotations": {
            "summary": about["summary"],
            "description": about["description"],
            "runbook_url": f"{GRAFANA}/public/runbooks/{about['name']}.md",
            "dashboard_url": f"{GRAFANA}/d/tachograph-overview?from=now-1h&to=now&var-agent={about['agent']}",
            "investigate_url": f"{app}/{about['page']}?{_query(about, firing)}",
        },
        "startsAt": _iso(firing.starts),
        "endsAt": _NEVER if ends is None else _iso(ends),
        "generatorURL": f"{PROMETHEUS}/alerts?search={about['name']}",
        "fingerprint": about["fingerprint"],
    }


def _query(about: dict[str, str], firing: Firing) -> str:
    """The rule's own parameters, and the window."""
    since, until = firing.window
    rule = {"rule": about["rule"]} if "rule" in about else {}
    return urlencode(
        {"alert": about["name"], "agent": about["agent"], **rule, "from": _iso(since), "to": _iso(until)}, safe=":"
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
