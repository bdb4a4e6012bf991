# ruff: noqa: DTZ001 - the store's times are UTC without a zone
"""OTLP bodies as rows: typed where the registry promotes an attribute, kept as text where it does not."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import datetime

import pytest
from analytics.otlp import NOON, AnEvent, ASpan, logs, span_id, trace_id, traces
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tachograph.registry import names
from tachograph_analytics.store.decode import MAX_REPEATED_BYTES, MAX_UNPACKED_BYTES, decode
from tachograph_analytics.store.segment import ContentType, Encoding, Record, Signal

RECEIVED = datetime(2026, 11, 24, 12, 0, 11)
RECEIVED_NS = 1_795_521_611_000_000_000
COMMON = {names.RUN_ID: "r11", names.GEN_AI_AGENT_NAME: "airline", names.WORKFLOW: "refund"}


def a_record(request, signal: Signal = Signal.TRACES) -> Record:
    return Record(signal, Encoding.IDENTITY, ContentType.PROTOBUF, RECEIVED_NS, request.SerializeToString())


def as_json(request) -> bytes:
    """OTLP/JSON as the specification writes it: ids are hex, not base64."""
    text = json.dumps(MessageToDict(request, use_integers_for_enums=True))
    document = json.loads(text, object_hook=_hex_ids)
    return json.dumps(document).encode()


def _hex_ids(holder: dict) -> dict:
    ids = {key: base64.b64decode(holder[key]).hex() for key in ("traceId", "spanId", "parentSpanId") if key in holder}
    return {**holder, **ids}


def attributes_of(row) -> dict[str, str]:
    return dict(row["attributes"])


def test_a_span_becomes_a_row_of_typed_columns_and_a_map_of_the_rest():
    span = ASpan(
        11,
        13,
        {
            **COMMON,
            names.TOOL_TIER: 2,
            names.COST_AMOUNT: 0.25,
            names.RUN_HOOKS: ["run", "tool"],
            "order": {"id": [7, None]},
        },
        name="execute_tool refund",
        parent=17,
        start_ms=1.5,
        end_ms=20.000019,
    )
    (row,) = decode(a_record(traces([span], {"service.name": "shop", "host.cpus": 2}))).rows["spans"]
    assert {
        "trace_id": trace_id(11),
        "span_id": span_id(13),
        "parent_span_id": span_id(17),
        "name": "execute_tool refund",
        "kind": "internal",
        "start_time": datetime(2026, 9, 21, 14, 13, 20, 1500),
        "end_time": datetime(2026, 9, 21, 14, 13, 20, 20000),
        "duration_ns": 18_500_019,
        "status_code": "unset",
        "status_message": None,
        "service": "shop",
        "scope": "tachograph",
        "span_events": None,
        "links": None,
        "attributes": [("order", '{"id": [7, null]}')],
        "resource": [("service.name", "shop"), ("host.cpus", "2")],
        "received_at": RECEIVED,
        "tachograph_run_id": "r11",
        "gen_ai_agent_name": "airline",
        "tachograph_workflow": "refund",
        "tachograph_tool_tier": 2,
        "tachograph_cost_amount": 0.25,
        "tachograph_run_hooks": ["run", "tool"],
    } == row


def test_events_status_and_links_of_a_span_are_kept():
    request = traces([ASpan(11, 13)])
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.status.code, span.status.message = 2, "boom"
    event = span.events.add(name="exception", time_unix_nano=NOON)
    event.attributes.add(key="exception.type").value.string_value = "KeyError"
    span.links.add(trace_id=bytes.fromhex(trace_id(19)), span_id=bytes.fromhex(span_id(23)))
    (row,) = decode(a_record(request)).rows["spans"]
    assert (row["status_code"], row["status_message"]) == ("error", "boom")
    assert json.loads(row["span_events"]) == [
        {"name": "exception", "time_unix_nano": NOON, "attributes": {"exception.type": "KeyError"}}
    ]
    assert [{"trace_id": trace_id(19), "span_id": span_id(23), "attributes": {}}] == json.loads(row["links"])


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (names.TOOL_TIER, "two", "two"),
        (names.TOOL_TIER, 2.5, "2.5"),
        (names.RUN_ID, 11, "11"),
        (names.COST_AMOUNT, "free", "free"),
        (names.APPROVAL_DIFF_PRESENTED, 1, "1"),
        (names.RUN_HOOKS, ["run", 11], '["run", 11]'),
        (names.RUN_HOOKS, "run", "run"),
    ],
)
def test_a_value_of_another_type_goes_to_the_map(name, value, text):
    (row,) = decode(a_record(traces([ASpan(11, 13, {name: value})]))).rows["spans"]
    assert {name: text} == attributes_of(row)
    assert name.replace(".", "_") not in row


def test_an_int_where_a_double_is_due_fits():
    (row,) = decode(a_record(traces([ASpan(11, 13, {names.SAMPLE_RATE: 1})]))).rows["spans"]
    assert (row["tachograph_sample_rate"], attributes_of(row)) == (1.0, {})


def test_another_dialect_fills_the_column_and_stays_in_the_map():
    spoken = {"llm.model_name": "m11", "llm.token_count.prompt": 13}
    (row,) = decode(a_record(traces([ASpan(11, 13, spoken)]))).rows["spans"]
    assert (row["gen_ai_request_model"], row["gen_ai_usage_input_tokens"]) == ("m11", 13)
    assert attributes_of(row) == {"llm.model_name": "m11", "llm.token_count.prompt": "13"}


def test_our_own_name_wins_over_another_dialect():
    spoken = {"llm.model_name": "theirs", names.GEN_AI_REQUEST_MODEL: "ours"}
    (row,) = decode(a_record(traces([ASpan(11, 13, spoken)]))).rows["spans"]
    assert (row["gen_ai_request_model"], attributes_of(row)) == ("ours", {"llm.model_name": "theirs"})


def test_another_dialect_cannot_say_what_a_closed_list_does_not_hold():
    (row,) = decode(a_record(traces([ASpan(11, 13, {"openinference.span.kind": "LLM"})]))).rows["spans"]
    assert "tachograph_span_kind" not in row
    assert attributes_of(row) == {"openinference.span.kind": "LLM"}


def test_common_attributes_of_the_resource_hold_for_its_spans_and_a_span_may_differ():
    resource = {names.RELEASE_ID: "v11", names.TOOL_TIER: 2}
    spans = [ASpan(11, 13), ASpan(11, 17, {names.RELEASE_ID: "v12"})]
    rows = decode(a_record(traces(spans, resource))).rows["spans"]
    assert [row["tachograph_release_id"] for row in rows] == ["v11", "v12"]
    assert not any("tachograph_tool_tier" in row for row in rows)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("t", "t"),
        (True, "true"),
        (11, "11"),
        (0.5, "0.5"),
        (float("nan"), '"nan"'),
        (b"\x00\xff", '"AP8="'),
        (["ä", True, None], '["ä", true, null]'),
        (None, "null"),
    ],
)
def test_text_of_a_value_is_itself_or_json(value, text):
    (row,) = decode(a_record(traces([ASpan(11, 13, {"own": value})]))).rows["spans"]
    assert {"own": text} == attributes_of(row)


def test_an_event_becomes_a_row():
    event = AnEvent(
        names.EVENT_BUDGET_USED,
        {**COMMON, names.LOG_RECORD_UID: "u11", names.BUDGET_LIMIT: 17, "own": "x"},
        at_ms=2,
        trace=11,
        span=13,
    )
    (row,) = decode(a_record(logs([event]), Signal.LOGS)).rows["events"]
    assert {
        "event_id": "u11",
        "log_record_uid": "u11",
        "event_name": names.EVENT_BUDGET_USED,
        "event_time": datetime(2026, 9, 21, 14, 13, 20, 2000),
        "observed_time": datetime(2026, 9, 21, 14, 13, 20, 2000),
        "trace_id": trace_id(11),
        "span_id": span_id(13),
        "severity": "INFO",
        "body": None,
        "service": "airline",
        "scope": "tachograph",
        "attributes": [("own", "x")],
        "resource": [("service.name", "airline")],
        "received_at": RECEIVED,
        "tachograph_run_id": "r11",
        "gen_ai_agent_name": "airline",
        "tachograph_workflow": "refund",
        "tachograph_budget_limit": 17.0,
    } == row


def test_an_event_without_an_id_gets_one_from_what_it_says():
    first, again, other = [
        decode(a_record(logs([AnEvent("e", {"n": number})]), Signal.LOGS)).rows["events"][0]["event_id"]
        for number in (11, 11, 13)
    ]
    assert first == again != other


def test_json_says_the_same_as_protobuf():
    span = ASpan(11, 13, {**COMMON, names.TOOL_TIER: 2, "big": 2**60, "list": [1, "a"], "raw": b"\xff"}, parent=17)
    request = traces([span])
    request.resource_spans[0].scope_spans[0].spans[0].links.add(
        trace_id=bytes.fromhex(trace_id(19)), span_id=bytes.fromhex(span_id(23))
    )
    events = logs([AnEvent("e", COMMON, trace=11, span=13)])
    for message, signal in ((request, Signal.TRACES), (events, Signal.LOGS)):
        spoken = Record(signal, Encoding.IDENTITY, ContentType.JSON, RECEIVED_NS, as_json(message))
        assert decode(a_record(message, signal)) == decode(spoken)


def test_json_may_hold_what_this_version_does_not_know():
    body = b'{"resourceSpans": [{"futureField": 1, "scopeSpans": []}], "other": {}}'
    assert decode(Record(Signal.TRACES, Encoding.IDENTITY, ContentType.JSON, 11, body)).rows == {"spans": []}


BOMB = gzip.compress(bytes(MAX_UNPACKED_BYTES), 1)


@pytest.mark.parametrize(
    ("encoding", "content_type", "body"),
    [
        (Encoding.IDENTITY, ContentType.PROTOBUF, b"\x0a\xff"),
        (Encoding.GZIP, ContentType.PROTOBUF, gzip.compress(b"\x0a\x00")[:-1]),
        (Encoding.GZIP, ContentType.PROTOBUF, b"no gzip"),
        (Encoding.GZIP, ContentType.PROTOBUF, BOMB + gzip.compress(b"\0")),
        (Encoding.IDENTITY, ContentType.JSON, b"[]"),
        (Encoding.IDENTITY, ContentType.JSON, b'{"resourceSpans": 11}'),
        (Encoding.IDENTITY, ContentType.JSON, b'{"a":' * 100_000),
    ],
    ids=["truncated", "torn-gzip", "no-gzip", "bomb", "array", "no-list", "deep"],
)
def test_what_cannot_be_decoded_raises(encoding, content_type, body):
    with pytest.raises(Exception, match=r"."):
        decode(Record(Signal.TRACES, encoding, content_type, 11, body))


def test_several_gzip_members_are_one_body():
    body = traces([ASpan(11, 13)]).SerializeToString()
    packed = gzip.compress(body[:17]) + gzip.compress(body[17:])
    assert len(decode(Record(Signal.TRACES, Encoding.GZIP, ContentType.PROTOBUF, 11, packed)).rows["spans"]) == 1


@pytest.mark.parametrize("span_id_of_second", [b"short", b"", bytes(8)], ids=["short", "none", "zeros"])
def test_a_span_without_a_valid_id_is_set_aside_alone(span_id_of_second):
    request = traces([ASpan(11, 13), ASpan(11, 17, {"own": "x"}), ASpan(11, 19)])
    request.resource_spans[0].scope_spans[0].spans[1].span_id = span_id_of_second
    decoded = decode(a_record(request))
    assert [row["span_id"] for row in decoded.rows["spans"]] == [span_id(13), span_id(19)]
    kept, reason = decoded.aside
    assert reason == "1 spans without a valid trace and span id: number 1 of the request"
    alone = traces([ASpan(11, 17, {"own": "x"})])
    alone.resource_spans[0].scope_spans[0].spans[0].span_id = span_id_of_second
    assert (kept.encoding, kept.content_type, kept.received_ns) == (
        Encoding.IDENTITY,
        ContentType.PROTOBUF,
        RECEIVED_NS,
    )
    assert ExportTraceServiceRequest.FromString(kept.body) == alone


def test_an_id_in_json_that_is_no_hex_sets_its_span_aside_with_what_was_sent():
    request = traces([ASpan(11, 13), ASpan(11, 17)])
    body = as_json(request).replace(span_id(17).encode(), b"no-hexes")
    decoded = decode(Record(Signal.TRACES, Encoding.IDENTITY, ContentType.JSON, RECEIVED_NS, body))
    assert [row["span_id"] for row in decoded.rows["spans"]] == [span_id(13)]
    assert b"no-hexes" in decoded.aside[0].body


def test_an_invalid_id_of_a_parent_or_of_an_event_is_none():
    request = traces([ASpan(11, 13, parent=17)])
    request.resource_spans[0].scope_spans[0].spans[0].parent_span_id = bytes(8)
    (row,) = decode(a_record(request)).rows["spans"]
    assert row["parent_span_id"] is None
    request = logs([AnEvent("e", trace=11, span=13)])
    request.resource_logs[0].scope_logs[0].log_records[0].trace_id = bytes(16)
    (row,) = decode(a_record(request, Signal.LOGS)).rows["events"]
    assert (row["trace_id"], row["span_id"]) == (None, span_id(13))


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "stored"),
    [
        (NOON, NOON + 1_000_000, datetime(2026, 9, 21, 14, 13, 20)),
        (0, NOON + 13_000_000, datetime(2026, 9, 21, 14, 13, 20, 13_000)),
        (2**64 - 1, 0, RECEIVED),
        (0, 0, RECEIVED),
    ],
)
def test_a_span_without_a_start_happened_at_its_end_or_when_it_was_received(start_ns, end_ns, stored):
    request = traces([ASpan(11, 13)])
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.start_time_unix_nano, span.end_time_unix_nano = start_ns, end_ns
    (row,) = decode(a_record(request)).rows["spans"]
    assert row["start_time"] == stored
    assert row["duration_ns"] == (1_000_000 if start_ns == NOON else None)


def test_an_event_without_a_time_happened_when_it_was_observed_or_received():
    request = logs([AnEvent("e", at_ms=11), AnEvent("e", at_ms=13)])
    first, second = request.resource_logs[0].scope_logs[0].log_records
    first.time_unix_nano = 0
    second.time_unix_nano = second.observed_time_unix_nano = 0
    rows = decode(a_record(request, Signal.LOGS)).rows["events"]
    observed = datetime(2026, 9, 21, 14, 13, 20, 11_000)
    assert [(row["event_time"], row["observed_time"]) for row in rows] == [(observed, observed), (RECEIVED, None)]


def _many(count: int, resource: dict[str, str], signal: Signal) -> Record:
    message = traces([ASpan(11, 13)], resource) if signal is Signal.TRACES else logs([AnEvent("e")], resource)
    if signal is Signal.TRACES:
        scope = message.resource_spans[0].scope_spans[0]
        scope.spans.extend([scope.spans[0]] * (count - 1))
    else:
        scope = message.resource_logs[0].scope_logs[0]
        scope.log_records.extend([scope.log_records[0]] * (count - 1))
    return a_record(message, signal)


@pytest.mark.parametrize("signal", [Signal.TRACES, Signal.LOGS])
def test_more_items_than_a_body_may_hold_are_refused_before_they_are_rows(signal, monkeypatch):
    monkeypatch.setattr("tachograph_analytics.store.decode.MAX_ITEMS", 17)
    table = {Signal.TRACES: "spans", Signal.LOGS: "events"}[signal]
    assert len(decode(_many(17, {"service.name": "a"}, signal)).rows[table]) == 17
    with pytest.raises(ValueError, match="18 spans or log records, more than 17"):
        decode(_many(18, {"service.name": "a"}, signal))


@pytest.mark.parametrize("signal", [Signal.TRACES, Signal.LOGS])
def test_a_resource_that_would_be_repeated_too_often_is_refused(signal):
    large = {"service.name": "x" * (MAX_REPEATED_BYTES // 17)}
    decode(_many(1, large, signal))
    with pytest.raises(ValueError, match="bytes of resources and scopes in 17 rows"):
        decode(_many(17, large, signal))
