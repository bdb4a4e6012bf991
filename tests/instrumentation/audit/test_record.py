"""What the hooks put on record, and what the telemetry says of it."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import tachograph
from tachograph.audit.record import keep
from tachograph.audit.verify import verify
from tachograph.export.outgoing import outgoing_attributes
from tachograph.registry import names as n
from tachograph.testing import recording

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EVENT = "tachograph.audit.recorded"


def on_record(recorded, *names):
    return [tuple(event["attributes"].get(name) for name in names) for event in recorded.events(EVENT)]


def approve(tool="pay", by="eve"):
    with tachograph.approval(tool, arguments={"amount": 13}) as ask:
        ask.shown("13 USD")
        ask.approve(by, role="clerk")


def test_each_decision_is_on_record_and_a_request_without_one_is_not():
    with recording() as recorded, tachograph.run():
        approve()
        with tachograph.approval("pay") as ask:
            ask.reject("bob")
        with tachograph.approval("pay") as ask:
            ask.decide("expired")
        with tachograph.approval("other"):
            pass
    assert on_record(recorded, n.AUDIT_ACTION, n.APPROVAL_STATUS) == [
        ("approval", "approved"),
        ("approval", "rejected"),
        ("approval", "expired"),
    ]
    assert recorded.metric("tachograph.audit.entries", tachograph_audit_result="recorded") == 3


def test_a_write_of_a_tier_is_on_record_and_a_read_is_not():
    with recording() as recorded, tachograph.run():
        with tachograph.tool("pay", effect="write", arguments={"amount": 13}, idempotency_key="k-13"):
            pass
        with tachograph.tool("note", effect="write", tier=0), tachograph.tool("look"):
            pass
    ((action, tool, effect, outcome, arguments, key),) = on_record(
        recorded,
        n.AUDIT_ACTION,
        n.GEN_AI_TOOL_NAME,
        n.TOOL_EFFECT,
        n.TOOL_OUTCOME,
        n.TOOL_ARGUMENTS_HASH,
        n.TOOL_IDEMPOTENCY_KEY_HASH,
    )
    assert (action, tool, effect, outcome) == ("write", "pay", "write", "success")
    assert len(arguments) == len(key) == 16


def test_a_gate_is_on_record_with_what_it_saw():
    with recording() as recorded:
        tachograph.gate("golden", verdict="fail", decision="hold", samples=117, observed=0.91, threshold=0.95)
    names = (n.AUDIT_ACTION, n.GATE_NAME, n.GATE_VERDICT, n.GATE_DECISION, n.GATE_SAMPLES, n.GATE_OBSERVED)
    assert on_record(recorded, *names) == [("gate", "golden", "fail", "hold", 117, 0.91)]


def test_a_limit_that_is_raised_while_it_is_full_is_an_override_and_one_that_is_kept_is_none():
    with recording() as recorded, tachograph.run():
        with tachograph.limiter("api", limit=1) as inside:
            inside.acquired()
            for limit in (1, 1, 2, 2):
                with tachograph.limiter("api", limit=limit):
                    pass
    assert on_record(recorded, n.AUDIT_ACTION, n.LIMITER_NAME, n.LIMITER_LIMIT) == [("override", "api", 2)]


def test_a_policy_is_on_record_when_it_changes_and_named_by_what_follows():
    with recording() as recorded, tachograph.run():
        approve()
        tachograph.policy("refunds", "7")
        tachograph.policy("refunds", "7")
        tachograph.policy("pii", "2026-11")
        approve()
        tachograph.policy("refunds", "8")
        tachograph.gate("golden", verdict="pass", decision="promote", samples=13, observed=1.0)
    assert on_record(recorded, n.AUDIT_ACTION, n.POLICY_NAME, n.POLICY_VERSION, n.POLICY_VERSIONS) == [
        ("approval", None, None, None),
        ("policy", "refunds", "7", ["refunds=7"]),
        ("policy", "pii", "2026-11", ["pii=2026-11", "refunds=7"]),
        ("approval", None, None, ["pii=2026-11", "refunds=7"]),
        ("policy", "refunds", "8", ["pii=2026-11", "refunds=8"]),
        ("gate", None, None, ["pii=2026-11", "refunds=8"]),
    ]


def test_a_policy_before_instrument_does_nothing():
    assert tachograph.policy("refunds", "7") is None


class Refusing:
    def append(self, entry: Mapping[str, object]) -> None:
        raise ConnectionError


def test_an_approval_off_the_record_is_a_finding_of_its_own_agent_and_a_write_is_none():
    """In a thread of its own the writer knows no run: the entry says whose it is."""
    with recording("process") as recorded:
        keep(recorded.recorder, audit_log=Refusing())
        with tachograph.run("desk"):
            approve()
        with tachograph.run("shop"), tachograph.tool("pay", effect="write", idempotency_key="k"):
            pass
        assert recorded.recorder.audit is not None
        recorded.recorder.audit.close(time.monotonic() + 10)
    assert recorded.events(EVENT) == []
    assert recorded.detections("desk") == {"approval_unaudited": 1}
    assert "approval_unaudited" not in recorded.detections("shop")
    labels = {"tachograph_audit_result": "failed"}
    assert recorded.metric("tachograph.audit.entries", gen_ai_agent_name="desk", **labels) == 1
    assert recorded.metric("tachograph.audit.entries", gen_ai_agent_name="shop", **labels) == 1


def test_the_event_has_the_entrys_own_time_and_the_hooks_span(tmp_path: Path):
    with recording() as recorded:
        keep(recorded.recorder, folder=tmp_path)
        with tachograph.run():
            approve()
        assert recorded.recorder.audit is not None
        recorded.recorder.audit.close(time.monotonic() + 10)
    (span,) = [span for span in recorded.sdk_spans() if span.name == "approval pay"]
    (log,) = [data.log_record for data in recorded.log_exporter.get_finished_logs()]
    assert span.context is not None
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)
    assert span.start_time < log.timestamp == log.observed_timestamp
    assert span.attributes[n.AUDIT_ID] == log.attributes[n.AUDIT_ID]
    assert log.attributes[n.LOG_RECORD_UID] == log.attributes[n.AUDIT_HASH][:32]
    (path,) = tmp_path.glob("*.jsonl")
    assert verify(path, None, {path.stem: {1: log.attributes[n.AUDIT_HASH]}}).stored == 1


def test_two_recordings_of_the_same_are_the_same():
    seen = []
    for _ in range(2):
        with recording() as recorded, tachograph.run():
            approve()
        seen.append([data.log_record.attributes for data in recorded.log_exporter.get_finished_logs()])
    assert seen[0] == seen[1]
    assert seen[0][0][n.AUDIT_SEQUENCE] == 1


def test_hashes_and_ids_of_entries_leave_the_process_as_they_are():
    """Among thousands of hashes are some whose digits look like a card's: the store must still fit the file."""
    looks_like_a_card = f"{'a' * 8}-4111111111111111".replace("-", "b" * 8) + "c" * 32
    approval_id = "approval_01a0240439e3000000000000053a053a"
    said = {n.AUDIT_HASH: looks_like_a_card, n.AUDIT_PREVIOUS: looks_like_a_card, n.APPROVAL_ID: approval_id}
    for number in range(3_000):
        said[n.LOG_RECORD_UID] = hashlib.sha256(b"%d" % number).hexdigest()[:32]
        said[n.AUDIT_HASH] = hashlib.sha256(b"%d" % number).hexdigest()
        assert outgoing_attributes(said) == said
