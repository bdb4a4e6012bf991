"""What Alertmanager would have posted about the five weeks: two alerts that fire, and an older one that is over."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from tachograph.demo.arrivals import DAY_S, HOUR_S
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
_STEP_SEEN_S: Final = 1.5 * HOUR_S  # the rule looks at an hour and waits 10 minutes
_SILENCE_SEEN_S: Final = 600.0  # the rule looks at 10 minutes
_AROUND_S: Final = 1_800.0  # before and after an outage, for the eye
_OLD_DAYS: Final = 20
_OLD_LASTED_S: Final = 2_400.0
_NEVER: Final = "0001-01-01T00:00:00Z"  # Alertmanager's end of what goes on


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert over time, in seconds since 1970; `window` is what its link shows, `ends` is None while it fires."""

    key: str
    starts: float
    ends: float | None
    window: tuple[float, float]


def firings(world: World) -> tuple[Firing, ...]:
    """The alerts of a history, in order of time."""
    canary = world.until - CANARY_DAYS * DAY_S
    old = world.until - _OLD_DAYS * DAY_S
    outage = outages(world.seed, world.until)[-1]
    return (
        Firing("write_unapproved", old, old + _OLD_LASTED_S, (old - DAY_S / 2, old + DAY_S / 2)),
        Firing("cost_spike", canary + _STEP_SEEN_S, None, (canary, canary + _QUIET_DAYS * DAY_S)),
        Firing(
            "fallback_silent",
            outage.begin + _SILENCE_SEEN_S,
            None,
            (outage.begin - _AROUND_S, outage.end + _AROUND_S),
        ),
    )


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
