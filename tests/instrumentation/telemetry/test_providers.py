"""Providers of the application: set before instrument() or after it, of other makers, broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from tachograph.telemetry.providers import unwrapped

GIVEN = """
import json, logging, os, sys, tachograph
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, events = InMemorySpanExporter(), InMemoryLogRecordExporter()
theirs = TracerProvider(resource=Resource({"service.name": "theirs"}))
theirs.add_span_processor(SimpleSpanProcessor(spans))
their_logs = LoggerProvider()
their_logs.add_log_record_processor(SimpleLogRecordProcessor(events))

def ask():
    with tachograph.run() as run, tachograph.tool("lookup"):
        tachograph.budget("tokens", limit=13, used=11)
    return run.id

def names():
    return sorted(span.name for span in spans.get_finished_spans())
"""


def python(code, *arguments, **environ):
    """What the code printed last, and all that it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", GIVEN + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "OTEL_METRICS_EXPORTER": "none", "TACHOGRAPH_PATIENCE": "0", **environ},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def sent(endpoint):
    requests = [
        ExportTraceServiceRequest.FromString(body)
        for path, body in zip(endpoint.paths, endpoint.bodies, strict=True)
        if path == "/v1/traces"
    ]
    scopes = [scope for request in requests for resource in request.resource_spans for scope in resource.scope_spans]
    return sorted(span.name for scope in scopes for span in scope.spans)


LATE = """
tachograph.instrument(service_name="desk"{argument})
early = trace.get_tracer("early")
early.start_span("before").end()
ask()
trace.set_tracer_provider(theirs)
_logs.set_logger_provider(their_logs)
run = ask()
early.start_span("of a tracer from before").end()
trace.get_tracer("late").start_span("of a tracer from after").end()
tachograph.flush()
ours = [span for span in spans.get_finished_spans() if span.instrumentation_scope.name == "tachograph"]
print(json.dumps([
    names(),
    [record.log_record.event_name for record in events.get_finished_logs()],
    [span.resource.attributes["service.name"] for span in ours],
    [span.attributes["tachograph.run.id"] == run for span in ours],
    trace.get_tracer_provider() is theirs and _logs.get_logger_provider() is their_logs,
]))
"""
OURS = ["execute_tool lookup", "invoke_agent desk"]
SINCE = sorted([*OURS, "of a tracer from after", "of a tracer from before"])


def test_a_provider_that_is_set_after_instrument_gets_everything_from_then_on():
    (all_names, all_events, resources, runs, set_), stderr = python(LATE.replace("{argument}", ""))
    assert all_names == SINCE
    assert all_events == ["tachograph.budget.used"]
    assert (resources, runs, set_) == (["theirs", "theirs"], [True, True], True)
    assert "Overriding" not in stderr


def test_with_an_endpoint_of_ours_both_get_each_span_once(serve):
    endpoint = serve(200)
    (all_names, *_), stderr = python(LATE.replace("{argument}", ", endpoint=sys.argv[1]"), endpoint.url)
    assert all_names == SINCE
    assert sent(endpoint) == sorted([*OURS, "before", *SINCE])
    assert stderr == ""


def test_only_one_provider_comes_after_ours_and_opentelemetry_says_so_of_the_next():
    code = """
    tachograph.instrument(service_name="desk")
    trace.set_tracer_provider(theirs)
    trace.set_tracer_provider(TracerProvider())
    _logs.set_logger_provider(their_logs)
    metrics.set_meter_provider(MeterProvider())
    print(json.dumps(trace.get_tracer_provider() is theirs))
    """
    same, stderr = python(code)
    assert same
    assert stderr.splitlines() == ["Overriding of current TracerProvider is not allowed"]


def test_metrics_are_counted_on_where_they_were_when_a_meter_provider_comes_late():
    code = """
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    tachograph.instrument(service_name="desk", metrics="prometheus", metrics_port=0)
    ask()
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    metrics.get_meter("app").create_counter("orders").add(3)
    ask()
    from tachograph.instrument import exposition
    runs = [line for line in exposition().decode().splitlines() if line.startswith("tachograph_tool_executions_total{")]
    theirs = [m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    print(json.dumps([[float(line.split()[-1]) for line in runs if not line.endswith(" 0.0")], theirs]))
    """
    assert python(code)[0] == [[2.0], ["orders"]]


def test_after_uninstrument_a_provider_of_the_application_still_takes_the_place_of_ours():
    code = """
    for _ in range(2):
        tachograph.instrument(service_name="desk")
        ask()
        tachograph.uninstrument()
    trace.set_tracer_provider(theirs)
    ask()
    trace.get_tracer("app").start_span("theirs").end()
    between = names()
    tachograph.instrument(service_name="desk")
    ask()
    print(json.dumps([between, names()]))
    """
    (between, after), stderr = python(code)
    assert between == ["theirs"]
    assert after == sorted([*OURS, "theirs"])
    assert "Overriding" not in stderr


OTHERS = {
    "one that records nothing": "trace.NoOpTracerProvider()",
    "one of another maker": "Foreign()",
}


@pytest.mark.parametrize("provider", OTHERS.values(), ids=OTHERS)
def test_a_provider_that_is_not_the_sdks_is_left_alone_and_ours_is_beside_it(serve, provider):
    code = f"""
    class Foreign(trace.TracerProvider):
        def get_tracer(self, *args, **kwargs):
            return trace.NoOpTracer()
    foreign = {provider}
    trace.set_tracer_provider(foreign)
    report = tachograph.instrument(service_name="desk", endpoint=sys.argv[1])
    with trace.get_tracer("app").start_as_current_span("theirs"):
        ask()
    flushed = tachograph.flush()
    same = trace.get_tracer_provider() is foreign
    tachograph.uninstrument()
    print(json.dumps([flushed, same, [note for note in report.notes if "not the SDK's" in note]]))
    """
    endpoint = serve(200)
    (flushed, same, notes), stderr = python(code, endpoint.url)
    assert (flushed, same, len(notes), stderr) == (True, True, 1, "")
    assert sent(endpoint) == OURS


def test_a_provider_inside_a_wrapper_is_found():
    class Wrapper:
        provider = TracerProvider(shutdown_on_exit=False)

    assert unwrapped(Wrapper(), TracerProvider) is Wrapper.provider
    assert unwrapped(Wrapper(), MeterProvider) is None
    assert unwrapped(object(), TracerProvider) is None


def test_a_provider_that_is_shut_down_costs_the_agent_nothing(serve):
    code = """
    trace.set_tracer_provider(theirs)
    _logs.set_logger_provider(their_logs)
    metrics.set_meter_provider(meters := MeterProvider())
    for each in (theirs, their_logs, meters):
        each.shutdown()
    tachograph.instrument(service_name="desk", endpoint=sys.argv[1])
    ask()
    print(json.dumps(tachograph.flush()))
    """
    endpoint = serve(200)
    flushed, _ = python(code, endpoint.url)
    assert flushed
    assert sent(endpoint) == OURS


@pytest.mark.parametrize("where", ["on_start", "on_end"])
def test_a_processor_of_the_application_that_raises_changes_nothing_for_the_agent(where):
    code = f"""
    class Broken(SpanProcessor):
        def {where}(self, *args, **kwargs):
            raise RuntimeError("theirs")
    theirs.add_span_processor(Broken())
    trace.set_tracer_provider(theirs)
    tachograph.instrument(service_name="desk")

    @tachograph.tool("lookup")
    def lookup(booking):
        if booking == "boom":
            raise LookupError(booking)
        return booking.upper()

    @tachograph.run()
    def agent(booking):
        return lookup(booking)

    answers = [agent("k13")]
    try:
        agent("boom")
    except LookupError as error:
        answers.append(repr(error))
    print(json.dumps(answers))
    """
    answers, stderr = python(code)
    assert answers == ["K13", "LookupError('boom')"]
    assert "Traceback" not in stderr


NAMED = """
logging.disable()  # OpenTelemetry logs a traceback of its own at each call
os.environ["OTEL_PYTHON_{kind}_PROVIDER"] = "vendor"
report = tachograph.instrument(service_name="desk", endpoint=sys.argv[1])
ask()
print(json.dumps([tachograph.flush(), list(report.notes)]))
"""


def test_a_tracer_provider_that_the_environment_names_and_that_is_not_there_is_in_the_report(serve):
    endpoint = serve(200)
    (flushed, notes), _ = python(NAMED.replace("{kind}", "TRACER"), endpoint.url)
    assert flushed
    assert notes[0] == "the tracer provider that the environment names cannot be loaded (StopIteration)"
    assert sent(endpoint) == OURS


def test_where_the_sdk_itself_cannot_start_the_agent_goes_on_and_the_report_says_that_nothing_is_recorded(serve):
    (flushed, notes), _ = python(NAMED.replace("{kind}", "METER"), serve(200).url)
    assert flushed
    assert notes == ["nothing is recorded: StopIteration: "]
