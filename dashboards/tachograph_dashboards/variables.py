"""What every board lets its reader pick, and the marks that every board carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tachograph_dashboards import kit
from tachograph_dashboards.queries import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph.registry import Registry

# Where the app stands when docker-compose.yml or `tachograph up` starts it; each board has it as a hidden variable.
APP: Final = "http://127.0.0.1:8501"
_AGENT: Final = "gen_ai.agent.name"
_PICKED: Final = {_AGENT: "agent", "tachograph.workflow": "workflow", "tachograph.release.track": "track"}

# Prometheus' own series of alerts; the watchdog always fires, so it says whether the rules are loaded at all.
_FIRING: Final = 'alertname=~"Tachograph.+",alertstate="firing"'
_WATCHDOG: Final = "TachographWatchdog"


def scope(registry: Registry) -> Scope:
    """The registry with the variables of `variables` as filters."""
    return Scope(registry, _PICKED)


def variables(registry: Registry) -> Sequence[kit.Variable]:
    """Data source, agent, workflow and release track, and the app's address."""
    return (
        kit.datasource_variable(),
        # Coverage is there from the first second of an agent, runs only after the first run.
        kit.label_variable("agent", "Agent", _values(registry, "tachograph.coverage", _AGENT)),
        kit.label_variable(
            "workflow", "Workflow", _values(registry, "tachograph.runs", "tachograph.workflow"), matches_absent=True
        ),
        kit.label_variable(
            "track",
            "Release track",
            _values(registry, "tachograph.runs", "tachograph.release.track"),
            matches_absent=True,
        ),
        kit.constant_variable("app", APP),
    )


def firing(registry: Registry) -> str:
    """The series of the alerts that fire for the picked agents, the watchdog left out."""
    agent = registry.attributes[_AGENT].column
    return f'ALERTS{{{_FIRING},alertname!="{_WATCHDOG}",{agent}=~"$agent"}}'


def rules_loaded() -> str:
    """1 while Prometheus evaluates the alert rules, else no series."""
    return f'count(ALERTS{{alertname="{_WATCHDOG}",alertstate="firing"}})'


def marks(registry: Registry) -> Sequence[dict[str, Any]]:
    """Firing alerts as red marks."""
    agent = registry.attributes[_AGENT].column
    text = f"{{{{severity}}}} {{{{{agent}}}}}"
    return (kit.annotation("Firing alerts", firing(registry), "red", "{{alertname}}", text),)


def _values(registry: Registry, metric: str, attribute: str) -> str:
    known = Scope(registry, {})
    found = known.metric(metric)
    return f"label_values({found.prometheus}, {known.label(found, attribute)})"
