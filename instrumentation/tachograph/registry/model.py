"""registry.toml as frozen facts, for everything that derives from it: store, dashboards, alerts, docs, lint.

The agent process does not come here: it imports the generated constants of `names` and `instruments`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

AttributeKind = Literal["string", "int", "double", "boolean", "string[]", "double[]"]
Instrument = Literal["counter", "histogram", "updowncounter", "gauge"]

# OpenTelemetry to Prometheus: units that become a suffix; {x} and 1 become none (measured with the Python exporter).
_UNIT_SUFFIX = {"s": "_seconds", "By": "_bytes"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: `label` says that its values are few enough for a metric label."""

    name: str
    type: AttributeKind
    pattern: str
    brief: str
    label: bool = False
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """The attribute's typed column in the store, and its label name in Prometheus."""
        return self.name.replace(".", "_")


@dataclass(frozen=True, slots=True)
class SpanType:
    """One kind of span and what it must and may carry beside the common attributes."""

    kind: str
    name: str
    pattern: str
    required: tuple[str, ...]
    recommended: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventType:
    """One event (a log record); `runless` events may stand outside a run."""

    name: str
    pattern: str
    severity: str
    required: tuple[str, ...]
    recommended: tuple[str, ...]
    runless: bool = False


@dataclass(frozen=True, slots=True)
class MetricType:
    """One metric; `zero` names the labels whose every allowed value exists at 0 before the first event.

    `limit` is how many label sets one process keeps apart. `combine` says what a gauge is of several processes: their
    `sum`, or the `max` of them, of those that live; or the `total`, a sum that what ended processes left stays part of.
    """

    name: str
    instrument: Instrument
    unit: str
    pattern: str
    brief: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()
    zero: tuple[str, ...] = ()
    emitter: str = "agent"
    limit: int = 2000
    combine: Literal["sum", "max", "total"] = "max"

    @property
    def prometheus(self) -> str:
        """The metric's name in Prometheus; a histogram's series add _bucket, _sum and _count to it."""
        suffix = _UNIT_SUFFIX.get(self.unit, "")
        total = "_total" if self.instrument == "counter" else ""
        return self.name.replace(".", "_") + suffix + total


@dataclass(frozen=True, slots=True)
class Detection:
    """What must never happen silently; without the hooks in `needs` it is "not instrumented"."""

    name: str
    pattern: str
    severity: Literal["page", "ticket", "info"]
    needs: tuple[str, ...]
    brief: str
    threshold: float | None = None

    def covered_by(self, hooks: frozenset[str]) -> bool:
        """Whether `hooks` hold every hook it needs; `checkpoint` is held by any `checkpoint.<stage>`."""
        return all(need in hooks or any(h.startswith(need + ".") for h in hooks) for need in self.needs)


@dataclass(frozen=True, slots=True)
class View:
    """One table of the store: `columns` maps column to attribute, `computed` column to SQL type."""

    name: str
    source: str
    brief: str
    columns: dict[str, str]
    computed: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Registry:
    """All of registry.toml; attributes, spans, events and metrics by name."""

    schema_version: str
    prefix: str
    common: tuple[str, ...]
    common_required: tuple[str, ...]
    attributes: dict[str, Attribute]
    spans: dict[str, SpanType]
    events: dict[str, EventType]
    metrics: dict[str, MetricType]
    detections: dict[str, Detection]
    views: dict[str, View]
    hooks: tuple[str, ...]
    aliases: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def promoted(self) -> tuple[Attribute, ...]:
        """The attributes that are typed columns of the store, in registry order."""
        used = {name for view in self.views.values() for name in view.columns.values()}
        used |= {*self.common, "tachograph.span.kind", "tachograph.content.state", "log.record.uid"}
        used |= {name for event in self.events.values() for name in (*event.required, *event.recommended)}
        return tuple(a for name, a in self.attributes.items() if name in used)


@cache
def load() -> Registry:
    """The registry of this installation."""
    raw = tomllib.loads(files("tachograph.registry").joinpath("registry.toml").read_text("utf-8"))
    detections = {d["name"]: Detection(**_tuples(d)) for d in raw["detection"]}
    hooks = tuple(raw["hooks"]["names"])
    lists = {"@detections": tuple(detections), "@hooks": hooks}
    attributes = {a["name"]: _attribute(a, lists) for a in raw["attribute"]}
    return Registry(
        schema_version=raw["schema_version"],
        prefix=raw["prefix"],
        common=tuple(raw["common"]["attributes"]),
        common_required=tuple(raw["common"]["required"]),
        attributes=attributes,
        spans={s["kind"]: SpanType(**_tuples(s)) for s in raw["span"]},
        events={e["name"]: EventType(**_tuples(e)) for e in raw["event"]},
        metrics={m["name"]: _metric(m, raw["buckets"]) for m in raw["metric"]},
        detections=detections,
        views={v["name"]: View(**v) for v in raw["view"]},
        hooks=hooks,
        aliases={alias: a.name for a in attributes.values() for alias in a.aliases},
    )


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    lists = {key for key, value in entry.items() if isinstance(value, list)}
    return {key: tuple(value) if key in lists else value for key, value in entry.items()}


def _attribute(entry: dict[str, Any], lists: dict[str, tuple[str, ...]]) -> Attribute:
    facts = _tuples(entry)
    values: tuple[str, ...] = facts.get("values", ())
    facts["values"] = lists.get(values[0], values) if values else ()
    return Attribute(**facts)


def _metric(entry: dict[str, Any], buckets: dict[str, list[float]]) -> MetricType:
    facts = _tuples(entry)
    if "buckets" in facts:
        facts["buckets"] = tuple(buckets[facts["buckets"]])
    return MetricType(**facts)
