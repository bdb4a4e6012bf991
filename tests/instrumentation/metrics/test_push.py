"""Metrics pushed over OTLP have, in Prometheus, the names and labels that /metrics gives them."""

from __future__ import annotations

import re
from math import inf

import pytest
from opentelemetry.metrics import get_meter_provider
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from tachograph.export.destination import Destination
from tachograph.metrics.endpoint import PrometheusReader
from tachograph.metrics.metrics import Metrics
from tachograph.metrics.push import push_to
from tachograph.registry import instruments
from tachograph.registry.model import load

# How Prometheus' OTLP receiver names what it gets (its default, underscores and suffixes), written down from its
# documentation: https://prometheus.io/docs/guides/opentelemetry/ and the specification "Prometheus and OpenMetrics
# Compatibility". Prometheus 2.42 has no such receiver, so it stands here as a function. One difference is left: the
# receiver writes a whole bound as le="1", a scrape as le="1.0". Bounds are compared as numbers, as histogram_quantile()
# does; no query of ours picks a bucket by the text of its bound.
UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent"}


def translated(metric) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    counts = kind == "sum" and data.is_monotonic
    name = re.sub(r"[^a-zA-Z0-9:]+", "_", metric.name)
    unit = re.sub(r"{.*}", "", metric.unit)
    suffix = UNITS.get(unit, unit if unit != "1" else "")
    name += f"_{suffix}" if suffix and not name.endswith(f"_{suffix}") else ""
    name += "_ratio" if kind == "gauge" and unit == "1" else ""
    name += "_total" if counts and not name.endswith("_total") else ""
    series = set[tuple[str, frozenset[tuple[str, str]]]]()
    for point in data.data_points:
        labels = frozenset((re.sub(r"\W", "_", pair.key), text(pair.value)) for pair in point.attributes)
        if kind != "histogram":
            series.add((name, labels))
            continue
        for bound in (*point.explicit_bounds, inf):
            series.add((f"{name}_bucket", labels | {("le", str(float(bound)))}))
        series |= {(f"{name}_count", labels), (f"{name}_sum", labels)}
    return series


def text(value) -> str:
    kind = value.WhichOneof("value")
    found = getattr(value, kind)
    return str(found).lower() if kind == "bool_value" else str(found)


def numbered(labels):
    return {label: str(float(value)) if label == "le" else value for label, value in labels.items()}


def labels_of(instrument):
    """A value of the right type for each label, with dots and a closed list where there is one."""
    by_type = {"string": "a.b c", "int": 13, "boolean": True, "double": 0.5}
    found = {label: load().attributes[label] for label in instrument.labels}
    return {label: known.values[0] if known.values else by_type[known.type] for label, known in found.items()}


@pytest.fixture
def pushed_and_scraped(serve):
    endpoint = serve()
    push, reader = push_to(Destination("metrics", f"{endpoint.url}/v1/metrics")), PrometheusReader()
    provider = MeterProvider([push, reader], resource=Resource({"service.name": "desk"}), shutdown_on_exit=False)
    assert provider is not get_meter_provider()
    metrics = Metrics(provider.get_meter("tachograph"))
    metrics.born("desk")
    for instrument in instruments.ALL:
        metrics.record(instrument, 7, labels_of(instrument))
    push.collect()
    push.shutdown()
    request = ExportMetricsServiceRequest.FromString(endpoint.bodies[0])
    scope = [metric for part in request.resource_metrics for one in part.scope_metrics for metric in one.metrics]
    return scope, reader.families()


def test_every_series_has_the_same_name_and_labels_both_ways(pushed_and_scraped):
    pushed, scraped = pushed_and_scraped
    theirs = set[tuple[str, frozenset[tuple[str, str]]]]().union(*map(translated, pushed))
    ours = {
        (sample.name, frozenset(numbered(sample.labels).items()))
        for family in scraped
        if family.type != "info"
        for sample in family.samples
    }
    assert theirs == ours
    assert len({metric.name for metric in pushed}) == len(instruments.ALL)


def test_both_ways_the_kind_of_every_metric_is_the_registrys(pushed_and_scraped):
    pushed, scraped = pushed_and_scraped
    kinds = {"counter": "sum", "updowncounter": "sum", "gauge": "gauge", "histogram": "histogram"}
    assert {metric.name: metric.WhichOneof("data") for metric in pushed} == {
        instrument.name: kinds[instrument.kind] for instrument in instruments.ALL
    }
    shown = {family.name: family.type for family in scraped}
    for instrument in instruments.ALL:
        name = load().metrics[instrument.name].prometheus.removesuffix("_total" * (instrument.kind == "counter"))
        assert shown[name] == instrument.kind.replace("updowncounter", "gauge")
