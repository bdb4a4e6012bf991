"""Alerts to Prometheus rule groups: pure functions from the registry and the catalogue to plain data."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tachograph.errors import UsageError
from tachograph.registry import names
from tachograph_alerts.promql import AGENT, by_agent, series

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.registry import Registry
    from tachograph_alerts.catalogue import Alert, Catalogue, Labels, Links

# A placeholder of a description: {agent}, {window}, {threshold:percent}; {{ }} belongs to Prometheus.
_PLACEHOLDER = re.compile(r"(?<!\{)\{(\w+)(:percent)?\}(?!\})")
_HOURS = {"m": 1 / 60, "h": 1, "d": 24}
# How long it holds before the alert fires, and how long the alert outlasts it.
_HOLDS = ("for", "keep_firing_for")
# The label's values that are compared: the new one, and what it is to be as good as.
_CANDIDATE, _BASELINE = "canary", "stable"


def rule_groups(registry: Registry, catalogue: Catalogue) -> dict[str, Any]:
    """The content of a Prometheus rule file, one group a pattern."""
    alerts = sorted(catalogue.alerts.values(), key=lambda alert: alert.pattern)
    return {
        "groups": [
            {"name": f"tachograph-{pattern}", "rules": [rule(registry, alert, catalogue.links) for alert in members]}
            for pattern, members in groupby(alerts, key=lambda alert: alert.pattern)
        ]
    }


def rule(registry: Registry, alert: Alert, links: Links) -> dict[str, Any]:
    """One alerting rule with its labels and annotations."""
    hold = {name: alert.number(name) for name in _HOLDS if name in alert.numbers}
    return {
        "alert": alert.name,
        "expr": CONDITIONS[alert.condition](registry, alert),
        **hold,
        "labels": {"severity": alert.severity, "pattern": alert.pattern},
        "annotations": annotate(registry, alert, links),
    }


def annotate(registry: Registry, alert: Alert, links: Links) -> dict[str, str]:
    """What a person reads and follows: summary, description, runbook, dashboard, the app's page of the cause."""
    label = f"$labels.{registry.attributes[AGENT].column}"
    one_agent = alert.condition != "heartbeat"
    variable = f"&var-agent={{{{ urlquery {label} }}}}" if one_agent else ""
    agent = f"&agent={{{{ urlquery {label} }}}}" if one_agent else ""
    rule_ = f"&rule={alert.rule}" if alert.rule else ""
    return {
        "summary": alert.summary,
        "description": described(alert, f"{{{{ {label} }}}}"),
        "runbook_url": f"{links.runbooks}/{alert.name}.md",
        "dashboard_url": f"{links.grafana}/d/{alert.board}?from=now-1h&to=now{variable}",
        # Without a time the page looks up when the alert last fired.
        "investigate_url": f"{links.app}/{alert.page}?alert={alert.name}{agent}{rule_}",
    }


def described(alert: Alert, agent: str) -> str:
    """The description with `agent` and the alert's numbers in place."""

    def filled(match: re.Match[str]) -> str:
        value = agent if match[1] == "agent" else alert.number(match[1])
        return f"{float(value):.0%}" if match[2] else str(value)

    return _PLACEHOLDER.sub(filled, alert.description)


def _detection(registry: Registry, alert: Alert) -> str:
    """An increase, or a counter that is not 0 when it is first seen.

    `increase()` cannot see the first event of a counter that is born with it, as that of an agent that only its first
    run names.
    """
    window = str(alert.number("window"))
    counted = series(registry, _metric(alert), alert.where)
    born = by_agent(registry, _metric(alert), "sum", f"{counted} unless {counted} offset {window}")
    return f"{_increase(registry, _metric(alert), alert.where, f'[{window}]')} > 0\nor {born} > 0"


def _ratio(registry: Registry, alert: Alert) -> str:
    window = f"[{alert.number('window')}]"
    bad = _increase(registry, _metric(alert), alert.where | alert.bad, window)
    every = _increase(registry, _metric(alert), alert.where, window)
    return f"{bad}\n/ {every}\n> {alert.number('threshold')}\nand {every} >= {alert.number('guard')}"


def _spike(registry: Registry, alert: Alert) -> str:
    window, baseline = str(alert.number("window")), str(alert.number("baseline"))
    now = _increase(registry, _metric(alert), alert.where, f"[{window}]")
    before = _increase(registry, _metric(alert), alert.where, f"[{baseline}] offset {window}")
    known = by_agent(
        registry, _metric(alert), "group", f"{series(registry, _metric(alert), alert.where)} offset {baseline}"
    )
    windows = f"{_hours(baseline) / _hours(window):g}"
    above = f"{now}\n> {alert.number('threshold')} * {before} / {windows}"
    return f"{above}\nand {now} > {alert.number('guard')}\nand {known}"


def _tracks(registry: Registry, alert: Alert) -> str:
    """How many times as much the canary track's metric is for one good event as the stable track's."""
    if alert.per is None:
        raise UsageError(f"{alert.name} has condition {alert.condition!r} and needs per, a metric: see alerts.toml.")
    window = f"[{alert.number('window')}]"
    amounts: list[str] = []
    events: list[str] = []
    for track in (_CANDIDATE, _BASELINE):
        where = alert.where | {names.RELEASE_TRACK: (track,)}
        amounts.append(_increase(registry, _metric(alert), where, window))
        events.append(_increase(registry, alert.per, where | alert.good, window))
    candidate, baseline = (f"({amount}\n/ {count})" for amount, count in zip(amounts, events, strict=True))
    enough = "".join(f"\nand {count} >= {alert.number('guard')}" for count in events)
    return f"{candidate}\n/ {baseline}\n> {alert.number('threshold')}{enough}"


def _absent(registry: Registry, alert: Alert) -> str:
    selected = series(registry, _metric(alert), alert.where)
    was = f"present_over_time({selected}[{alert.number('window')}])"
    seen = by_agent(registry, _metric(alert), "group", was)
    return f"{seen}\nunless {by_agent(registry, _metric(alert), 'group', selected)}"


def _heartbeat(_registry: Registry, _alert: Alert) -> str:
    return "vector(1)"


def _increase(registry: Registry, metric: str, where: Labels, window: str) -> str:
    """What a counter gained in `window`, a range with its offset, one series an agent."""
    return by_agent(registry, metric, "sum", f"increase({series(registry, metric, where)}{window})")


def _metric(alert: Alert) -> str:
    if alert.metric is None:
        raise UsageError(f"{alert.name} has condition {alert.condition!r} and needs a metric: see alerts.toml.")
    return alert.metric


def _hours(duration: str) -> float:
    return float(duration[:-1]) * _HOURS[duration[-1]]


CONDITIONS: dict[str, Callable[[Registry, Alert], str]] = {
    "detection": _detection,
    "ratio": _ratio,
    "spike": _spike,
    "tracks": _tracks,
    "absent": _absent,
    "heartbeat": _heartbeat,
}
