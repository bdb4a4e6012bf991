from __future__ import annotations

import re
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from tachograph.export.outgoing import (
    outgoing_attributes,
    outgoing_context,
    outgoing_labels,
    outgoing_metrics,
    outgoing_resource,
    outgoing_scope,
)
from tachograph.metrics.metrics import Metrics
from tachograph.privacy.content import CONTENT_KEYS
from tachograph.privacy.identity import identifier, name
from tachograph.privacy.redaction import CUT, Redacted, Redaction, redact, redact_json, redact_value
from tachograph.privacy.sensitive import names_secret
from tachograph.registry import instruments, load
from tachograph.registry.names import DETECTION_RULE, GEN_AI_AGENT_NAME
from tachograph.telemetry.fingerprint import fingerprint


@pytest.mark.parametrize(
    ("text", "expected", "category"),
    [
        ("pay 4111 1111 1111 1111 now", "pay [card] now", "card"),
        ("order 12 4111-1111-1111-1111", "order 12 [card]", "card"),
        ('{"card":"378282246310005"}', '{"card":"[card]"}', "card"),
        ("5555555555554444 4222222222222", "[card] [card]", "card"),
        ("6011.1111.1111.1117", "[card]", "card"),
        ("to DE89 3704 0044 0532 0130 00 PAID", "to [iban] PAID", "iban"),
        ("gb82west12345698765432.", "[iban].", "iban"),
        ("DE89370400440532013000 FR1420041010050500013M02606", "[iban] [iban]", "iban"),
        ("mail bob.o'hara+x@ex-ample.co.uk!", "mail [email]!", "email"),
        ("ü@bücher.example", "[email]", "email"),
        ("ssn 123-45-6789.", "ssn [ssn].", "ssn"),
        ("ssn 123 45 6789", "ssn [ssn]", "ssn"),
        ("SSN: 123456789", "SSN: [ssn]", "ssn"),
        ("social security number 123456789.", "social security number [ssn].", "ssn"),
        ("/find?q=1&mail=bob.o%2Bx%40example.com&n=2", "/find?q=1&mail=[email]&n=2", "email"),
        ("call +1 (555) 123-4567", "call [phone]", "phone"),
        ("call +49 30 1234567 or 555-123-4567", "call [phone] or [phone]", "phone"),
        ("(555) 123-4567", "[phone]", "phone"),
        ("sk-proj-abcdefghijklmnopqrstuv", "[token]", "token"),
        ("sk_live_51abcDEF99", "[token]", "token"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[token]", "token"),
        ("key AKIAIOSFODNN7EXAMPLE.", "key [token].", "token"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "[token]", "token"),
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer [token]", "token"),
        ('{"password": "hunter2x"}', '{"password": "[token]"}', "token"),
        ("OPENAI_API_KEY=9f8e7d6c5b4a3928", "OPENAI_API_KEY=[token]", "token"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtn/K7MD+bPx", "AWS_SECRET_ACCESS_KEY=[token]", "token"),
        ("DB_PASSWORD: hunter2hunter2 DB_PASS=hunter2", "DB_PASSWORD: [token] DB_PASS=[token]", "token"),
        (
            "clientSecret=abcdef123456, userPassword => 'x1y2z3'",
            "clientSecret=[token], userPassword => '[token]'",
            "token",
        ),
        ("password='correct horse battery', n=1", "password='[token]', n=1", "token"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [token]", "token"),
        ("curl -H 'Basic dXNlcjpwYXNzdzE='", "curl -H 'Basic [token]'", "token"),
        ("auth_token: Bearer abcdef123456", "auth_token: Bearer [token]", "token"),
        ("postgres://app:s3cr3t@localhost/db", "postgres://app:[token]@localhost/db", "token"),
        ("redis://:p@ss:w@internal:6379", "redis://:[token]@internal:6379", "token"),
        ('{"token": "abcdef123456", "n": 1}', '{"token": "[token]", "n": 1}', "token"),
        ('{\\"password\\": \\"hunter2x\\", \\"n\\": 1}', '{\\"password\\": \\"[token]\\", \\"n\\": 1}', "token"),
        ('{"password": "a\\"b cdef", "n": 1}', '{"password": "[token]", "n": 1}', "token"),
        ("SG.abcdefghijklmnop.qrstuvwxyz0123456789", "[token]", "token"),
        ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "[token]", "token"),
        ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIx.c2ln", "[token]", "token"),
        ("4111\u20111111\u20111111\u20111111", "[card]", "card"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE+/=\n-----END RSA PRIVATE KEY-----", "[token]", "token"),
    ],
)
def test_a_secret_becomes_its_kind(text, expected, category):
    assert redact(text) == Redacted(expected, (category,))


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # Luhn digit is wrong
        "1732435200000000000",  # nanoseconds since 1970
        "9111111111111111",  # no card scheme begins with 9
        "GB82WEST12345698765433",  # check digits are wrong
        "XX82 WEST 1234 5698 7654 32",  # no such country
        "pkg@1.2.3",
        "@decorator",
        "000 45 6789",
        "order 123456789",
        "a%40b",
        "2026-11-24T10:00:00Z",
        "550e8400-e29b-41d4-a716-446655440000",
        "risk-assessment-for-customers-abroad",
        "10.0.0.1",
        "gpt-4o-2024-11-20",
        "555 1234",
        "max_tokens: 100000",
        "the password is wrong",
        "basic authorization: granted",
        "Basic arithmetic",
        "http://internal:8080/@scope/package",
        "idempotency_key: 7c6b5a",
        "SG.short.er",
        "",
    ],
)
def test_what_only_looks_like_one_stays(text):
    assert redact(text) == Redacted(text)


def test_several_kinds_are_all_named():
    found = redact("bob@example.com paid with 4111111111111111 from 123-45-6789")
    assert found == Redacted("[email] paid with [card] from [ssn]", ("card", "email", "ssn"))


def test_long_texts_are_cut_and_a_secret_on_the_border_is_not_halved():
    redaction = Redaction(max_length=100)
    for before in range(80, 105):
        found = redact("x" * before + " 4111111111111111 " + "y" * 1000, redaction).text
        assert len(found) <= 100 + len(CUT)
        assert not re.search(r"\d{2}", found)
        assert found.endswith(CUT)


def test_own_patterns_and_content_keys_are_added():
    redaction = Redaction(
        patterns=(("booking", re.compile(r"\bPNR[A-Z0-9]{6}\b")),), content_keys=("app.note", "app.mail.*")
    )
    assert redact("see PNRAB12CD", redaction) == Redacted("see [booking]", ("booking",))
    attributes = {"app.note": "x", "app.mail.body": "y", "app.mailbox": "PNRAB12CD"}
    assert outgoing_attributes(attributes, capture="off", redaction=redaction) == {"app.mailbox": "[booking]"}


def test_content_of_every_dialect_is_dropped_unless_it_is_on():
    keys = {key.replace(".*", ".13.text"): "mail bob@example.com" for key in CONTENT_KEYS}
    kept = {"gen_ai.prompt.name": "refund", "gen_ai.request.model": "gpt-4o", "tool_name": "find"}
    assert outgoing_attributes({**keys, **kept}, capture="off") == kept
    assert outgoing_attributes({**keys, **kept}, capture="redacted") == {**dict.fromkeys(keys, "mail [email]"), **kept}


def test_numbered_messages_are_content_whatever_their_number():
    assert outgoing_attributes({"gen_ai.prompt.17.content": "hi", "gen_ai.completion.0.role": "a"}, capture="off") == {}


def test_lists_mappings_and_bytes_are_redacted_and_numbers_are_not_touched():
    attributes = {
        "list": ["bob@example.com", 11, 1.3, True],
        "map": {"bob@example.com": {"deep": ("123-45-6789",)}},
        "bytes": b"bob@example.com",
        "none": None,
        "count": 4111111111111111,
    }
    assert outgoing_attributes(attributes, capture="redacted") == {
        "list": ("[email]", 11, 1.3, True),
        "map": {"[email]": {"deep": ("[ssn]",)}},
        "bytes": b"[email]",
        "none": None,
        "count": 4111111111111111,
    }


def test_identifiers_that_join_telemetry_stay_whole_and_one_with_a_secret_is_always_the_same_hash():
    attributes = {
        "tachograph.run.id": "run_00c0ffee00c0ffee",
        "gen_ai.conversation.id": "desk/7",
        "tachograph.tenant.id": "bob@example.com",
        "tachograph.tool.documents": ["faq-13", "bob@example.com", "eve@example.com"],
    }
    bob, eve = (f"hashed_{fingerprint(mail)}" for mail in ("bob@example.com", "eve@example.com"))
    assert outgoing_attributes(attributes) == {
        "tachograph.run.id": "run_00c0ffee00c0ffee",
        "gen_ai.conversation.id": "desk/7",
        "tachograph.tenant.id": bob,
        "tachograph.tool.documents": ("faq-13", bob, eve),
    }
    keyed = outgoing_attributes(attributes, redaction=Redaction(hash_key=b"k13"))
    assert keyed["tachograph.tenant.id"] == f"hashed_{fingerprint('bob@example.com', b'k13')}" != bob


def test_a_hashed_identifier_is_not_hashed_again():
    once = identifier("bob@example.com")
    assert (identifier(once), identifier("4111111111111111")) == (once, f"hashed_{fingerprint('4111111111111111')}")


@pytest.mark.parametrize(
    "person",
    ["jane", "507f1f77bcf86cd799439011", "9e26471d35a78862c17e467d87cddedf", "hashed_00c0ffee00c0ffee", "\ud800"],
)
def test_persons_are_hashed_whatever_their_id_is(person):
    attributes = {"user.id": person, "enduser.id": person, "user.roles": ("clerk",)}
    hashed = fingerprint(person, b"k13")
    redaction = Redaction(hash_key=b"k13")
    assert outgoing_attributes(attributes, capture="full", redaction=redaction) == {
        "user.id": hashed,
        "enduser.id": hashed,
        "user.roles": ("clerk",),
    }
    assert outgoing_labels({"user.id": person}, redaction) == {"user.id": hashed}


def test_hashes_of_ours_are_not_hashed_again():
    ours = dict.fromkeys(("tachograph.user.hash", "tachograph.approval.approver.hash"), "00c0ffee00c0ffee")
    assert outgoing_attributes(ours, redaction=Redaction(hash_key=b"k13")) == ours


def test_a_scope_is_redacted_and_one_without_secrets_is_the_same():
    scope = InstrumentationScope(
        "desk", "1.3", "https://schema.example", {"owner": "bob@example.com", "user.id": "jane"}
    )
    sent = outgoing_scope(scope, Redaction(hash_key=b"k13"))
    hashed = fingerprint("jane", b"k13")
    assert sent == InstrumentationScope("desk", "1.3", scope.schema_url, {"owner": "[email]", "user.id": hashed})
    assert outgoing_scope(InstrumentationScope("desk \ud800")) == InstrumentationScope("desk ?")
    plain = InstrumentationScope("desk")
    assert (outgoing_scope(plain), outgoing_scope(None)) == (plain, None)


def test_a_trace_state_loses_what_holds_a_secret():
    state = TraceState([("vendor", "a13"), ("who", "bob@example.com")])
    sent = outgoing_context(SpanContext(11, 13, True, TraceFlags(1), state))
    assert sent == SpanContext(11, 13, True, TraceFlags(1), TraceState([("vendor", "a13")]))
    clean = SpanContext(11, 13, False, TraceFlags(1), TraceState([("vendor", "a13")]))
    assert outgoing_context(clean) is clean


def test_half_a_surrogate_pair_is_replaced_and_a_whole_character_is_not():
    assert redact("a\ud800b 😀 ü").text == "a?b 😀 ü"
    assert (name("\udfff"), identifier("run \ud800")) == ("?", "run ?")
    raw = {"gen_ai.input.messages": "\ud800 bob@example.com"}
    assert outgoing_attributes(raw, capture="full") == {"gen_ai.input.messages": "? bob@example.com"}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in ("password", "dbPassword", "X-Api-Key", "--token", "client_secret", "APIKEY",
                                    "http.header.authorization", "Set-Cookie", "cvv", "card_number", "AWS_SECRET_KEY")),
        *((name, False) for name in ("input_tokens", "token_count", "key", "monkey", "password_hash", "author", "", "7",
                                     "tachograph.cache.key.parts", "gen_ai.usage.output_tokens")),
    ],
)  # fmt: skip
def test_what_stands_behind_the_name_of_a_secret_is_one(name, is_one):
    assert redact_value({name: "abc", "inside": {name: ["abc", 11]}}) == {
        name: "[secret]" if is_one else "abc",
        "inside": {name: "[secret]" if is_one else ("abc", 11)},
    }
    assert redact_value({name: None, "inside": {name: True}}) == {name: None, "inside": {name: True}}


def test_no_attribute_of_the_registry_has_the_name_of_a_secret():
    assert [name for name in load().attributes if names_secret(name)] == []


def test_headers_and_arguments_are_pairs_of_name_and_value():
    headers = [("Authorization", "abc"), ["accept", "json"], {"name": "Cookie", "value": "abc"}]
    assert redact_value(headers) == (
        ("Authorization", "[secret]"),
        ("accept", "json"),
        {"name": "Cookie", "value": "[secret]"},
    )
    assert redact_value(["curl", "--token", "abc", "-v", "url"]) == ("curl", "--token", "[secret]", "-v", "url")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"pin": 1311, "say": "mail bob@example.com"}', '{"pin": "[secret]", "say": "mail [email]"}'),
        ('[{"role": "user", "cookie": "ab"}]', '[{"role": "user", "cookie": "[secret]"}]'),
        ('{"pin": 13', '{"pin": 13'),
        ("{not json, bob@example.com}", "{not json, [email]}"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_json_is_redacted_by_its_keys_and_what_is_none_as_text(text, expected):
    assert redact_json(text) == expected


@pytest.mark.parametrize(
    "unit",
    ["a", "a.", "a@", "b.", "1", "4111 ", "11-", "DE89 ", "eyJ", "eyJaaaaaaaa.", "bearer ", "password=", "+1", "1 ",
     "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "(555) ", "555-", "sk-", " ", "\u00e9", "-", "\\", "token", "token=",
     "token=\\", 'token="', "token='a", r'token=\"a', "_pass=", "secret: ", "api_", "://", "://a:", "://a:b", "SG.",
     "SG.aaaaaaaaaaaaaaaa-", "-SG", "-eyJ", "_eyJaaaaaaaa", "-eyJaaaaaaaa.", "npm_", "Basic ", "Basic aaaaaaaa",
     "authorization: basic ", "%40", "a%40", "a%", "ssn ", "social security "],
)  # fmt: skip
def test_time_grows_with_the_text_and_not_with_its_square(unit):
    redaction = Redaction(max_length=10**7)
    million = ("x@" if unit == "b." else "") + unit * (10**6 // len(unit))

    def seconds(text: str) -> float:
        started = time.process_time()
        redact(text, redaction)
        return time.process_time() - started

    small = max(min(seconds(million[: 10**6 // 16]) for _ in range(2)), 2e-3)
    assert seconds(million) < 16 * 4 * small  # a quadratic pattern takes 256 times as long


def test_a_resource_is_redacted_once_and_the_host_keeps_its_own():
    own = {"service.name": "agent", "owner": "bob@example.com", "note": "password=hunter2x", "process.pid": 1311}
    resource = Resource(own, "https://schema.example/1.3")
    sent = outgoing_resource(resource)
    assert dict(sent.attributes) == {
        "service.name": "agent",
        "owner": "[email]",
        "note": "password=[token]",
        "process.pid": 1311,
    }
    assert sent.schema_url == "https://schema.example/1.3"
    assert dict(resource.attributes) == own
    assert outgoing_resource(resource) is sent
    assert outgoing_resource(Resource({"owner": "eve"})) is not sent


def test_labels_of_metrics_are_redacted():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics = Metrics(provider.get_meter("test"))
    for rule in ("PII_FOUND", "password=hunter2hunter2"):
        metrics.record(
            instruments.DETECTIONS,
            13,
            {GEN_AI_AGENT_NAME: "bob@example.com", DETECTION_RULE: rule, "other": "left out"},
        )
    data = reader.get_metrics_data()
    points = [p for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics for p in m.data.data_points]
    assert [dict(point.attributes) for point in points] == [
        {GEN_AI_AGENT_NAME: "[email]", DETECTION_RULE: "PII_FOUND"},
        {GEN_AI_AGENT_NAME: "[email]", DETECTION_RULE: "password=[token]"},
    ]
    provider.shutdown()


def test_labels_of_the_hosts_own_metrics_stay_apart_when_they_are_hashed():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], Resource({"owner": "bob@example.com"}), shutdown_on_exit=False)
    counter = provider.get_meter("host").create_counter("orders")
    for mail, orders in (("bob@example.com", 11), ("eve@example.com", 13), ("none", 17)):
        counter.add(orders, {"customer": mail})
    (sent,) = outgoing_metrics(reader.get_metrics_data()).resource_metrics
    points = sent.scope_metrics[0].metrics[0].data.data_points
    assert {point.attributes["customer"]: point.value for point in points} == {
        identifier("bob@example.com"): 11,
        identifier("eve@example.com"): 13,
        "none": 17,
    }
    assert sent.resource.attributes == {"owner": "[email]"}
    assert outgoing_labels({"bob@example.com": 7}) == {"[email]": 7}
    (keyed,) = outgoing_metrics(reader.get_metrics_data(), Redaction(hash_key=b"k13")).resource_metrics
    customers = [point.attributes["customer"] for point in keyed.scope_metrics[0].metrics[0].data.data_points]
    assert customers == [identifier("bob@example.com", b"k13"), identifier("eve@example.com", b"k13"), "none"]
    provider.shutdown()
