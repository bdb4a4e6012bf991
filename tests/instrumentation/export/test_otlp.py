"""OTLP over gRPC, against a real server; what it shares with HTTP is in test_exporter.py."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
import time

import pytest
from instrumentation.export.collector import Collector, listen
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tachograph.export import exporter as delivery
from tachograph.export import otlp_grpc
from tachograph.export.answer import Answer
from tachograph.export.batch import BatchProcessor, Limits
from tachograph.export.destination import Destination
from tachograph.export.exporter import Exporter
from tachograph.export.outgoing import outgoing_log, outgoing_span
from tachograph.launch.receiver import Receiver, _answers


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(delivery._LastWarning, "at", float("-inf"))


@pytest.fixture
def collect():
    servers = []

    def start(*script, wait_s=None):
        collector = Collector(list(script) or ["OK"], wait_s)
        servers.append((listen(collector), collector))
        return collector

    yield start
    for server, collector in servers:
        collector.released.set()
        server.stop(0).wait()


@pytest.fixture
def spans():
    def make(count=1):
        memory = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(memory))
        for number in range(count):
            provider.get_tracer("test").start_span(f"span {number}").end()
        return memory.get_finished_spans()

    return make


def exporter_to(url, counts, *, patience_s=30.0, **settings):
    answer = Answer()
    to = Destination("traces", url, "grpc", **{"timeout_s": 0.5, **settings})
    connect = lambda: otlp_grpc.connect(to, answer)  # noqa: E731
    return Exporter("traces", connect, outgoing_span, counts, answer=answer, patience_s=patience_s)


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_a_batch_is_delivered_once_and_with_its_headers(collect, counts, spans, compression):
    collector = collect()
    exporter = exporter_to(collector.url, counts, headers={"X-Tenant": "acme"}, compression=compression)
    assert exporter.export(spans(13))
    assert collector.span_names() == [f"span {number}" for number in range(13)]
    assert (exporter.delivered, exporter.lost, exporter.pending) == (13, 0, 0)
    assert [sent["x-tenant"] for sent in collector.metadata] == ["acme"]
    assert counts.of == {}
    exporter.shutdown()


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "INTERNAL", "UNKNOWN"])
def test_a_failing_endpoint_is_tried_again_until_it_takes_the_batch(collect, counts, spans, code):
    collector = collect(code, code, "OK")
    exporter = exporter_to(collector.url, counts)
    assert exporter.export(spans(11))
    assert collector.span_names() == [f"span {number}" for number in range(11)]
    assert (exporter.delivered, exporter.lost) == (11, 0)
    assert counts.of.keys() == {("export.failures", "traces")}
    exporter.shutdown()


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "UNIMPLEMENTED"])
def test_a_final_answer_gives_up_at_once_and_the_log_says_which(collect, counts, spans, code, caplog):
    caplog.set_level(logging.DEBUG)
    collector = collect(code)
    exporter = exporter_to(collector.url, counts)
    assert not exporter.export(spans(11))
    assert collector.calls == 1
    assert (exporter.delivered, exporter.lost, exporter.pending) == (0, 11, 0)
    assert counts.of == {("export.failures", "traces"): 1, ("telemetry.dropped", "traces", "rejected"): 11}
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert lines == [f"tachograph: 11 traces are refused (gRPC {code}) and lost."]
    exporter.shutdown()


def test_an_exhausted_endpoint_is_asked_again_only_if_it_says_when(collect, counts, spans):
    exporter = exporter_to(collect("RESOURCE_EXHAUSTED").url, counts)
    assert not exporter.export(spans(3))
    assert counts.of[("telemetry.dropped", "traces", "rejected")] == 3
    exporter.shutdown()
    exporter = exporter_to(collect("RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "OK", wait_s=1).url, counts)
    began = time.monotonic()
    assert exporter.export(spans(3))
    assert time.monotonic() - began >= 1
    exporter.shutdown()


def test_an_endpoint_that_cannot_be_asked_whether_it_refused_loses_nothing(collect, counts, spans, monkeypatch):
    """As with an SDK that keeps its client elsewhere: no answers are noted, and a failure is tried again."""
    monkeypatch.delattr(otlp_grpc._Answering, "_initialize_channel_and_stub")
    collector = collect("UNAVAILABLE", "UNAUTHENTICATED", "OK")
    exporter = exporter_to(collector.url, counts)
    assert exporter.export(spans(3))
    assert collector.span_names() == ["span 0", "span 1", "span 2"]
    exporter.shutdown()


def test_events_are_delivered_too(collect, counts):
    collector = collect()
    answer = Answer()
    to = Destination("logs", collector.url, "grpc")
    exporter = Exporter("logs", lambda: otlp_grpc.connect(to, answer), outgoing_log, counts, answer=answer)
    processor = BatchProcessor("logs", exporter, counts, Limits(delay_s=0.01))
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    provider.get_logger("test").emit(LogRecord(event_name="tachograph.budget.used"))
    assert processor.force_flush(5000)
    assert collector.event_names() == ["tachograph.budget.used"]
    processor.shutdown()


def test_shutdown_ends_an_attempt_that_hangs_and_counts_what_was_in_flight(collect, counts, spans, until):
    collector = collect("hang")
    exporter = exporter_to(collector.url, counts, timeout_s=30.0)
    processor = BatchProcessor("traces", exporter, counts, Limits(batch=5, delay_s=0.01))
    for span in spans(13):
        processor.on_end(span)
    until(lambda: collector.calls == 1)
    began = time.monotonic()
    processor.shutdown()
    assert time.monotonic() - began < 2.5
    assert sum(count for (name, *_), count in counts.of.items() if name == "telemetry.dropped") == 13


AGENT = """
import json, os, sys, tachograph

def ask():
    with tachograph.run(tenant="acme"), tachograph.tool("lookup"):
        tachograph.budget("tokens", limit=13, used=11)
"""


def python(code, *arguments, **environ):
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", AGENT + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "OTEL_METRICS_EXPORTER": "none", **environ},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


SENT = """
report = tachograph.instrument(service_name="desk")
ask()
print(json.dumps([tachograph.flush(), list(report.notes)]))
"""


def test_the_environment_asks_for_grpc_and_all_three_signals_go_by_it(collect):
    collector = collect()
    (flushed, notes), stderr = python(
        SENT,
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_HEADERS="x-key=17",
        OTEL_METRICS_EXPORTER="otlp",
    )
    assert (flushed, stderr) == (True, "")
    assert notes[:2] == [
        f"metrics are pushed to {collector.url} over gRPC",
        f"traces and events go to {collector.url} over gRPC",
    ]
    assert sorted(collector.span_names()) == ["execute_tool lookup", "invoke_agent desk"]
    assert {signal: bool(taken) for signal, taken in collector.taken.items()} == {
        "traces": True,
        "logs": True,
        "metrics": True,
    }
    assert {sent.get("x-key") for sent in collector.metadata} == {"17"}


def test_one_signal_goes_over_grpc_and_the_other_over_http(collect, serve):
    collector, endpoint = collect(), serve(200)
    (flushed, notes), _ = python(
        SENT, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint.url,
    )  # fmt: skip
    assert flushed
    assert notes[1:3] == [f"traces go to {collector.url} over gRPC", f"events go to {endpoint.url}"]
    assert (bool(collector.taken["traces"]), bool(collector.taken["logs"])) == (True, False)
    assert set(endpoint.paths) == {"/v1/logs"}


def test_the_argument_wins_over_the_environment(serve):
    endpoint = serve(200)
    code = """
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1], protocol="http/protobuf")
    ask()
    print(json.dumps(tachograph.flush()))
    """
    assert python(code, endpoint.url, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")[0] is True
    assert set(endpoint.paths) == {"/v1/traces", "/v1/logs"}


def test_without_the_extra_the_report_says_what_to_install_and_otlp_goes_over_http(serve):
    endpoint = serve(200)
    missing = "import sys; sys.modules['grpc'] = None\n"
    (flushed, notes), stderr = python(
        missing + SENT, OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint.url
    )
    assert flushed
    (note,) = [note for note in notes if "grpc" in note]
    assert note.startswith("OTLP over gRPC needs an exporter that is not installed: pip install 'tachograph[grpc]'.")
    assert stderr == f"tachograph: {note}.\n"
    assert set(endpoint.paths) == {"/v1/traces", "/v1/logs"}


def test_grpc_and_the_console_are_not_imported_unless_they_are_asked_for():
    code = """
    tachograph.instrument(service_name="desk", endpoint="http://127.0.0.1:9")
    print(json.dumps([name for name in sys.modules if name == "grpc" or "otlp.proto.grpc" in name]))
    """
    assert python(code, TACHOGRAPH_PATIENCE="0")[0] == []


def test_a_forked_child_sends_over_grpc_by_itself(collect):
    collector = collect()
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, from Python 3.12 on
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1], protocol="grpc")
    ask()
    assert tachograph.flush()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        ask()
        os.write(write, str(tachograph.flush()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    ask()
    print(json.dumps([os.read(read, 100).decode(), tachograph.flush()]))
    """
    assert python(code, collector.url)[0] == ["True", True]
    assert collector.span_names().count("invoke_agent desk") == 3


def test_tachograph_run_takes_a_grpc_endpoint_of_the_environment_for_one_that_answers(collect):
    url = collect().url
    assert _answers(Receiver(url, by_environment=True))
    assert not _answers(Receiver(url)), "--endpoint names a receiver of HTTP"
