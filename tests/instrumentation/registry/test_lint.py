from __future__ import annotations

import gzip
import json

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tachograph.cli import main
from tachograph.errors import UsageError
from tachograph.registry.files import read
from tachograph.registry.lint import LintFinding, lint
from tachograph.registry.recorded import EventRecord, Recorded, SeriesRecord, SpanRecord, from_sdk, from_sdk_log

COMMON = {"tachograph.run.id": "r11", "gen_ai.agent.name": "airline", "tachograph.workflow": "refund"}
ROUTE = {
    **COMMON,
    "tachograph.span.kind": "route",
    "tachograph.router.name": "intent",
    "tachograph.routing.method": "rule",
    "tachograph.routing.candidate.count": 13,
    "tachograph.routing.candidates": ["a", "b"],
    "tachograph.routing.scores": [0.7, 0.3],
    "tachograph.routing.constraint.applied": True,
    "tachograph.routing.outcome": "selected",
    "app.own": object(),
}
AUDIT = {"tachograph.audit.id": "a17", "tachograph.audit.action": "write"}
LABELS = {"gen_ai.agent.name": "airline", "tachograph.run.stop_reason": "completed"}


def span(**changes):
    attributes = {**ROUTE, **{key.replace("__", "."): value for key, value in changes.items()}}
    return Recorded(spans=(SpanRecord("route intent", {k: v for k, v in attributes.items() if v is not None}, "0d"),))


def event(name="tachograph.audit.recorded", attributes=AUDIT):
    return Recorded(events=(EventRecord(name, attributes, "0d"),))


def series(name="tachograph.run.stops", labels=LABELS):
    return Recorded(series=(SeriesRecord(name, labels, name),))


@pytest.mark.parametrize(
    "clean",
    [
        span(),
        Recorded(spans=(SpanRecord("GET /", {"http.method": "GET", "gen_ai.request.model": 17}),)),
        event(),
        event("tachograph.release.assigned", {}),
        event("", {"line": "of the host"}),
        event("gen_ai.user.message", {"content": "hi"}),
        series(),
        series("tachograph_run_stops_total", {"gen_ai_agent_name": "airline", "tachograph_run_stop_reason": "error"}),
        series("tachograph_run_stops_created", {"gen_ai_agent_name": "airline"}),
        series("tachograph_run_duration_seconds_bucket", {"le": "0.5", "tachograph_run_outcome": "success"}),
        series("tachograph_run_duration_seconds_sum", {}),
        series("tachograph.approval.decisions", {"tachograph.approval.diff.presented": True}),
        series("process_cpu_seconds_total", {"anything": "goes"}),
        Recorded(),
    ],
)  # fmt: skip
def test_what_the_registry_says_is_clean(clean):
    assert lint(clean) == []


@pytest.mark.parametrize(
    ("bad", "finding"),
    [
        (
            span(tachograph__router__nam="x"),
            LintFinding("unknown_attribute", "span route", "tachograph.router.nam",
                        "no such attribute; did you mean tachograph.router.name?", "0d"),
        ),
        (
            Recorded(spans=(SpanRecord("GET /", {"tachograph.zzz": 1}, "0d"),)),
            LintFinding("unknown_attribute", "GET /", "tachograph.zzz", "no such attribute", "0d"),
        ),
        (
            span(tachograph__routing__candidate__count="13"),
            LintFinding("wrong_type", "span route", "tachograph.routing.candidate.count",
                        "is string and must be int", "0d"),
        ),
        (
            span(tachograph__routing__candidate__count=True),
            LintFinding("wrong_type", "span route", "tachograph.routing.candidate.count",
                        "is boolean and must be int", "0d"),
        ),
        (
            span(tachograph__routing__scores=[0.7, 1]),
            LintFinding("wrong_type", "span route", "tachograph.routing.scores",
                        "is double|int[] and must be double[]", "0d"),
        ),
        (
            span(gen_ai__tool__name=17),
            LintFinding("wrong_type", "span route", "gen_ai.tool.name", "is int and must be string", "0d"),
        ),
        (
            span(tachograph__routing__outcome="select"),
            LintFinding("value_not_allowed", "span route", "tachograph.routing.outcome",
                        "'select' is not allowed; did you mean selected?", "0d"),
        ),
        (
            span(tachograph__run__tier=7),
            LintFinding("value_not_allowed", "span route", "tachograph.run.tier", "7 is not allowed", "0d"),
        ),
        (
            span(tachograph__router__name=None),
            LintFinding("missing_attribute", "span route", "tachograph.router.name", "is required and missing", "0d"),
        ),
        (
            span(tachograph__run__id=None),
            LintFinding("missing_attribute", "span route", "tachograph.run.id", "is required and missing", "0d"),
        ),
        (
            event(attributes={"tachograph.audit.id": "a17"}),
            LintFinding("missing_attribute", "event tachograph.audit.recorded", "tachograph.audit.action",
                        "is required and missing", "0d"),
        ),
        (
            span(tachograph__span__kind="rout"),
            LintFinding("unknown_span_kind", "span rout", "tachograph.span.kind",
                        "no such kind of span; did you mean route?", "0d"),
        ),
        (
            event("tachograph.audit.recordet"),
            LintFinding("unknown_event", "event tachograph.audit.recordet", "tachograph.audit.recordet",
                        "no such event; did you mean tachograph.audit.recorded?", "0d"),
        ),
        (
            series("tachograph_run_stop_total"),
            LintFinding("unknown_metric", "metric tachograph_run_stop_total", "tachograph_run_stop_total",
                        "no such metric; did you mean tachograph_run_stops_total?", "tachograph_run_stop_total"),
        ),
        (
            series("tachograph_runs_total_bucket", {}),
            LintFinding("unknown_metric", "metric tachograph_runs_total_bucket", "tachograph_runs_total_bucket",
                        "no such metric; did you mean tachograph_runs_total?", "tachograph_runs_total_bucket"),
        ),
        (
            series(labels={**LABELS, "tachograph.release.track": "stable"}),
            LintFinding("unknown_label", "metric tachograph.run.stops", "tachograph.release.track",
                        "is no label of this metric", "tachograph.run.stops"),
        ),
        (
            series("tachograph_run_stops_total", {"tachograph_run_id": "r11"}),
            LintFinding("label_of_many_values", "metric tachograph.run.stops", "tachograph.run.id",
                        "has too many values for a metric label; it is for spans and events only",
                        "tachograph_run_stops_total"),
        ),
        (
            series(labels={"tachograph.run.stop_reason": "bored"}),
            LintFinding("value_not_allowed", "metric tachograph.run.stops", "tachograph.run.stop_reason",
                        "'bored' is not allowed", "tachograph.run.stops"),
        ),
    ],
)  # fmt: skip
def test_each_departure_is_one_finding(bad, finding):
    assert lint(bad) == [finding]


def test_an_event_of_a_run_needs_the_common_attributes():
    missing = {finding.name for finding in lint(event("tachograph.tool.retry", {"tachograph.tool.attempt": 3}))}
    assert missing == set(COMMON)


def test_the_same_finding_is_said_once_with_its_count_and_first_place():
    spans = [SpanRecord("x", {"tachograph.zzz": n}, f"{n:02x}") for n in range(11, 24)]
    assert lint(Recorded(spans=tuple(spans))) == [
        LintFinding("unknown_attribute", "x", "tachograph.zzz", "no such attribute", "0b", 13)
    ]


BAD = {**ROUTE, "tachograph.routing.scores": [1], "app.own": "x"}


@pytest.fixture
def sdk():
    """One bad span, one bad event and one bad metric in memory."""
    spans, logs, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
    tracing, logging, metering = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False), None
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    logging.add_log_record_processor(SimpleLogRecordProcessor(logs))
    metering = MeterProvider([reader], shutdown_on_exit=False)
    tracing.get_tracer("test").start_span("route intent", attributes=BAD).end()
    logging.get_logger("test").emit(LogRecord(timestamp=17, event_name="tachograph.zzz"))
    metering.get_meter("test").create_counter("tachograph.run.stops").add(1, {"tachograph.run.id": "r11"})
    return spans.get_finished_spans(), logs.get_finished_logs(), reader.get_metrics_data()


RULES = {"spans": ["wrong_type"], "logs": ["unknown_event"], "metrics": ["label_of_many_values"]}


def test_sdk_objects_are_linted_in_memory(sdk):
    spans, logs, _ = sdk
    recorded = Recorded(tuple(map(from_sdk, spans)), tuple(map(from_sdk_log, logs)))
    assert [finding.rule for finding in lint(recorded)] == ["unknown_event", "wrong_type"]
    assert recorded.spans[0].where == f"{spans[0].context.span_id:016x}"


@pytest.mark.parametrize("signal", ["spans", "logs", "metrics"])
@pytest.mark.parametrize("form", ["protobuf", "gzip", "json", "lines"])
def test_otlp_files_of_every_form_and_signal_are_read(sdk, tmp_path, signal, form):
    spans, logs, metrics = sdk
    encoded = {"spans": encode_spans, "logs": encode_logs, "metrics": encode_metrics}[signal](
        {"spans": spans, "logs": logs, "metrics": metrics}[signal]
    )
    path = tmp_path / "recorded"
    body = encoded.SerializeToString()
    if form in {"json", "lines"}:
        from google.protobuf.json_format import MessageToDict

        text = json.dumps(MessageToDict(encoded))
        body = (f"{text}\n{text}\n" if form == "lines" else text).encode()
    path.write_bytes(gzip.compress(body) if form == "gzip" else body)
    findings = lint(read(path))
    assert [finding.rule for finding in findings] == RULES[signal]
    assert findings[0].count == (2 if form == "lines" else 1)
    if signal == "spans" and form == "protobuf":
        assert findings[0].where == f"{spans[0].context.span_id:016x}"


PAGE = '# TYPE tachograph_run_stops counter\ntachograph_run_stops_total{tachograph_run_id="r11"} 3.0\n'


@pytest.mark.parametrize("end", ["", "# EOF\n"], ids=["text", "openmetrics"])
def test_a_metrics_page_is_read(tmp_path, end):
    path = tmp_path / "page"
    path.write_text(PAGE + end)
    assert [finding.rule for finding in lint(read(path))] == ["label_of_many_values"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{}x",
        b'{"spans": []}',
        b'[{"resourceSpans": 17}]',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"value": {"intValue": "x"}}]}]}]}]}',
        b"\x00\x01\x02",
        b"\x1f\x8bnot gzip",
        b"just a text\nof two lines",
        b"\xff\xfe\x00",
    ],
)
def test_bad_input_is_a_sentence(tmp_path, body):
    path = tmp_path / "bad"
    path.write_bytes(body)
    with pytest.raises(UsageError, match=r"bad .*\.$"):
        read(path)


def test_the_command_says_what_it_found(tmp_path, capsys):
    path = tmp_path / "page"
    path.write_text(PAGE.replace("run_id", "zzz"))
    assert main(["lint", str(path)]) == 1
    finding, looked = capsys.readouterr().out.splitlines()
    assert finding.startswith("metric tachograph.run.stops: tachograph_zzz is no label of this metric [unknown_label]")
    assert finding.endswith("(1 times, first at tachograph_run_stops_total)")
    assert looked == "0 spans, 0 events, 1 series: 1 findings"


def test_the_command_prints_json(tmp_path, capsys):
    path = tmp_path / "page"
    path.write_text(PAGE.replace("run_id", "zzz"))
    assert main(["lint", "--json", str(path), str(path)]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {
            "rule": "unknown_label",
            "subject": "metric tachograph.run.stops",
            "name": "tachograph_zzz",
            "message": "is no label of this metric",
            "where": "tachograph_run_stops_total",
            "count": 2,
        }
    ]


def test_the_command_is_quiet_about_clean_files(tmp_path, capsys):
    path = tmp_path / "page"
    path.write_text(PAGE.replace("tachograph_run_id", "gen_ai_agent_name"))
    assert main(["lint", str(path)]) == 0
    assert capsys.readouterr().out == "0 spans, 0 events, 1 series: clean\n"


@pytest.mark.parametrize("arguments", [[], ["no-such-file"]])
def test_the_command_answers_bad_input_with_a_sentence(arguments, capsys):
    assert main(["lint", *arguments]) == 2
    assert capsys.readouterr().err.startswith("tachograph lint: ")
