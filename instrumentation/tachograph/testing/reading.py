"""What was recorded, to read: spans, events, metrics and detections as plain values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tachograph.registry import load
from tachograph.registry import names as n
from tachograph.telemetry import guard
from tachograph.telemetry.recorder import active
from tachograph.testing.facts import Fact, require_known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from tachograph.plain.install import Installation
    from tachograph.telemetry.recorder import Recorder

# Where an audit entry stands in its chain: that says nothing of the agent.
_OURS = "tachograph."
_PLACE = (n.AUDIT_CHAIN, n.AUDIT_SEQUENCE, n.AUDIT_HASH, n.AUDIT_PREVIOUS)


@dataclass(slots=True, repr=False)
class Reading:
    """Whole spans and events as plain dicts, metrics as numbers.

    A kind, and a name or label that begins as ours do, must be one of the registry: UsageError says what was meant.
    """

    recorder: Recorder
    _spans: InMemorySpanExporter
    _logs: InMemoryLogRecordExporter
    _metrics: InMemoryMetricReader
    _closed: bool = False
    _replaced: bool = False
    _installations: list[Installation] = field(default_factory=list["Installation"])
    _asserted: set[str] = field(default_factory=set[str])

    _failures: Counter[str] = field(default_factory=lambda: Counter(guard.failures))

    def __repr__(self) -> str:
        return f"<{self.overview() or 'nothing recorded'}>"

    # -- as the SDK has it
    @property
    def span_exporter(self) -> InMemorySpanExporter:
        """The exporter that holds the spans."""
        return self._spans

    @property
    def log_exporter(self) -> InMemoryLogRecordExporter:
        """The exporter that holds the events."""
        return self._logs

    @property
    def metric_reader(self) -> InMemoryMetricReader:
        """The reader that collects the metrics."""
        return self._metrics

    def sdk_spans(self) -> tuple[ReadableSpan, ...]:
        """The ended spans as the SDK has them, in the order in which they ended."""
        return self._spans.get_finished_spans()

    # -- as plain values
    def spans(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The ended spans: name, kind, parent (a name), attributes without the common ones, status; `kind` filters."""
        __tracebackhide__ = True
        if kind is not None:
            require_known(kind, load().spans, "the registry of spans")
        ended = self.sdk_spans()
        names = {span.context.span_id: span.name for span in ended if span.context is not None}
        return [
            _plain(span, names) for span in ended if kind is None or (span.attributes or {}).get(n.SPAN_KIND) == kind
        ]

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The events in order: name and attributes without the common ones; `name` filters."""
        __tracebackhide__ = True
        if name is not None:
            require_known(name, load().events, "the registry of events", prefix=_OURS)
        records = [data.log_record for data in self._logs.get_finished_logs()]
        return [
            {"name": record.event_name, "attributes": _without_common(record.attributes or {})}
            for record in records
            if name in {None, record.event_name}
        ]

    def values(self, kind: str, attribute: str) -> list[Any]:
        """One attribute of each span of a kind, in the order in which they ended."""
        return [
            (span.attributes or {}).get(attribute)
            for span in self.sdk_spans()
            if (span.attributes or {}).get(n.SPAN_KIND) == kind
        ]

    def facts(self, source: str) -> list[Fact]:
        """The spans of a kind, or the events of a name, with all their attributes, in the order in which they ended.

        A stay in a degraded mode is one fact: how it ended is among the attributes of its beginning.
        """
        if source in load().spans:
            spans = [(span.name, dict(span.attributes or {})) for span in self.sdk_spans()]
            return [Fact(name, about) for name, about in spans if about.get(n.SPAN_KIND) == source]
        records = [data.log_record for data in self._logs.get_finished_logs()]
        found = [Fact(source, dict(record.attributes or {})) for record in records if record.event_name == source]
        if source != n.EVENT_DEGRADATION_ENTERED:
            return found
        ended = {fact[n.DEGRADATION_ID]: fact.attributes for fact in self.facts(n.EVENT_DEGRADATION_EXITED)}
        return [Fact(fact.name, {**fact.attributes, **ended.get(fact[n.DEGRADATION_ID], {})}) for fact in found]

    # -- metrics
    def metric(self, name: str, **labels: str | int | bool) -> float:
        """A counter's or gauge's sum (a histogram's count) over the series with these labels, dots as underscores."""
        __tracebackhide__ = True
        about = load().metrics.get(name)
        if about is not None and name.startswith(_OURS):
            for label in labels:
                require_known(label, [each.replace(".", "_") for each in about.labels], name)
        return sum(value for series, value in self.series(name).items() if labels.items() <= dict(series).items())

    def series(self, name: str) -> dict[tuple[tuple[str, Any], ...], float]:
        """All series of a metric: label pairs, dots as underscores, to value (a histogram's count)."""
        __tracebackhide__ = True
        require_known(name, load().metrics, "the registry of metrics", prefix=_OURS)
        data = self._metrics.get_metrics_data()
        found: dict[tuple[tuple[str, Any], ...], float] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            labels = sorted(
                                (key.replace(".", "_"), value) for key, value in (point.attributes or {}).items()
                            )
                            found[tuple(labels)] = point.value if hasattr(point, "value") else point.count  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - number or histogram point
        return found

    def detections(self, agent: str | None = None) -> dict[str, float]:
        """The detections that were counted, by rule, without those at 0; of all agents together, or of one."""
        counted: Counter[str] = Counter()
        for series, value in self.series("tachograph.detections").items():
            labels = dict(series)
            if agent in {None, labels["gen_ai_agent_name"]}:
                counted[labels["tachograph_detection_rule"]] += value  # pyright: ignore[reportArgumentType] - counts are whole
        return {rule: value for rule, value in sorted(counted.items()) if value}

    # -- what could be seen at all
    def overview(self) -> str:
        """How much of what was recorded: 1 run, 2 tool."""
        kinds = Counter(str((span.attributes or {}).get(n.SPAN_KIND)) for span in self.sdk_spans())
        events = Counter(event["name"] for event in self.events())
        return ", ".join(f"{count} {what}" for what, count in [*sorted(kinds.items()), *sorted(events.items())])

    def failures(self) -> dict[str, int]:
        """Failures of tachograph's own code since the recording began, by hook: what they did is not recorded."""
        return dict(guard.failures - self._failures)

    def hooks(self) -> frozenset[str]:
        """The registry's names of the hooks that are known to be installed, of all agents together."""
        shown = [dict(series) for series, value in self.series("tachograph.coverage").items() if value]
        return frozenset(labels["tachograph_hook"] for labels in shown)

    @property
    def replaced(self) -> bool:
        """Whether the hooks write elsewhere: somebody called instrument() inside of the recording."""
        return self._replaced if self._closed else active() is not self.recorder

    @property
    def installations(self) -> tuple[Installation, ...]:
        """What `instrument()` of this recording hooked, in order."""
        return tuple(self._installations)

    @property
    def asserted(self) -> frozenset[str]:
        """The detections that the test has asserted, so that they are no surprise."""
        return frozenset(self._asserted)


def _without_common(attributes: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {*load().common, n.SPAN_KIND, n.LOG_RECORD_UID, *_PLACE}
    return {
        name: list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType] - an attribute
        for name, value in attributes.items()
        if name not in hidden
    }


def _plain(span: ReadableSpan, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": (span.attributes or {}).get(n.SPAN_KIND),
        "parent": names.get(span.parent.span_id) if span.parent is not None else None,
        "attributes": _without_common(span.attributes or {}),
        "status": span.status.status_code.name,
    }
