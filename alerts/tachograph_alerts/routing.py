"""Alertmanager's configuration: who hears of what, how soon, and what silences what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tachograph_alerts.promql import AGENT

if TYPE_CHECKING:
    from tachograph.registry import Registry
    from tachograph_alerts.catalogue import Catalogue, Routing

DEADMAN = "deadman"


def alertmanager(registry: Registry, catalogue: Catalogue) -> dict[str, Any]:
    """The content of alertmanager.yml: one receiver a severity, and the dead-man route before them."""
    routing = catalogue.routing
    agent = registry.attributes[AGENT].column
    return {
        "route": {
            "receiver": "ticket",
            "group_by": ["alertname", agent],
            "group_wait": routing.severity["ticket"],
            "group_interval": routing.group_interval,
            "repeat_interval": routing.repeat,
            "routes": [_deadman(routing), *(_route(name, wait) for name, wait in routing.severity.items())],
        },
        "inhibit_rules": inhibitions(catalogue, agent),
        "receivers": [_receiver(name, routing) for name in (DEADMAN, *routing.severity)],
    }


def inhibitions(catalogue: Catalogue, agent: str) -> list[dict[str, Any]]:
    """A page silences the lesser alerts on the same pattern of its agent; absent telemetry, all its lesser alerts."""
    lesser = ['severity=~"ticket|info"']
    blind = "|".join(alert.name for alert in catalogue.alerts.values() if alert.condition == "absent")
    return [
        {"source_matchers": ['severity="page"'], "target_matchers": lesser, "equal": [agent, "pattern"]},
        {"source_matchers": [f'alertname=~"{blind}"'], "target_matchers": lesser, "equal": [agent]},
    ]


def _deadman(routing: Routing) -> dict[str, Any]:
    return {
        "receiver": DEADMAN,
        "matchers": [f'alertname="{routing.deadman_alert}"'],
        "group_wait": "0s",
        "group_interval": routing.deadman_interval,
        "repeat_interval": routing.deadman_interval,
    }


def _route(severity: str, wait: str) -> dict[str, Any]:
    return {"receiver": severity, "matchers": [f'severity="{severity}"'], "group_wait": wait}


def _receiver(name: str, routing: Routing) -> dict[str, Any]:
    authorization = {"type": "Bearer", "credentials_file": routing.credentials_file}
    webhook = {"url": routing.webhook, "send_resolved": True, "http_config": {"authorization": authorization}}
    return {"name": name, "webhook_configs": [webhook]}
