from __future__ import annotations

import logging
import socket
import threading
import time

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, Status, StatusCode

from tachograph.config import Config
from tachograph.export import exporter as delivery
from tachograph.export import otlp
from tachograph.export.answer import Answer
from tachograph.export.batch import BatchProcessor, Limits
from tachograph.export.delivery import deliver
from tachograph.export.destination import Destination
from tachograph.export.exporter import Exporter
from tachograph.export.otlp import connect, has_credential_provider
from tachograph.export.outgoing import outgoing_log, outgoing_span

SECRETS = {
    "card": "4111111111111111",
    "email": "bob@example.com",
    "ssn": "123-45-6789",
    "iban": "DE89370400440532013000",
    "token": "sk-proj-abcdefghijklmnopqrstuv",
}
ALL_SECRETS = " ".join(SECRETS.values())


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(delivery._LastWarning, "at", float("-inf"))


@pytest.fixture
def spans():
    memory = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({"service.name": "agent", "owner": SECRETS["email"]}), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test", "1.3")

    def make(count=1, **attributes):
        memory.clear()
        for number in range(count):
            with tracer.start_as_current_span(f"span {number}", attributes=attributes):
                pass
        return memory.get_finished_spans()

    make.tracer = tracer
    make.memory = memory
    return make


def to(url, signal="traces", **settings):
    return Destination(signal, f"{url}/v1/{signal}", **settings)


def exporter_to(url, counts, *, patience_s=30.0, timeout_s=0.5, capture="off"):
    answer = Answer()
    return Exporter(
        "traces",
        lambda: connect(to(url, timeout_s=timeout_s), answer),
        lambda span: outgoing_span(span, capture=capture),
        counts,
        answer=answer,
        patience_s=patience_s,
    )


def refusing_url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def names_in(endpoint):
    requests = [ExportTraceServiceRequest.FromString(body) for body in endpoint.bodies]
    scopes = [scope for request in requests for resource in request.resource_spans for scope in resource.scope_spans]
    return [span.name for scope in scopes for span in scope.spans]


def test_a_batch_is_delivered_once(serve, counts, spans):
    endpoint = serve(200)
    exporter = exporter_to(endpoint.url, counts)
    assert exporter.export(spans(13))
    assert names_in(endpoint) == [f"span {number}" for number in range(13)]
    assert (exporter.delivered, exporter.lost, exporter.pending) == (13, 0, 0)
    assert endpoint.paths == ["/v1/traces"]
    assert counts.of == {}
    exporter.shutdown()


def test_a_span_that_cannot_be_encoded_is_lost_alone(serve, counts, spans):
    endpoint, answer = serve(200), Answer()
    made = [*spans(13)]
    exporter = Exporter("traces", lambda: connect(to(endpoint.url), answer), odd_at("span 7"), counts, answer=answer)
    assert not exporter.export(made)
    assert names_in(endpoint) == [f"span {number}" for number in range(13) if number != 7]
    assert (exporter.delivered, exporter.lost, exporter.pending) == (12, 1, 0)
    assert counts.of[("telemetry.dropped", "traces", "rejected")] == 1
    assert counts.of[("export.failures", "traces")] == 1
    exporter.shutdown()


def odd_at(name):
    """What makes copies, one of them with a name that no encoder takes."""

    def copied(span):
        sent = outgoing_span(span)
        if span.name == name:
            sent._name = "\ud800"
        return sent

    return copied


def test_odd_names_are_sent_and_cost_nothing(serve, counts, spans):
    endpoint = serve(200)
    exporter = exporter_to(endpoint.url, counts)
    with spans.tracer.start_as_current_span("look \ud800up") as span:
        span.add_event("seen \udfff")
        span.set_status(Status(StatusCode.ERROR, "no \ud800"))
    assert exporter.export(spans.memory.get_finished_spans())
    assert (names_in(endpoint), exporter.lost) == (["look ?up"], 0)
    exporter.shutdown()


@pytest.mark.parametrize("failure", [500, 503, 429, 408, "die"])
def test_a_failing_endpoint_is_tried_again_until_it_takes_the_batch(serve, counts, spans, failure):
    endpoint = serve(failure, failure, 200)
    exporter = exporter_to(endpoint.url, counts)
    assert exporter.export(spans(11))
    assert names_in(endpoint) == [f"span {number}" for number in range(11)]
    assert (exporter.delivered, exporter.lost) == (11, 0)
    assert counts.of[("export.failures", "traces")] >= 1
    assert counts.of.keys() == {("export.failures", "traces")}
    exporter.shutdown()


@pytest.mark.parametrize("refusal", [400, 401, 404, 413, 302])
def test_a_final_answer_gives_up_at_once(serve, counts, spans, refusal):
    endpoint = serve(refusal)
    exporter = exporter_to(endpoint.url, counts)
    assert not exporter.export(spans(11))
    assert len(endpoint.paths) == 1
    assert (exporter.delivered, exporter.lost, exporter.pending) == (0, 11, 0)
    assert counts.of == {("export.failures", "traces"): 1, ("telemetry.dropped", "traces", "rejected"): 11}
    exporter.shutdown()


def test_a_batch_that_is_too_large_to_send_is_not_tried_again(serve, counts, spans):
    endpoint = serve(200)
    answer = Answer()
    inner = OTLPSpanExporter(endpoint.url, max_request_size=17)
    exporter = Exporter("traces", lambda: inner, outgoing_span, counts, answer=answer)
    assert not exporter.export(spans(3))
    assert endpoint.paths == []
    assert counts.of[("telemetry.dropped", "traces", "rejected")] == 3
    exporter.shutdown()


def test_patience_ends_with_a_refusing_endpoint(counts, spans):
    exporter = exporter_to(refusing_url(), counts, patience_s=0.2)
    assert not exporter.export(spans(7))
    assert counts.of[("telemetry.dropped", "traces", "unreachable")] == 7
    assert counts.of[("export.failures", "traces")] > 1
    exporter.shutdown()


def test_the_wait_that_the_endpoint_asks_for_is_kept(serve, counts, spans):
    endpoint = serve(429, 200, headers={"Retry-After": "1"})
    exporter = exporter_to(endpoint.url, counts, timeout_s=0.3)
    started = time.monotonic()
    assert exporter.export(spans(1))
    assert time.monotonic() - started >= 1
    exporter.shutdown()


def test_an_inner_exporter_without_answers_is_tried_again_and_its_exceptions_are_failures(counts, spans):
    class Flaky:
        outcomes = iter([OSError("no"), SpanExportResult.FAILURE, SpanExportResult.SUCCESS])

        def export(self, _batch, /):
            outcome = next(self.outcomes)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        def shutdown(self):
            raise OSError("no")

    exporter = Exporter("traces", Flaky, outgoing_span, counts)
    assert exporter.export(spans(3))
    assert counts.of == {("export.failures", "traces"): 2}
    exporter.shutdown()


@pytest.mark.parametrize("scope", ["", "TRACES_"])
def test_a_session_that_is_not_ours_tells_nothing_and_a_failure_is_tried_again(counts, spans, monkeypatch, scope):
    monkeypatch.setenv(f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{scope}CREDENTIAL_PROVIDER", "vault")
    given = []

    class Flaky:
        outcomes = iter([SpanExportResult.FAILURE, SpanExportResult.SUCCESS])

        def export(self, _batch, /):
            return next(self.outcomes)

        def shutdown(self):
            pass

    def connect_flaky(_to, answer):
        given.append(answer)
        return Flaky()

    monkeypatch.setattr(otlp, "connect", connect_flaky)
    (batch,) = deliver("traces", outgoing_span, Config("agent", "http://127.0.0.1:9", False), counts, []).batches
    for span in spans(3):
        batch.on_end(span)
    assert batch.force_flush(10_000)
    assert given == [None]
    assert counts.of == {("export.failures", "traces"): 1}
    assert has_credential_provider("logs") is (scope == "")
    batch.shutdown()


def test_an_item_that_cannot_be_redacted_is_lost_and_not_sent(serve, counts, spans):
    endpoint = serve(200)

    def fragile(span):
        if span.name == "span 1":
            raise ValueError("odd")
        return outgoing_span(span)

    exporter = exporter_to(endpoint.url, counts)
    exporter._outgoing = fragile
    assert not exporter.export(spans(3))
    assert names_in(endpoint) == ["span 0", "span 2"]
    assert (exporter.delivered, exporter.lost) == (2, 1)
    exporter.shutdown()


@pytest.mark.parametrize("script", ["hang", "refuse"])
def test_shutdown_ends_a_hopeless_attempt_in_time_and_counts_what_was_in_flight(serve, counts, spans, script, until):
    url = serve("hang").url if script == "hang" else refusing_url()
    exporter = exporter_to(url, counts, timeout_s=30.0)
    batch = spans(5)
    thread = threading.Thread(target=exporter.export, args=(batch,), daemon=True)
    thread.start()
    until(lambda: exporter.pending == 5)
    started = time.monotonic()
    exporter.shutdown(timeout_s=2.0)
    assert time.monotonic() - started < 2.5
    assert (exporter.delivered, exporter.lost, exporter.pending) == (0, 5, 0)
    assert counts.of[("telemetry.dropped", "traces", "shutdown")] == 5


def test_the_log_has_one_line_a_minute_and_none_of_the_inner_exporter(counts, spans, caplog):
    caplog.set_level(logging.DEBUG)
    exporter = exporter_to(refusing_url(), counts, patience_s=0.4)
    exporter.export(spans(3))
    exporter.export(spans(3))
    exporter.shutdown()
    lines = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert [(record.name, record.levelname) for record in lines] == [("tachograph", "WARNING")]


def test_an_attribute_that_cannot_be_encoded_costs_neither_the_span_nor_the_log(serve, counts, spans, caplog):
    endpoint = serve(200)
    exporter = exporter_to(endpoint.url, counts)
    assert exporter.export(spans(1, huge=1 << 70, fine=17))
    assert names_in(endpoint) == ["span 0"]
    assert caplog.records == []
    exporter.shutdown()


def test_other_threads_still_hear_the_inner_exporter(caplog):
    log = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    inner = connect(to("http://127.0.0.1:9"), Answer())
    with delivery.quiet(inner):
        log.warning("ours")
        other = threading.Thread(target=log.warning, args=("the host's",))
        other.start()
        other.join()
    log.warning("afterwards")
    assert [record.message for record in caplog.records] == ["the host's", "afterwards"]
    inner.shutdown()


def look_up(spans):
    """Fails in a span with a secret of every kind in every place, and content of three dialects."""
    link = Link(spans.memory.get_finished_spans()[0].context, {"note": ALL_SECRETS})
    content = {"gen_ai.input.messages": ALL_SECRETS, "input.value": "verbatim", "llm.prompts.0.content": "verbatim"}
    with spans.tracer.start_as_current_span(f"look up {SECRETS['email']}", links=[link]) as span:
        span.set_attributes({"note": ALL_SECRETS, "list": [ALL_SECRETS], "app.count": 17, **content})
        span.add_event("seen", {"who": ALL_SECRETS})
        span.add_event("gen_ai.user.message", {"content": "verbatim", "gen_ai.system": "openai"})
        span.set_status(Status(StatusCode.ERROR, ALL_SECRETS))
        raise ValueError(f"no account for {ALL_SECRETS}")


def test_planted_secrets_are_in_no_exported_byte_and_the_host_keeps_its_span(serve, counts, spans):
    endpoint = serve(200)
    exporter = exporter_to(endpoint.url, counts)
    spans()
    with pytest.raises(ValueError, match="no account"):
        look_up(spans)
    span = spans.memory.get_finished_spans()[-1]
    before = span.to_json()
    assert exporter.export([span])
    text = endpoint.bodies[0]
    for secret in SECRETS.values():
        assert secret.encode() not in text
    assert b"verbatim" not in text
    assert b"no account" not in text
    assert b"ValueError" in text
    exporter_of_content = exporter_to(endpoint.url, counts, capture="redacted")
    assert exporter_of_content.export([span])
    assert b"no account for [card] [email] [ssn] [iban] [token]" in endpoint.bodies[1]
    exporter_of_content.shutdown()
    assert span.to_json() == before
    exporter.shutdown()


def test_everything_else_of_a_span_is_exported_as_the_sdk_would(serve, counts, spans):
    endpoint = serve(200)
    exporter = exporter_to(endpoint.url, counts)
    spans(1, calls=17, share=1.3, yes=True, names=["a", "b"])
    tracer = spans.tracer
    with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner") as span:
        span.add_event("seen", {"n": 11}, timestamp=13)
        span.set_status(Status(StatusCode.ERROR, "odd"))
    batch = spans.memory.get_finished_spans()
    plain = serve(200)
    connect(to(plain.url), Answer()).export(batch)
    exporter.export(batch)
    (ours,), (theirs,) = [
        [scopes for body in each.bodies for scopes in ExportTraceServiceRequest.FromString(body).resource_spans]
        for each in (endpoint, plain)
    ]
    assert (ours.scope_spans, ours.schema_url) == (theirs.scope_spans, theirs.schema_url)
    exporter.shutdown()


def test_content_that_is_turned_on_is_redacted_and_says_so(spans):
    span = spans(1, **{"gen_ai.input.messages": f"hello {SECRETS['email']}"})[0]
    assert dict(outgoing_span(span, capture="redacted").attributes) == {
        "gen_ai.input.messages": "hello [email]",
        "tachograph.content.state": "redacted",
    }
    assert dict(outgoing_span(span).attributes) == {}


def test_logs_are_redacted_and_content_events_lose_their_body(serve, counts):
    endpoint = serve(200)
    answer = Answer()
    exporter = Exporter("logs", lambda: connect(to(endpoint.url, "logs"), answer), outgoing_log, counts, answer=answer)
    processor = BatchProcessor("logs", exporter, counts, Limits(delay_s=0.01))
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("test")
    for name, body in (
        ("tachograph.budget.used", None),
        ("gen_ai.user.message", {"content": "planted"}),
        ("", ALL_SECRETS),
    ):
        logger.emit(
            LogRecord(event_name=name, body=body, severity_number=SeverityNumber.WARN, attributes={"note": ALL_SECRETS})
        )
    assert processor.force_flush(5000)
    records = [
        record
        for body in endpoint.bodies
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    redacted = f"[withheld: {len(ALL_SECRETS)} characters]"
    assert [(r.event_name, r.body.string_value, [a.value.string_value for a in r.attributes]) for r in records] == [
        ("tachograph.budget.used", "", [redacted]),
        ("gen_ai.user.message", "", []),
        ("", redacted, [redacted]),
    ]
    assert endpoint.paths[0] == "/v1/logs"
    processor.shutdown()


@pytest.mark.parametrize("script", ["hang", "refuse", 500])
def test_flush_is_honest_and_shutdown_short_whatever_the_endpoint_does(serve, counts, spans, script):
    url = refusing_url() if script == "refuse" else serve(script).url
    exporter = exporter_to(url, counts, timeout_s=30.0)
    processor = BatchProcessor("traces", exporter, counts, Limits(batch=5, delay_s=0.01))
    for span in spans(13):
        processor.on_end(span)
    assert not processor.force_flush(200)
    started = time.monotonic()
    processor.shutdown()
    assert time.monotonic() - started < 2.5
    lost = sum(count for (name, *_), count in counts.of.items() if name == "telemetry.dropped")
    assert lost == 13
    assert not processor.force_flush(200)


def test_an_endpoint_that_comes_back_within_patience_loses_nothing(serve, counts, spans):
    endpoint = serve(503, 500, "die", 200)
    exporter = exporter_to(endpoint.url, counts)
    processor = BatchProcessor("traces", exporter, counts, Limits(batch=5, delay_s=0.01))
    for span in spans(13):
        processor.on_end(span)
    assert processor.force_flush(10_000)
    assert names_in(endpoint) == [f"span {number}" for number in range(13)]
    assert (exporter.delivered, exporter.lost) == (13, 0)
    processor.shutdown()


def test_shutdown_still_delivers_to_an_endpoint_that_recovers(serve, counts, spans):
    endpoint = serve(500, 500, 200)
    exporter = exporter_to(endpoint.url, counts)
    processor = BatchProcessor("traces", exporter, counts, Limits(delay_s=30))
    for span in spans(13):
        processor.on_end(span)
    processor.shutdown()
    assert len(names_in(endpoint)) == 13
    assert exporter.lost == 0


def test_a_forked_child_makes_connections_of_its_own(serve, counts, spans):
    endpoint = serve(200)
    made = []
    answer = Answer()

    def connect_again():
        made.append(connect(to(endpoint.url), answer))
        return made[-1]

    exporter = Exporter("traces", connect_again, outgoing_span, counts, answer=answer)
    assert exporter.export(spans(2))
    exporter.after_fork()
    assert (exporter.delivered, exporter.pending, exporter.lost) == (0, 0, 0)
    assert exporter.export(spans(3))
    assert (len(made), exporter.delivered) == (2, 3)
    exporter.shutdown()
    made[0].shutdown()
