"""`tachograph import`: every form that exporters write, what is broken in it, and that nothing counts twice."""

from __future__ import annotations

import base64
import gzip
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from analytics.app.recorded import bodies, incident_runs
from analytics.otlp import AnEvent, ASpan, logs, traces
from analytics.services import receiving, start_decoder
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tachograph.cli import main
from tachograph.registry import names
from tachograph.testing import recording
from tachograph_analytics.imports.request import MOST_ITEMS
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.lock import sole
from tachograph_analytics.store.query import query
from tachograph_analytics.store.segment import Signal
from tachograph_analytics.store.supervisor import embedded

if TYPE_CHECKING:
    from pathlib import Path

SPANS = traces([ASpan(11, number, {names.RUN_ID: "run-11", names.SPAN_KIND: "run"}) for number in (13, 17)])
EVENTS = logs([AnEvent("order.placed", {"k": "v"}, trace=11, span=13)])


def as_dict(request: Any) -> dict[str, Any]:
    """OTLP's mapping to JSON: camel case, ids in hex."""
    found = MessageToDict(request)
    for resource in (*found.get("resourceSpans", ()), *found.get("resourceLogs", ())):
        for scope in (*resource.get("scopeSpans", ()), *resource.get("scopeLogs", ())):
            for item in (*scope.get("spans", ()), *scope.get("logRecords", ())):
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in item:
                        item[key] = base64.b64decode(item[key]).hex()
    return found


def as_json(request: Any) -> bytes:
    return json.dumps(as_dict(request)).encode()


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


def zstd_frame(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


METRICS = ExportMetricsServiceRequest()
METRICS.resource_metrics.add().scope_metrics.add().metrics.add(name="http.server.duration")
LINES = b"".join(as_json(request) + b"\n" for request in (SPANS, EVENTS))
MESSAGES = (SPANS.SerializeToString(), EVENTS.SerializeToString())
FORMS = {
    "json lines": LINES,
    "json, no last newline": LINES.rstrip(b"\n"),
    "one pretty document": json.dumps(as_dict(SPANS) | as_dict(EVENTS), indent=2).encode(),
    "one document of both": json.dumps(as_dict(SPANS) | as_dict(EVENTS)).encode(),
    "an array": json.dumps([as_dict(SPANS), as_dict(EVENTS)]).encode(),
    "a byte order mark": b"\xef\xbb\xbf" + LINES,
    "gzip": gzip.compress(LINES),
    "gzip in two members": gzip.compress(as_json(SPANS) + b"\n") + gzip.compress(as_json(EVENTS)),
    "zstd": zstd_frame(LINES),
    "zstd in two frames": zstd_frame(as_json(SPANS) + b"\n") + zstd_frame(as_json(EVENTS) + b"\n"),
    "collector proto": framed(*MESSAGES),
    "collector proto, zstd a message": framed(*map(zstd_frame, MESSAGES)),
    "collector json, zstd a message": framed(zstd_frame(as_json(SPANS)), zstd_frame(as_json(EVENTS))),
    "collector proto, native zstd": zstd_frame(framed(*MESSAGES)),
}


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


def written(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def counts(home: str) -> tuple[Any, ...]:
    sql = "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM events), (SELECT count(*) FROM runs)"
    return query(Home.at(home), sql).rows[0]


def imported(home: str, capsys, *files: str) -> str:
    assert main(["import", *files, "--home", home]) == 0
    return capsys.readouterr().out


# -- forms
@pytest.mark.parametrize("form", FORMS)
def test_each_form_that_exporters_write_is_read(form, home, tmp_path, capsys):
    said = imported(home, capsys, written(tmp_path, "telemetry", FORMS[form]))
    assert said.startswith("1 file: 2 spans, 1 event, 1 new run in ")
    assert counts(home) == (2, 1, 1)
    assert query(Home.at(home), "SELECT trace_id, name FROM spans WHERE span_id LIKE '%11'").rows == (
        (f"{11:032x}", "work"),
    )


@pytest.mark.parametrize(("request_", "expected"), [(SPANS, (2, 0, 1)), (EVENTS, (0, 1, 0))])
def test_one_request_in_protobuf_tells_its_signal_by_what_it_holds(request_, expected, home, tmp_path, capsys):
    imported(home, capsys, written(tmp_path, "request.pb", request_.SerializeToString()))
    assert counts(home) == expected


def test_what_the_hooks_sent_comes_back_as_it_was(home, tmp_path, capsys):
    with recording() as recorded:
        incident_runs()
        sent = bodies(recorded)
    kinds = {Signal.TRACES: ExportTraceServiceRequest, Signal.LOGS: ExportLogsServiceRequest}
    lines = b"\n".join(as_json(kinds[signal].FromString(body)) for signal, body in sent)
    assert "23 new runs" in imported(home, capsys, written(tmp_path, "agents.jsonl", lines))
    assert query(Home.at(home), "SELECT outcome, count(*) FROM runs GROUP BY ALL ORDER BY ALL").rows == (
        ("failed", 3),
        ("refused", 2),
        ("success", 18),
    )


def test_folders_rotated_files_and_stdin(home, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "exports"
    (folder / "old").mkdir(parents=True)
    written(folder, "data.json", as_json(SPANS))
    written(folder / "old", "data-2026-11-24T05-02-14.173.json", as_json(EVENTS))
    written(folder, ".hidden", b"no telemetry")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(as_json(traces([ASpan(19, 23)])))))
    assert imported(home, capsys, str(folder), "-").startswith("3 files: 3 spans, 1 event, 1 new run in ")


# -- counting
def test_the_same_file_twice_counts_once_also_events_that_bring_no_id(home, tmp_path, capsys):
    file = written(tmp_path, "data.jsonl", LINES)
    assert ", 1 new run in" in imported(home, capsys, file)
    assert ", 0 new runs in" in imported(home, capsys, file, written(tmp_path, "data.pb", framed(*MESSAGES)))
    assert counts(home) == (2, 1, 1)


def test_large_requests_are_split_and_small_ones_put_together(home, tmp_path, capsys):
    large = traces([ASpan(11, number) for number in range(1, MOST_ITEMS + 1 + 17)], {"service.name": "desk"})
    small = b"".join(as_json(traces([ASpan(13, number)])) + b"\n" for number in range(1, 14))
    imported(home, capsys, written(tmp_path, "large.pb", large.SerializeToString()), written(tmp_path, "small", small))
    sql = "SELECT service, scope, count(*) FROM spans GROUP BY ALL ORDER BY ALL"
    assert query(Home.at(home), sql).rows == (
        ("airline", "tachograph", 13),
        ("desk", "tachograph", MOST_ITEMS + 17),
    )


# -- what is broken
def test_a_broken_line_is_named_and_the_rest_is_imported(home, tmp_path, capsys):
    lines = [as_json(SPANS), b'{"resourceSpans": [{"sco', b'{"other": 1}', as_json(EVENTS), b"plain text"]
    file = written(tmp_path, "data.jsonl", b"\n".join(lines))
    assert main(["import", file, "--home", home]) == 2
    said = capsys.readouterr()
    assert counts(home) == (2, 1, 1)
    assert said.out.startswith("1 file: 2 spans, 1 event, 1 new run")
    complaints = [line for line in said.err.splitlines() if line.startswith("tachograph import: ")]
    assert [line.split(": ")[1] for line in complaints] == [f"{file}, line {number}" for number in (2, 3, 5)]
    assert "none of resourceSpans, resourceLogs and resourceMetrics" in complaints[1]


@pytest.mark.parametrize(
    ("content", "sentence", "spans"),
    [
        (b"\x89PNG and so on", "neither OTLP as JSON nor as protobuf", 0),
        (framed(*MESSAGES) + framed(MESSAGES[0])[:-7], "message 3: it is cut off", 2),
        (framed(MESSAGES[0], b"\x28\xb5\x2f\xfd damaged", MESSAGES[1]), "message 2: its zstd frame is damaged", 2),
        (framed(MESSAGES[0], b"\x0a\x03abc", MESSAGES[1]), "message 2: it is", 2),
        (gzip.compress(LINES * 40)[:-9], "cut off, or no sound archive; what stands before is imported", 2),
        (MESSAGES[0] + MESSAGES[0][:-7], "its last resource is cut off", 2),
    ],
)
def test_damage_is_named_and_what_can_be_read_is_imported(content, sentence, spans, tmp_path, capsys):
    home, file = str(tmp_path / "home"), written(tmp_path, "data", content)
    assert main(["import", file, "--home", home]) == 2
    assert f"{file}" in (said := capsys.readouterr().err)
    assert sentence in said
    assert counts(home)[0] == spans


def test_an_empty_file_is_nothing_and_one_that_is_not_there_a_sentence(home, tmp_path, capsys):
    assert imported(home, capsys, written(tmp_path, "empty", b"")).startswith("1 file: 0 spans, 0 events, 0 new runs")
    assert main(["import", str(tmp_path / "nowhere"), "--home", home]) == 2
    assert capsys.readouterr().err == f"tachograph import: there is no file or folder {tmp_path / 'nowhere'}\n"


def test_spans_without_ids_metrics_and_other_dialects_are_said(home, tmp_path, capsys):
    nameless = traces([ASpan(29, 31)])
    nameless.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    foreign = traces([ASpan(19, 23, {"llm.model_name": "gpt-4o", "llm.token_count.prompt": 101})])
    content = framed(*(request.SerializeToString() for request in (nameless, foreign, METRICS, SPANS)))
    said = imported(home, capsys, written(tmp_path, "data", content))
    assert said.splitlines()[1:] == [
        "1 span without a valid trace or span id: kept in the store's quarantine, not in its views.",
        "Metrics were passed over: they belong to Prometheus.",
        (
            "2 spans without tachograph.run.id: in the view spans, with the models, tokens and tools that their "
            "dialect names; runs, outcome, cost, tier and workflow stay empty."
        ),
    ]
    models = query(Home.at(home), "SELECT DISTINCT gen_ai_request_model AS model FROM spans ORDER BY model").rows
    assert models == (("gpt-4o",), (None,))


# -- receivers
def test_a_receiver_that_runs_is_posted_to(home, tmp_path, capsys):
    file = written(tmp_path, "data.jsonl", LINES)
    store = Home.at(home).create()
    with receiving(store) as (url, _):
        decoder = start_decoder(store)
        try:
            assert main(["import", file, "--endpoint", url]) == 0
        finally:
            decoder.terminate()
            decoder.communicate(timeout=30)
    assert capsys.readouterr().out.startswith("1 file: 2 spans, 1 event in ")
    assert counts(home) == (2, 1, 1)


@pytest.mark.slow
def test_a_home_that_is_served_gets_it_through_its_own_receiver(home, tmp_path, capsys):
    with embedded(Home.at(home)):
        said = imported(home, capsys, written(tmp_path, "data.jsonl", LINES))
    assert said.startswith("1 file: 2 spans, 1 event, 1 new run in ")
    assert counts(home) == (2, 1, 1)


def test_an_endpoint_that_does_not_answer_and_a_receiver_of_unknown_address_are_sentences(home, tmp_path, capsys):
    file = written(tmp_path, "data.jsonl", LINES)
    assert main(["import", file, "--endpoint", "http://127.0.0.1:9"]) == 2
    assert "http://127.0.0.1:9/v1/traces does not answer" in capsys.readouterr().err
    with sole(Home.at(home).create(), "receiver"):
        assert main(["import", file, "--home", home]) == 2
    assert "its address is not known here: name it with --endpoint" in capsys.readouterr().err
