"""alerts.toml as frozen facts, completed from the registry."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from tachograph.registry import Registry

Severity = Literal["page", "ticket", "info", "none"]
Condition = Literal["detection", "ratio", "spike", "tracks", "absent", "heartbeat"]
Labels = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Number:
    """A number that people argue about, and why it is what it is; `value` is a duration ("10m") or an amount."""

    value: float | str
    why: str


@dataclass(frozen=True, slots=True)
class Prose:
    """What a runbook says beyond the numbers; `queries` are SQL for `tachograph query`."""

    impact: str
    causes: tuple[str, ...]
    contain: tuple[str, ...]
    queries: tuple[str, ...]
    false_alarm: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `bad`, `good` and `where` map attribute names to the label values that count.

    `metric` is what it looks at, divided by the `good` of the metric `per` where it has one. `board` is a dashboard's
    uid. `page` is the app's page that answers it, the Start page where it is empty.
    """

    name: str
    condition: Condition
    pattern: str
    severity: Severity
    summary: str
    description: str
    board: str
    runbook: Prose
    numbers: dict[str, Number] = field(default_factory=dict[str, Number])
    metric: str | None = None
    per: str | None = None
    rule: str | None = None
    page: str = ""
    bad: Labels = field(default_factory=Labels)
    good: Labels = field(default_factory=Labels)
    where: Labels = field(default_factory=Labels)

    def number(self, name: str) -> float | str:
        """The value of one of its numbers; a `UsageError` names the alert that lacks it."""
        if name not in self.numbers:
            raise UsageError(f"{self.name} has condition {self.condition!r} and needs numbers.{name}: see alerts.toml.")
        return self.numbers[name].value


@dataclass(frozen=True, slots=True)
class Links:
    """Where people find the app, Grafana and the runbooks: base URLs without a trailing slash."""

    app: str
    grafana: str
    runbooks: str


@dataclass(frozen=True, slots=True)
class Routing:
    """Alertmanager's times, and where it delivers; `severity` maps a severity to its group_wait."""

    webhook: str
    credentials_file: str
    group_interval: str
    repeat: str
    severity: dict[str, str]
    deadman_alert: str
    deadman_interval: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All of alerts.toml; alerts by name, in file order."""

    alerts: dict[str, Alert]
    links: Links
    routing: Routing


def load(registry: Registry) -> Catalogue:
    """The alerts of this installation; a `UsageError` names the first that the registry does not know."""
    raw = tomllib.loads(files("tachograph_alerts").joinpath("alerts.toml").read_text("utf-8"))
    routing = dict(raw["routing"])
    deadman = routing.pop("deadman")
    return Catalogue(
        alerts={entry["name"]: _alert(entry, registry) for entry in raw["alert"]},
        links=Links(**raw["links"]),
        routing=Routing(**routing, deadman_alert=deadman["alert"], deadman_interval=deadman["interval"]),
    )


def _alert(entry: dict[str, Any], registry: Registry) -> Alert:
    facts: dict[str, Any] = _of_detection(entry, registry) | entry
    facts["numbers"] = {name: Number(**number) for name, number in facts.get("numbers", {}).items()}
    facts["runbook"] = _prose(**facts["runbook"])
    facts |= {name: _values(facts.get(name, {})) for name in ("bad", "good", "where")}
    return Alert(**facts)


def _prose(*, impact: str, causes: list[str], contain: list[str], queries: list[str], false_alarm: str) -> Prose:
    return Prose(impact, tuple(causes), tuple(contain), tuple(queries), false_alarm)


def _of_detection(entry: dict[str, Any], registry: Registry) -> dict[str, Any]:
    """What the registry already says of the detection that an alert is on."""
    if entry["condition"] != "detection":
        return {}
    detection = registry.detections.get(entry["rule"])
    if detection is None:
        raise UsageError(f"{entry['name']} is on the detection {entry['rule']!r}, which the registry does not have.")
    return {
        "metric": "tachograph.detections",
        "where": {"tachograph.detection.rule": [detection.name]},
        "pattern": detection.pattern,
        "severity": detection.severity,
        "summary": detection.brief,
        "description": "{agent} did this at least once within {window}: the findings "
        f"of {detection.name} name the runs.",
    }


def _values(labels: dict[str, list[str]]) -> Labels:
    return {name: tuple(values) for name, values in labels.items()}
