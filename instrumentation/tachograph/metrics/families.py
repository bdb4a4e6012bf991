"""The SDK's collected metrics as Prometheus families, under the names that the registry gives them.

OpenTelemetry's own Prometheus exporter has no exemplars, labels every series with its scope, and fails the whole
scrape on an exponential histogram. Here what cannot be said in the format is left out and counted.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client.core import Metric as Family
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString  # pyright: ignore[reportUnknownVariableType]: partly annotated

from tachograph.export.outgoing import outgoing_attributes, outgoing_labels
from tachograph.privacy.identity import name as redacted_name
from tachograph.privacy.redaction import DEFAULT, Redaction
from tachograph.registry.instruments import ALL
from tachograph.registry.model import MetricType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.sdk.metrics._internal.exemplar import Exemplar as SdkExemplar
    from opentelemetry.sdk.metrics.export import Metric

_SUMMED: Final = {instrument.name for instrument in ALL if instrument.combine == "sum"}
_ILLEGAL: Final = re.compile(r"[^a-zA-Z0-9_]")


class Families:
    """Families by name, in the order in which the SDK has them.

    `skipped` counts what the format cannot say; `summed` names the gauges that add up over several processes: up-down
    counters, and those of which the registry says so.
    """

    def __init__(self, redaction: Redaction = DEFAULT) -> None:
        self._redaction = redaction
        self._families: dict[str, Family] = {}
        self._seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self.skipped = 0
        self.summed: set[str] = set()

    def add_all(self, data: MetricsData) -> list[Family]:
        """The families of one collection, `target_info` first."""
        resources = data.resource_metrics
        found = [
            target for resource in resources[:1] if (target := _target(resource.resource.attributes, self._redaction))
        ]
        for metric in (m for resource in resources for scope in resource.scope_metrics for m in scope.metrics):
            try:
                self._add(metric)
            except Exception:  # noqa: BLE001  one odd metric must not cost the scrape
                self.skipped += 1
        return found + [family for family in self._families.values() if family.samples]

    def _add(self, metric: Metric) -> None:
        kind = _kind(metric)
        if kind is None:
            self.skipped += 1
            return
        name = prometheus_name(metric.name, kind, metric.unit or "")
        family = self._family(name.removesuffix("_total") if kind == "counter" else name, metric.description, kind)
        if family is None:
            self.skipped += 1
            return
        if kind == "gauge" and (isinstance(metric.data, Sum) or metric.name in _SUMMED):
            self.summed.add(name)
        for point in metric.data.data_points:
            self._add_point(family, point)

    def _family(self, name: str, brief: str | None, kind: str) -> Family | None:
        """One family a name, though several scopes have it; None for a second of another kind."""
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = Family(name, redacted_name(brief or ""), kind)
        return family if family.type == kind else None

    def _add_point(self, family: Family, point: Any) -> None:
        labels = labels_of(outgoing_labels(point.attributes, self._redaction))
        series = (family.name, frozenset(labels.items()))
        if series in self._seen:
            self.skipped += 1
            return
        self._seen.add(series)
        if isinstance(point, HistogramDataPoint):
            _add_histogram(family, labels, point)
        elif isinstance(point, NumberDataPoint) and family.type == "counter":
            family.add_sample(f"{family.name}_total", labels, point.value, exemplar=_latest(point.exemplars))
        else:
            family.add_sample(family.name, labels, point.value)


def prometheus_name(name: str, kind: str, unit: str) -> str:
    """The registry's rule, also for metrics that are not in it; what Prometheus does not take becomes `_`."""
    instrument: Any = kind
    named = MetricType(name, instrument, unit, "", "", ()).prometheus
    legal = _ILLEGAL.sub("_", named)
    if kind == "counter" and legal.endswith("_total_total"):
        legal = legal.removesuffix("_total")
    return f"_{legal}" if legal[:1].isdigit() else legal


LASTING: Final = frozenset(
    prometheus_name(instrument.name, "gauge", instrument.unit) for instrument in ALL if instrument.combine == "total"
)  # the gauges that ended processes stay part of


def labels_of(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Attributes as labels; two keys that become one label are joined with `;` in the order of their keys."""
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        label = _ILLEGAL.sub("_", key)
        label = f"_{label}" if label[:1].isdigit() else label
        value = _text(attributes[key])
        labels[label] = f"{labels[label]};{value}" if label in labels else value
    return labels


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(value, default=str)
    return "" if value is None else str(value)


def _kind(metric: Metric) -> str | None:
    data = metric.data
    if isinstance(data, Gauge):
        return "gauge"
    if not isinstance(data, Sum | Histogram) or data.aggregation_temporality is not AggregationTemporality.CUMULATIVE:
        return None
    if isinstance(data, Histogram):
        return "histogram"
    return "counter" if data.is_monotonic else "gauge"


def _add_histogram(family: Family, labels: dict[str, str], point: HistogramDataPoint) -> None:
    by_bucket: dict[int, list[SdkExemplar]] = {}
    for exemplar in point.exemplars:
        by_bucket.setdefault(bisect_left(point.explicit_bounds, exemplar.value), []).append(exemplar)
    bounds = (*point.explicit_bounds, float("inf"))
    total = 0
    for index, (bound, count) in enumerate(zip(bounds, point.bucket_counts, strict=True)):
        total += count
        bucket = {**labels, "le": floatToGoString(bound)}
        family.add_sample(f"{family.name}_bucket", bucket, total, exemplar=_latest(by_bucket.get(index, ())))
    family.add_sample(f"{family.name}_count", labels, point.count)
    family.add_sample(f"{family.name}_sum", labels, point.sum)


def _latest(exemplars: Iterable[SdkExemplar]) -> Exemplar | None:
    """The newest exemplar that leads to a trace."""
    traced = [exemplar for exemplar in exemplars if exemplar.trace_id and exemplar.span_id]
    if not traced:
        return None
    newest = max(traced, key=lambda exemplar: exemplar.time_unix_nano)
    labels = {"trace_id": format_trace_id(newest.trace_id or 0), "span_id": format_span_id(newest.span_id or 0)}
    return Exemplar(labels, newest.value, newest.time_unix_nano / 1e9)


def _target(attributes: Mapping[str, Any], redaction: Redaction) -> Family | None:
    if not attributes:
        return None
    family = Family("target", "The process that is measured.", "info")
    family.add_sample("target_info", labels_of(outgoing_attributes(attributes, redaction=redaction)), 1)
    return family
