"""While content is off: words pass, free text is its size, a traceback its frames and types."""

from __future__ import annotations

import traceback

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LogRecordLimits, ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from tachograph.export.outgoing import outgoing_attributes, outgoing_log, outgoing_span
from tachograph.privacy.withholding import frames, without_free_text, without_text


@pytest.mark.parametrize(
    "value",
    [
        "gpt-4o",
        "2.7.13",
        "GET",
        "text/plain",
        "https://host.example:8080/a/b",
        "/find",
        "sha256:" + "a" * 57,
        "Zürich-17",
        "東京",
        "",
        13,
        1.3,
        True,
        None,
        ["a", "b"],
    ],
)
def test_a_word_is_no_free_text(value):
    kept = without_free_text(value)
    assert (list(kept) if isinstance(value, list) else kept) == value


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("Jane Roe", "[withheld: 8 characters]"),
        ("Jane%20Roe", "[withheld: 10 characters]"),
        ('{"name":"Jane"}', "[withheld: 15 characters]"),
        ("x" * 65, "[withheld: 65 characters]"),
        ("ä" * 17, "[withheld: 17 characters]"),
        ("患者田中さんは陽性です", "[withheld: 11 characters]"),
        ("a患者田中さんは陽性", "[withheld: 10 characters]"),
        ("/患者田中さん", "[withheld: 7 characters]"),
        ("ผู้ป่วยติดเชื้อ", "[withheld: 15 characters]"),
        ("\ud800", "[withheld: 1 characters]"),
        (b"Jane", "[withheld: 4 bytes]"),
        ("https://host.example/find?q=Jane", "https://host.example/find?[withheld: 7 characters]"),
        ("/find?q=Jane+Roe", "/find?[withheld: 11 characters]"),
        ("https://host.example/Jane%20Roe?q=1", "[withheld: 35 characters]"),
        (("Jane Roe", "ok"), ("[withheld: 8 characters]", "ok")),
        ({"note": "Jane Roe", "Jane Roe": 13}, {"note": "[withheld: 8 characters]", "unnamed": 13}),
    ],
)
def test_free_text_is_its_size(value, kept):
    assert without_free_text(value) == kept


def test_of_a_body_only_sizes_numbers_and_key_names_are_left():
    assert without_text({"who": "Jane", "age": 31, "list": ["a", b"bc"]}) == {
        "who": "[withheld: 4 characters]",
        "age": 31,
        "list": ("[withheld: 1 characters]", "[withheld: 2 bytes]"),
    }


def fail(message):
    try:
        raise ValueError(message)  # noqa: TRY301 - what is tested
    except ValueError as error:
        raise ExceptionGroup(message, [error, TypeError(message)]) from error


@pytest.mark.parametrize("message", ["Jane Roe", "x\nJane: y", 'x\n  File "Jane", line 13, in Roe\nJane', ""])
def test_a_traceback_keeps_its_frames_and_types(message):
    try:
        fail(message)
    except ExceptionGroup:
        text = traceback.format_exc()
    kept = frames(text)
    assert "Jane" not in kept
    assert "raise" not in kept
    assert [line.strip(" |+") for line in kept.splitlines() if "line" not in line] == [
        "Traceback (most recent call last):",
        "ValueError",
        "The above exception was the direct cause of the following exception:",
        "Exception Group Traceback (most recent call last):",
        "ExceptionGroup",
        "Traceback (most recent call last):",
        "ValueError",
    ]
    assert kept.count(f'File "{__file__}", line') == text.count(f'File "{__file__}", line')


def test_what_is_no_traceback_is_left_out_and_long_ones_take_no_longer_than_they_are_long():
    assert frames("Jane Roe") == ""
    assert frames("at Jane.roe(Roe.java:13)\n" * 10_000) == ""


def test_of_an_exception_its_types_are_left():
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("framework")
    with pytest.raises(KeyError), tracer.start_as_current_span("look up"):
        raise KeyError("Jane Roe")
    with tracer.start_as_current_span("look up") as span:
        span.set_status(Status(StatusCode.ERROR, "no Jane Roe"))
    failed, odd = (outgoing_span(span) for span in memory.get_finished_spans())
    (event,) = failed.events
    assert (failed.status.description, odd.status.description) == ("KeyError", "[withheld: 11 characters]")
    assert event.attributes["exception.type"] == "KeyError"
    assert event.attributes["exception.message"] == "[withheld: 10 characters]"
    assert event.attributes["exception.stacktrace"].endswith("\nKeyError")
    seen = outgoing_span(memory.get_finished_spans()[0], capture="redacted")
    assert seen.status.description == "KeyError: 'Jane Roe'"
    assert seen.events[0].attributes["exception.message"] == "'Jane Roe'"


@pytest.mark.parametrize(
    ("capture", "body"), [("off", "[withheld: 24 characters]"), ("redacted", "mail [email]"), ("full", "mail [email]")]
)
def test_a_line_of_the_host_is_its_size_or_redacted_never_raw(capture, body):
    inner = LogRecord(body="mail jane@example.com to", attributes={"note": "Jane Roe"})
    record = ReadableLogRecord(inner, Resource({}), None, LogRecordLimits())
    sent = outgoing_log(record, capture=capture).log_record
    assert sent.body == body if capture == "off" else body in sent.body
    assert sent.attributes == {"note": "[withheld: 8 characters]" if capture == "off" else "Jane Roe"}
    assert inner.body == "mail jane@example.com to"


def test_names_are_kept_and_reasons_are_not():
    attributes = {
        "gen_ai.agent.name": "Refund Desk",
        "service.name": "Refund Desk",
        "tachograph.workflow": "refund of a flight",
        "tachograph.checkpoint.reason": "Jane Roe",
        "tachograph.routing.reason": "amount_over_limit",
        "gen_ai.system": "x" * 201,
        "gen_ai.response.text": "Jane Roe",
        "gen_ai.something.new": "on",
        "tachograph.something.new": "Jane Roe",
        "app.note": "Jane Roe",
    }
    assert outgoing_attributes(attributes) == {
        **attributes,
        "tachograph.checkpoint.reason": "[withheld: 8 characters]",
        "gen_ai.system": "[withheld: 201 characters]",
        "gen_ai.response.text": "[withheld: 8 characters]",
        "tachograph.something.new": "[withheld: 8 characters]",
        "app.note": "[withheld: 8 characters]",
    }


def test_an_event_with_content_keeps_numbers_ids_and_models():
    kept = {
        "gen_ai.system": "openai",
        "gen_ai.response.id": "resp-13",
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 17,
    }
    said = {"gen_ai.event.content": "Jane", "gen_ai.response.text": "Jane", "content": "Jane", "index": 13}
    inner = LogRecord(body={"content": "Jane"}, event_name="gen_ai.choice", attributes={**kept, **said})
    record = ReadableLogRecord(inner, Resource({}), None, LogRecordLimits())
    sent = outgoing_log(record).log_record
    assert (sent.body, dict(sent.attributes)) == (None, kept)
