"""P02: who approved what, after how long, seen what, and on which record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tachograph
from tachograph.telemetry.fingerprint import fingerprint
from tachograph.testing import EPOCH, SteppingClock, recording

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_two_people_approve_and_the_decision_is_on_record():
    with recording() as recorded, tachograph.run(tier=2):
        with tachograph.approval("pay", tier=2, arguments={"amount": 1300}) as ask:
            ask.shown({"balance": [13, 1313]})
            ask.approve("eve", role="clerk")
            ask.approve("bob", role="supervisor")
            ask.approve("eve", role="clerk")
    (span,) = recorded.spans("approval")
    (audit,) = recorded.events("tachograph.audit.recorded")
    people = [fingerprint("eve"), fingerprint("bob")]
    assert span["attributes"]["tachograph.approval.approvers"] == people
    assert span["attributes"]["tachograph.approval.mode"] == "dual"
    assert span["attributes"]["tachograph.audit.id"] == audit["attributes"]["tachograph.audit.id"]
    assert audit["attributes"] == {
        "gen_ai.tool.call.id": span["attributes"]["gen_ai.tool.call.id"],
        "gen_ai.tool.name": "pay",
        "tachograph.approval.approver.hash": people[0],
        "tachograph.approval.approver.role": "clerk",
        "tachograph.approval.approvers": people,
        "tachograph.approval.diff.hash": span["attributes"]["tachograph.approval.diff.hash"],
        "tachograph.approval.diff.presented": True,
        "tachograph.approval.mode": "dual",
        "tachograph.approval.id": ask.id,
        "tachograph.approval.status": "approved",
        "tachograph.audit.action": "approval",
        "tachograph.audit.id": audit["attributes"]["tachograph.audit.id"],
        "tachograph.tool.arguments.hash": fingerprint({"amount": 1300}),
        "tachograph.tool.tier": 2,
    }
    assert "eve" not in str(recorded.spans()) + str(recorded.events())


def test_a_request_without_a_decision_is_pending_and_no_error():
    with recording() as recorded, tachograph.approval("pay"):
        assert recorded.metric("tachograph.approval.pending") == 1
    assert recorded.values("approval", "tachograph.approval.status") == ["pending"]
    assert recorded.spans()[0]["status"] == "UNSET"
    assert recorded.metric("tachograph.approval.pending") == 0
    assert recorded.metric("tachograph.audit.entries") == 0


def test_the_wait_is_measured_across_a_restart():
    with recording(clock=SteppingClock(step=0)) as recorded:
        with tachograph.approval("pay", id="approval_13", requested_at=EPOCH / 1e9 - 3600) as ask:
            ask.approve("eve")
    assert recorded.values("approval", "tachograph.approval.id") == ["approval_13"]
    assert recorded.values("approval", "tachograph.approval.wait") == [3600.0]


def test_changed_arguments_are_a_finding_and_the_approved_ones_are_none():
    with recording() as recorded, tachograph.run():
        for approved, executed in (({"amount": 13}, {"amount": 13}), ({"amount": 13}, {"amount": 1300})):
            with tachograph.approval("pay", arguments=approved) as ask:
                ask.shown("13")
                ask.approve("eve")
            with tachograph.tool("pay", effect="write", arguments=executed, idempotency_key=str(executed)):
                pass
    assert recorded.detections() == {"approval_args_changed": 1}


class BrokenAuditLog:
    def append(self, entry: Mapping[str, object]) -> None:
        raise OSError("disk full")


def test_a_failing_audit_log_is_counted_and_the_approval_unaudited():
    with recording(audit_log=BrokenAuditLog()) as recorded, tachograph.approval("pay") as ask:
        ask.shown("diff")
        ask.approve("eve")
    assert recorded.values("approval", "tachograph.audit.id") != [None]  # the id of an entry that is nowhere
    assert recorded.events("tachograph.audit.recorded") == []
    assert recorded.metric("tachograph.audit.entries", tachograph_audit_result="failed") == 1
    assert recorded.detections() == {"approval_unaudited": 1}


def test_a_batch_is_approved_first_and_run_then_in_any_order():
    with recording() as recorded, tachograph.run():
        for amount in (13, 17):
            with tachograph.approval("pay", arguments={"amount": amount}) as ask:
                ask.shown(amount)
                ask.approve("eve")
        for amount in (17, 13):
            with tachograph.tool("pay", effect="write", arguments={"amount": amount}, idempotency_key=str(amount)):
                pass
    assert recorded.detections() == {}


def test_a_resumed_run_does_not_judge_what_its_first_part_saw():
    def pay() -> None:
        with tachograph.tool("pay", effect="write", call_id="call-13", idempotency_key="k-13"):
            pass

    with recording() as recorded:
        with tachograph.run() as first:
            with tachograph.approval("pay", call_id="call-13") as ask:
                ask.shown("13")
                ask.approve("eve")
            first.suspend()
        with tachograph.run(id=first.id):
            pay()
        assert recorded.detections() == {}
        with tachograph.run():
            pay()
    assert recorded.detections()["write_unapproved"] == 1


def test_a_write_outside_of_any_run_is_judged_too():
    with recording() as recorded:
        with tachograph.approval("pay") as ask:
            ask.shown("13")
            ask.approve("eve")
        with tachograph.tool("pay", effect="write", idempotency_key="k-13"):
            pass
    assert recorded.detections() == {"write_unapproved": 1}
