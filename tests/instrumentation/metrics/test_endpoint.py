from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tachograph.errors import UsageError
from tachograph.metrics.endpoint import PrometheusReader, page_app, serve
from tachograph.metrics.families import prometheus_name
from tachograph.registry import load


@pytest.fixture
def reader():
    return PrometheusReader()


@pytest.fixture
def provider(reader):
    resource = Resource({"service.name": "agent", "service.version": "1.3"})
    views = [View(instrument_name="native", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([reader], resource=resource, views=views, shutdown_on_exit=False)
    yield provider
    provider.shutdown()


@pytest.fixture
def meter(provider):
    return provider.get_meter("test", "1.7")


def samples(reader, *, openmetrics=False):
    """name and labels to value, as a parser of that format reads them."""
    parse = parse_openmetrics if openmetrics else parse_text
    text = reader.exposition(openmetrics=openmetrics).decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


TOKEN = "s3cret"  # noqa: S105  of this test only
EVERYWHERE = "0.0.0.0"  # noqa: S104  what is refused or guarded
TARGET = ("target_info", ("service_name", "agent"), ("service_version", "1.3"))


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
def test_each_instrument_is_exposed_under_its_registered_name(reader, meter, openmetrics):
    meter.create_counter("tachograph.tool.executions", "{execution}", "Tool calls.").add(
        13, {"gen_ai.tool.name": "find", "tachograph.tool.tier": 1}
    )
    meter.create_up_down_counter("tachograph.limiter.in_use", "{call}").add(-3, {"tachograph.limiter.name": "db"})
    meter.create_gauge("tachograph.limiter.limit", "{call}").set(17, {"tachograph.limiter.name": "db"})
    meter.create_counter("tachograph.receiver.acked", "By").add(11)
    meter.create_observable_gauge("host.load", [lambda _: [Observation(1.5)]])
    assert samples(reader, openmetrics=openmetrics) == {
        TARGET: 1.0,
        (
            "tachograph_tool_executions_total",
            ("gen_ai_tool_name", "find"),
            ("tachograph_tool_tier", "1"),
        ): 13.0,
        ("tachograph_limiter_in_use", ("tachograph_limiter_name", "db")): -3.0,
        ("tachograph_limiter_limit", ("tachograph_limiter_name", "db")): 17.0,
        ("tachograph_receiver_acked_bytes_total",): 11.0,
        ("host_load",): 1.5,
    }


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
def test_a_histogram_has_all_its_buckets(reader, meter, openmetrics):
    histogram = meter.create_histogram("tool.duration", "s", explicit_bucket_boundaries_advisory=[0.5, 1.0, 10.0])
    for value in (0.5, 0.7, 3.0, 3.0, 17.0):
        histogram.record(value, {"a": "b"})
    label = ("a", "b")
    name = "tool_duration_seconds"
    assert samples(reader, openmetrics=openmetrics) == {
        TARGET: 1.0,
        (f"{name}_bucket", label, ("le", "0.5")): 1.0,
        (f"{name}_bucket", label, ("le", "1.0")): 2.0,
        (f"{name}_bucket", label, ("le", "10.0")): 4.0,
        (f"{name}_bucket", label, ("le", "+Inf")): 5.0,
        (f"{name}_count", label): 5.0,
        (f"{name}_sum", label): 24.2,
    }


def test_a_counter_born_at_zero_is_there(reader, meter):
    meter.create_counter("tachograph.detections", "{detection}").add(
        0, {"tachograph.detection.rule": "write_unapproved"}
    )
    assert samples(reader)["tachograph_detections_total", ("tachograph_detection_rule", "write_unapproved")] == 0.0


def test_openmetrics_leads_from_a_bucket_and_a_counter_to_the_trace(reader, meter):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    histogram = meter.create_histogram("tool.duration", "s", explicit_bucket_boundaries_advisory=[0.5, 1.0])
    counter = meter.create_counter("calls")
    with tracer.start_as_current_span("tool") as span:
        histogram.record(0.7)
        counter.add(1)
    histogram.record(0.2)
    text = reader.exposition(openmetrics=True).decode()
    found = {
        sample.name + sample.labels.get("le", ""): (sample.exemplar.labels, sample.exemplar.value)
        for family in parse_openmetrics(text)
        for sample in family.samples
        if sample.exemplar
    }
    context = span.get_span_context()
    ids = {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
    assert found == {"tool_duration_seconds_bucket1.0": (ids, 0.7), "calls_total": (ids, 1.0)}
    assert "otel_scope" not in text


def test_the_text_format_has_no_exemplars(reader, meter):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("tool"):
        meter.create_counter("calls").add(1)
    assert "trace_id" not in reader.exposition().decode()


def test_what_the_format_cannot_say_is_skipped_and_counted_and_costs_nothing_else(reader, provider, meter):
    meter.create_histogram("native").record(1.3)
    meter.create_counter("same.name").add(11)
    provider.get_meter("other").create_counter("same.name").add(13)
    provider.get_meter("third").create_gauge("same.name").set(17)
    meter.create_counter("fine").add(7)
    assert samples(reader, openmetrics=True) == {TARGET: 1.0, ("same_name_total",): 11.0, ("fine_total",): 7.0}
    assert reader.skipped == 3  # the exponential histogram, the second series, the gauge of a counter's name


def test_a_callback_of_the_host_that_raises_does_not_cost_the_scrape(reader, meter):
    def broken(_):
        raise RuntimeError("odd")

    meter.create_observable_gauge("broken", [broken])
    meter.create_counter("fine").add(7)
    assert samples(reader)["fine_total",] == 7.0


def test_labels_keep_odd_values_and_join_keys_that_collide(reader, meter):
    meter.create_counter("odd").add(1, {"a.b": 'x"\n\\', "a_b": True, "list": ["é", 1], "1st": 1.5})
    assert ("odd_total", ("_1st", "1.5"), ("a_b", 'x"\n\\;true'), ("list", '["\\u00e9", 1]')) in samples(reader)


def test_names_are_those_of_the_registry():
    metrics = load().metrics.values()
    assert [prometheus_name(m.name, m.instrument, m.unit) for m in metrics] == [m.prometheus for m in metrics]


@pytest.mark.parametrize(
    ("name", "kind", "unit", "expected"),
    [
        ("http.server.duration", "histogram", "s", "http_server_duration_seconds"),
        ("jobs-done/total", "counter", "1", "jobs_done_total"),
        ("2xx", "counter", "", "_2xx_total"),
    ],
)
def test_names_of_others_follow_the_same_rule(name, kind, unit, expected):
    assert prometheus_name(name, kind, unit) == expected


def test_a_reader_of_no_provider_exposes_nothing(reader, caplog):
    assert reader.exposition() == b""
    assert reader.exposition(openmetrics=True) == b"# EOF\n"
    assert {record.name for record in caplog.records} == {"opentelemetry.sdk.metrics._internal.export"}


def test_the_multiprocess_mode_of_prometheus_client_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    reader = PrometheusReader()
    provider = MeterProvider([reader], resource=Resource({}), shutdown_on_exit=False)
    provider.get_meter("test").create_counter("calls").add(7)
    assert samples(reader) == {("calls_total",): 7.0}
    assert list(tmp_path.iterdir()) == []
    provider.shutdown()


def get(url, headers=None):
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310  our own server
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  our own server
        return answer.headers["Content-Type"], answer.read().decode()


def test_the_server_speaks_both_formats(reader, meter):
    meter.create_counter("calls").add(7)
    server = serve(page_app(reader.families), port=0)
    try:
        kind, text = get(server.url)
        assert kind.startswith("text/plain")
        assert "calls_total 7.0\n" in text
        kind, text = get(server.url, {"Accept": "application/openmetrics-text; version=1.0.0"})
        assert kind.startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")
    finally:
        server.close()
    with pytest.raises(OSError, match=r"refused"):
        get(server.url)


def test_a_token_is_demanded_where_one_is_set(reader):
    server = serve(page_app(reader.families), port=0, token=TOKEN)
    try:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Bearer s3cret "[:-3]}):
            with pytest.raises(urllib.error.HTTPError, match="401") as refused:
                get(server.url, headers)
            refused.value.close()
        assert get(server.url, {"Authorization": "Bearer s3cret"})[0].startswith("text/plain")
    finally:
        server.close()


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.0.2.1", "metrics.example"])
def test_an_open_address_demands_a_token(reader, host):
    with pytest.raises(UsageError, match="TACHOGRAPH_TOKEN"):
        serve(page_app(reader.families), host=host, port=0)


def test_an_open_address_with_a_token_is_served(reader):
    server = serve(page_app(reader.families), host=EVERYWHERE, port=0, token=TOKEN)
    try:
        assert get(f"http://127.0.0.1:{server.port}/", {"Authorization": "Bearer s3cret"})[0].startswith("text/plain")
    finally:
        server.close()


def test_a_taken_port_is_a_sentence(reader):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="OTEL_EXPORTER_PROMETHEUS_PORT"):
            serve(page_app(reader.families), port=taken.getsockname()[1])


def test_a_client_that_says_nothing_is_hung_up_on(reader):
    server = serve(page_app(reader.families), port=0, slow_client_s=0.2)
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as silent:
            assert silent.recv(1) == b""
    finally:
        server.close()


def test_the_resource_is_redacted():
    reader = PrometheusReader()
    attributes = {"service.name": "agent", "owner": "bob@example.com", "note": "password=hunter2hunter2"}
    provider = MeterProvider([reader], resource=Resource(attributes), shutdown_on_exit=False)
    provider.get_meter("test").create_counter("calls").add(7)
    target = ("target_info", ("note", "password=[token]"), ("owner", "[email]"), ("service_name", "agent"))
    assert samples(reader) == {target: 1.0, ("calls_total",): 7.0}
    provider.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking with threads is the point
def test_a_forked_child_closes_without_waiting_for_the_thread_that_serves_in_the_parent(reader, until):
    server = serve(page_app(reader.families), port=0)
    child = os.fork()
    if child == 0:
        server.close()
        os._exit(11)
    ended: list[int] = []

    def over() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            ended.append(os.waitstatus_to_exitcode(status))
        return bool(pid)

    try:
        until(over)
    finally:
        if not ended:
            os.kill(child, 9)
            os.waitpid(child, 0)
    assert ended == [11]
    assert get(server.url)[0].startswith("text/plain")
    server.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking with threads is the point
def test_a_forked_child_neither_serves_nor_holds_the_port(reader, until):
    server = serve(page_app(reader.families), port=0)
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        server.close()

        def free() -> bool:
            with socket.socket() as again:
                return again.connect_ex(("127.0.0.1", server.port)) != 0

        until(free)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
