"""OpenTelemetry's environment variables, row by row; docs/export.md lists the same ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import textwrap
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest
from instrumentation.export.collector import Collector, listen
from instrumentation.export.endpoints import Endpoint, _Handler
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_ENDPOINT

from tachograph.config import Config, read, shown
from tachograph.errors import UsageError
from tachograph.export.batch import Limits
from tachograph.export.destination import Destination, destination, ways

PAGE = Path(__file__).parents[3] / "docs" / "export.md"
SPAN_URL = "http://127.0.0.1:4318/v1/traces"
SIGNALS = ("TRACES", "METRICS", "LOGS")


def config(**settings):
    return Config("desk", "http://given:4318", **{"endpoint_given": False, **settings})


def found(environ, signal="traces", **settings):
    notes = []
    return destination(signal, config(**settings), notes, environ), notes


# Where traces go with one variable set, where that differs from the default.
HONOURED = {
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:17/x/"): Destination("traces", "http://c:17/x/v1/traces"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/own"): Destination("traces", "https://c/own"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"): Destination("traces", "http://127.0.0.1:4317", "grpc"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "gRPC"): Destination("traces", "http://127.0.0.1:4317", "grpc"),
    ("OTEL_TRACES_EXPORTER", "otlp_proto_grpc"): Destination("traces", "http://127.0.0.1:4317", "grpc"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1.7"): Destination("traces", SPAN_URL, timeout_s=1.7),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "13"): Destination("traces", SPAN_URL, timeout_s=13.0),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"): Destination("traces", SPAN_URL, compression="none"),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "deflate"): Destination("traces", SPAN_URL, compression="deflate"),
}


@pytest.mark.parametrize(("variable", "expected"), HONOURED.items(), ids=[name for name, _ in HONOURED])
def test_a_variable_says_where_and_how_traces_go(variable, expected):
    name, value = variable
    assert found({name: value}) == (expected, [])
    assert found({name: ""}) == (Destination("traces", SPAN_URL), []), "an empty variable counts as unset"


# What is passed over, and the beginning of the note that says so.
PASSED_OVER = {
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"): "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'; tachograph knows",
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318"): "OTEL_EXPORTER_OTLP_ENDPOINT is 'c:4318', which is no URL;",
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"): "OTEL_EXPORTER_OTLP_TIMEOUT is 'soon', which is no number",
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "-3"): "OTEL_EXPORTER_OTLP_TIMEOUT is '-3', which is no number",
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "inf"): "OTEL_EXPORTER_OTLP_TIMEOUT is 'inf', which is no number",
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"): "OTEL_EXPORTER_OTLP_COMPRESSION is 'zstd'; tachograph knows",
}


@pytest.mark.parametrize(("variable", "note"), PASSED_OVER.items(), ids=["=".join(each) for each in PASSED_OVER])
def test_a_value_that_makes_no_sense_is_passed_over_and_the_report_says_so(variable, note):
    name, value = variable
    to, notes = found({name: value})
    assert to == Destination("traces", SPAN_URL)
    assert [said.startswith(note) for said in notes] == [True], notes


def test_a_timeout_with_which_the_exporter_of_grpc_fails_is_named_as_what_it_is():
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "soon"}
    assert [note.endswith("traces are lost until it is a number") for note in found(environ)[1]] == [True]


@pytest.mark.parametrize("kind", ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"])
def test_a_file_that_cannot_be_read_is_in_the_report(kind, tmp_path):
    name = f"OTEL_EXPORTER_OTLP_{kind}"
    _, notes = found({name: str(tmp_path / "none.pem")})
    assert [note.startswith(f"{name} is ") for note in notes] == [True]
    assert found({name: str(PAGE)})[1] == []


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_the_signals_own_variable_wins_over_the_general_one(signal):
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_"
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://general",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "11",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "deflate",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    assert found(environ, signal)[0] == Destination(
        signal, f"http://general/v1/{signal}", timeout_s=11.0, compression="deflate"
    )
    special = {f"{own}ENDPOINT": "http://own:17", f"{own}TIMEOUT": "13", f"{own}COMPRESSION": "none"}
    assert found({**environ, **special, f"{own}PROTOCOL": "grpc"}, signal)[0] == Destination(
        signal, "http://own:17", "grpc", timeout_s=13.0, compression="none"
    )


def test_an_argument_wins_over_every_variable():
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://own",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        "OTEL_TRACES_EXPORTER": "none",
    }
    given = config(endpoint_given=True, protocol="http/protobuf")
    assert destination("traces", given, [], environ).endpoint == "http://given:4318/v1/traces"
    assert ways("traces", given, [], environ) == ("otlp",)


SHOWN = {
    "http://user:secret@c:17": "http://c:17",
    "http://c:17": "http://c:17",
    "https://[::1]:17/x/a@b": "https://[::1]:17/x/a@b",
    "user:secret@c:17": "c:17",
    "//user:secret@c:17": "//c:17",
    "http:/user:secret@c:17": "http:/c:17",
    "http://c:17/x?key=secret@c": "http://c:17/x",
    "http://c:17#secret": "http://c:17",
    "http://user:se@cret@c:17": "http://c:17",
    "http://user:secret#13@c": "http://…",
    "http://user:secret/13@c": "http://…",
    "Bearer secret": "…",
    "dns:///c:17": "dns:///c:17",
    "": "",
}


@pytest.mark.parametrize(("url", "expected"), SHOWN.items())
def test_an_address_is_shown_without_what_it_may_hold_of_secrets(url, expected):
    assert shown(url) == expected


def test_a_password_is_not_shown():
    to, _ = found({OTEL_EXPORTER_OTLP_ENDPOINT: "http://user:secret@c:17"})
    assert to.shown == "http://c:17/v1/traces"
    to, _ = found({OTEL_EXPORTER_OTLP_ENDPOINT: "user:secret@c:17", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert (to.endpoint, to.shown) == ("user:secret@c:17", "c:17 over gRPC")
    _, notes = found({OTEL_EXPORTER_OTLP_ENDPOINT: "user:secret@c:17"})
    assert notes == ["OTEL_EXPORTER_OTLP_ENDPOINT is 'c:17', which is no URL; http://127.0.0.1:4318 is taken"]
    with pytest.raises(UsageError) as refused:
        read(endpoint="user:secret@c:17", environ={})
    assert str(refused.value) == "endpoint='c:17' is no URL; give one like http://127.0.0.1:4318."


EXPORTERS = [
    ("", ("otlp",), 0),
    ("otlp", ("otlp",), 0),
    ("none", (), 0),
    ("console", ("console",), 0),
    ("console,otlp", ("otlp", "console"), 0),
    ("otlp_proto_http", ("otlp",), 0),
    ("zipkin", (), 1),
    ("zipkin,otlp", ("otlp",), 1),
]


@pytest.mark.parametrize("signal", ["traces", "logs"])
@pytest.mark.parametrize(("value", "expected", "notes"), EXPORTERS)
def test_the_exporters_that_are_asked_for_are_made(signal, value, expected, notes):
    said = []
    assert ways(signal, config(), said, {f"OTEL_{signal.upper()}_EXPORTER": value}) == expected
    assert len(said) == notes


SETTINGS = [
    ("OTEL_SERVICE_NAME", "clerk", "service_name", "clerk"),
    ("OTEL_RESOURCE_ATTRIBUTES", "team=x,service.name=clerk", "service_name", "clerk"),
    ("OTEL_SDK_DISABLED", "True", "disabled", True),
    ("OTEL_SDK_DISABLED", "yes", "disabled", False),
    ("OTEL_METRICS_EXPORTER", "otlp", "metrics", "otlp"),
    ("OTEL_METRICS_EXPORTER", "none", "metrics", "none"),
    ("OTEL_METRICS_EXPORTER", "console", "metrics", "none"),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0", "metrics_host", "0.0.0.0"),  # noqa: S104  nothing listens here
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "1313", "metrics_port", 1313),
]


@pytest.mark.parametrize(("name", "value", "setting", "expected"), SETTINGS)
def test_a_variable_sets_a_setting(name, value, setting, expected):
    assert getattr(read(environ={name: value}), setting) == expected


def test_a_protocol_that_is_none_is_a_sentence():
    with pytest.raises(UsageError, match=r"^protocol='udp' is none that tachograph speaks; it can be http/protobuf or"):
        read(protocol="udp")  # type: ignore[arg-type]


@pytest.mark.parametrize(("prefix", "signal"), [("OTEL_BSP_", "traces"), ("OTEL_BLRP_", "logs")])
def test_queues_are_as_large_as_the_environment_says(prefix, signal):
    names = ("MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE", "SCHEDULE_DELAY")
    environ = {f"{prefix}{name}": value for name, value in zip(names, ("170", "13", "1700"), strict=True)}
    notes = []
    assert Limits.of(signal, environ, notes) == Limits(170, 13, 1.7)
    assert notes == []
    assert Limits.of(signal, {f"{prefix}MAX_QUEUE_SIZE": "many"}, notes) == Limits()
    assert notes == [f"{prefix}MAX_QUEUE_SIZE is 'many', which is no positive number; 4096 is taken"]


PROCESS = """
import json, os, sys, tachograph

def ask():
    with tachograph.run(tenant="acme"), tachograph.tool("lookup"):
        tachograph.budget("tokens", limit=13, used=11)
"""


def python(code, *arguments, environ):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROCESS + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


# What OpenTelemetry's SDK reads for the providers that we make, all in one process.
SDK = {
    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=canary",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "3",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "13",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "17",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "5",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "2",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "1",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "7",
    "OTEL_SPAN_LINK_COUNT_LIMIT": "11",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "19",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "23",
    "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
    "OTEL_METRIC_EXPORT_INTERVAL": "700",
    "OTEL_METRIC_EXPORT_TIMEOUT": "1300",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-key=17",
}


def test_what_the_sdk_reads_holds_for_our_providers(serve):
    endpoint = serve(200)
    code = """
    from opentelemetry import trace, _logs
    tachograph.instrument(service_name="desk")
    ask()
    tachograph.flush()
    limits, logs = trace.get_tracer_provider()._span_limits, _logs.get_logger_provider()._log_record_limits
    from tachograph.instrument import _installed
    push = _installed.pipeline.metrics.push
    print(json.dumps([
        limits.max_span_attributes, limits.max_attributes, limits.max_attribute_length,
        limits.max_span_attribute_length, limits.max_event_attributes, limits.max_link_attributes,
        limits.max_events, limits.max_links,
        logs.max_log_record_attributes, logs.max_log_record_attribute_length,
        push._export_interval_millis, push._export_timeout_millis,
    ]))
    """
    environ = {**SDK, "OTEL_METRICS_EXPORTER": "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url}
    stdout, _ = python(code, environ=environ)  # OpenTelemetry says for each value that it was cut
    assert json.loads(stdout) == [3, 13, 17, 5, 2, 1, 7, 11, 19, 23, 700, 1300]
    assert {headers.get("x-key") for headers in endpoint.seen} == {"17"}
    bodies = dict(zip(endpoint.paths, endpoint.bodies, strict=True))
    (resource,) = ExportTraceServiceRequest.FromString(bodies["/v1/traces"]).resource_spans
    sent = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (sent["service.name"], sent["deployment.environment.name"]) == ("desk", "canary")
    pushed = [
        metric
        for each in ExportMetricsServiceRequest.FromString(bodies["/v1/metrics"]).resource_metrics
        for scope in each.scope_metrics
        for metric in scope.metrics
    ]
    kinds = {metric.WhichOneof("data") for metric in pushed if metric.name == "gen_ai.execute_tool.duration"}
    sums = {metric.sum.aggregation_temporality for metric in pushed if metric.name == "tachograph.tool.executions"}
    assert (kinds, sums) == ({"exponential_histogram"}, {1})
    assert not any(point.exemplars for metric in pushed for point in metric.sum.data_points)


# Settings with which the SDK raises where a provider is made, and what holds instead.
BROKEN = {
    "OTEL_ATTRIBUTE_COUNT_LIMIT": ("abc", "the limits of spans are OpenTelemetry's defaults"),
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": ("-3", "the limits of spans are OpenTelemetry's defaults"),
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": ("x", "the limits of events are OpenTelemetry's defaults"),
    "OTEL_METRICS_EXEMPLAR_FILTER": ("some", "Exemplars are those of sampled spans"),
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": ("abc", "nothing is recorded: ValueError"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_setting_with_which_the_sdk_raises_does_not_stop_the_agent(name):
    value, note = BROKEN[name]
    code = """
    report = tachograph.instrument(service_name="desk", endpoint="http://127.0.0.1:9")
    ask()
    print(json.dumps(list(report.notes)))
    """
    stdout, _ = python(code, environ={name: value, "OTEL_METRICS_EXPORTER": "none", "TACHOGRAPH_PATIENCE": "0"})
    assert [said for said in json.loads(stdout) if note in said] != [], stdout


def test_the_console_gets_what_is_asked_for_redacted():
    code = """
    from opentelemetry import trace
    report = tachograph.instrument(service_name="desk")
    trace.get_tracer("app").start_span("look up bob@example.com").end()
    ask()
    assert tachograph.flush()
    assert "traces and events go to the console" in report.notes
    """
    environ = {"OTEL_TRACES_EXPORTER": "console", "OTEL_LOGS_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none"}
    stdout, stderr = python(code, environ=environ)
    assert re.findall(r'^    "name": "(.+)"', stdout, re.MULTILINE) == [
        "look up [email]",
        "execute_tool lookup",
        "invoke_agent desk",
    ]
    assert "tachograph.budget.used" in stdout
    assert stderr == ""


def test_with_none_nothing_leaves_and_nothing_is_lost():
    code = """
    report = tachograph.instrument(service_name="desk")
    ask()
    print(json.dumps([tachograph.flush(), [note for note in report.notes if " go to " in note]]))
    """
    environ = {f"OTEL_{signal}_EXPORTER": "none" for signal in SIGNALS}
    stdout, stderr = python(code, environ=environ)
    assert json.loads(stdout) == [True, []]
    assert stderr == ""


@pytest.mark.parametrize(("propagators", "sent"), [("tracecontext,baggage", True), ("tracecontext", False)])
def test_baggage_is_sent_by_the_propagators_that_the_environment_names(propagators, sent):
    code = """
    from opentelemetry import propagate
    tachograph.instrument(service_name="desk", endpoint="http://127.0.0.1:9")
    carrier = {}
    with tachograph.run():
        propagate.inject(carrier)
    print(json.dumps("baggage" in carrier))
    """
    environ = {"OTEL_PROPAGATORS": propagators, "OTEL_METRICS_EXPORTER": "none", "TACHOGRAPH_PATIENCE": "0"}
    assert json.loads(python(code, environ=environ)[0]) is sent


@pytest.fixture(scope="session")
def identity(tmp_path_factory):
    """Key and certificate of 127.0.0.1, its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("not installed: openssl")
    folder = tmp_path_factory.mktemp("identity")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


SENT = """
tachograph.instrument(service_name="desk")
ask()
print(json.dumps(tachograph.flush()))
"""


def secured(identity, url, protocol):
    key, certificate = identity
    environ = {
        OTEL_EXPORTER_OTLP_ENDPOINT: url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(key),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(certificate),
        "OTEL_METRICS_EXPORTER": "none",
    }
    return json.loads(python(SENT, environ=environ)[0])


def test_certificates_hold_for_grpc(identity):
    key, certificate = (path.read_bytes() for path in identity)
    trusted = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    collector = Collector()
    server = listen(collector, trusted)
    try:
        assert secured(identity, collector.url, "grpc") is True
        assert collector.span_names() == ["execute_tool lookup", "invoke_agent desk"]
    finally:
        server.stop(0).wait()


def test_certificates_hold_for_http(identity):
    key, certificate = identity
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    endpoint = Endpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"endpoint": endpoint}))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        assert secured(identity, f"https://127.0.0.1:{server.server_port}", "http/protobuf") is True
        assert set(endpoint.paths) == {"/v1/traces", "/v1/logs"}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_insecure_holds_for_an_address_without_a_scheme():
    collector = Collector()
    server = listen(collector)
    environ = {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.removeprefix("http://"),
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_METRICS_EXPORTER": "none",
    }
    try:
        assert json.loads(python(SENT, environ=environ)[0]) is True
    finally:
        server.stop(0).wait()


# Not honoured, each with its reason on the page.
NOT_HONOURED = {
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_CONFIG_FILE",
    "OTEL_LOG_LEVEL",
    "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
}
# Sampling and providers have tests of their own.
ELSEWHERE = {"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_PYTHON_TRACER_PROVIDER", "OTEL_SDK_DISABLED"}
_QUEUE = ("MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE", "SCHEDULE_DELAY")
QUEUES = {f"OTEL_{kind}_{name}" for kind in ("BSP", "BLRP") for name in _QUEUE}
CONNECTION = {
    f"OTEL_EXPORTER_OTLP_{name}"
    for name in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE", "INSECURE", "HEADERS", "ENDPOINT", "PROTOCOL")
}
TESTED = (
    {re.sub(r"_TRACES_(?!SAMPLER|EXPORTER)", "_", name) for name, _ in HONOURED}
    | {name for name, *_ in SETTINGS}
    | {"OTEL_LOGS_EXPORTER", "OTEL_PROPAGATORS"}
    | SDK.keys()
    | CONNECTION
    | QUEUES
    | NOT_HONOURED
    | ELSEWHERE
)


def test_every_row_of_the_page_has_a_test_and_every_tested_variable_a_row():
    rows = [line.split("|")[1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `OTEL_")]
    listed = {name for row in rows for name in re.findall(r"`(OTEL_\w+)`", row)}
    assert listed == TESTED
