"""Runs of a plain agent that wait for a decision, and the process that goes on with what the agent itself kept."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from instrumentation.plain.agents.payer import ApprovalPending, Decision, Mail, Payer, Pending

from tachograph.registry import names as n
from tachograph.testing import EPOCH, SteppingClock, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.testing import Recorded

DAY = 86_400.0


def over_a_restart(hook: Callable[..., Any], decision: Decision) -> tuple[Recorded, Recorded]:
    """What two processes record: the agent keeps its request as bytes."""
    hook(Payer)
    clock = SteppingClock(step=0)
    with recording("desk", clock=clock) as first:
        kept = Payer().handle(Mail("mail-13", 117))
        kept.requested_at = EPOCH / 1e9
        stored = pickle.dumps(kept)
    clock.advance(DAY)
    with recording("desk", clock=clock) as later:
        Payer().resume(pickle.loads(stored), decision)  # noqa: S301 - our own
    return first, later


def values(recorded: Recorded, kind: str, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(recorded.values(kind, name) for name in names), strict=True))


def test_both_parts_are_one_run_and_one_request_with_its_wait(hook):
    first, later = over_a_restart(hook, Decision("approved", "eve"))
    (waits,) = values(first, "run", n.RUN_ID, n.RUN_SUSPENDED, n.RUN_OUTCOME)
    (ends,) = values(later, "run", n.RUN_ID, n.RUN_SUSPENDED, n.RUN_OUTCOME)
    assert waits[0] == ends[0]
    assert (waits[1:], ends[1:]) == ((True, None), (None, "success"))
    asked = values(first, "approval", n.APPROVAL_ID, n.APPROVAL_STATUS, n.APPROVAL_WAIT, n.GEN_AI_TOOL_NAME)
    decided = values(later, "approval", n.APPROVAL_ID, n.APPROVAL_STATUS, n.APPROVAL_WAIT, n.GEN_AI_TOOL_NAME)
    assert asked == [("ask-mail-13", "pending", None, "pay")]
    assert decided == [("ask-mail-13", "approved", DAY, "pay")]
    assert [span["name"] for span in later.spans()] == ["approval pay", "execute_tool pay", "invoke_agent desk"]
    assert {span["status"] for span in (*first.spans(), *later.spans())} == {"UNSET"}


def test_the_queue_is_empty_over_both_processes_and_the_sums_of_a_part_are_not_the_runs(hook):
    first, later = over_a_restart(hook, Decision("approved", "eve"))
    names = ("tachograph.approval.requests", "tachograph.approval.pending", "tachograph.approval.decisions")
    assert [first.metric(name) + later.metric(name) for name in names] == [1, 0, 1]
    assert [(one.metric("tachograph.runs"), one.metric("tachograph.run.duration")) for one in (first, later)] == [
        (0, 0),
        (1, 0),
    ]
    assert "write_unapproved" not in later.detections()


@pytest.mark.parametrize(
    ("status", "outcome"), [("rejected", "refused"), ("expired", "escalated"), ("cancelled", "success")]
)
def test_a_no_is_no_failure(status, outcome, hook):
    _, later = over_a_restart(hook, Decision(status, "eve"))
    assert later.values("approval", n.APPROVAL_STATUS) == [status]
    assert later.values("run", n.RUN_OUTCOME) == [outcome]


def test_a_pause_that_is_an_exception_is_no_failure(hook, recorded):
    hook(Payer)
    payer = Payer()
    payer.raises = True
    with pytest.raises(ApprovalPending):
        payer.handle(Mail("mail-17", 11))
    assert recorded.values("run", n.RUN_SUSPENDED) == [True]
    assert recorded.values("approval", n.APPROVAL_STATUS) == ["pending"]
    assert {span["status"] for span in recorded.spans()} == {"UNSET"}


def test_an_agent_that_resumes_nothing_does_not_wait_and_its_runs_are_apart(hook, recorded):
    class Asker:
        def handle(self, mail: Mail) -> Pending:
            return self.request_approval("pay", {})

        def request_approval(self, tool: str, args: dict[str, object]) -> Pending:
            return Pending("ask-1", "mail-13", tool, args)

    hook(Asker)
    for _ in range(2):
        Asker().handle(Mail("mail-13", 13))
    assert recorded.values("run", n.RUN_SUSPENDED) == [None, None]
    assert len(set(recorded.values("run", n.RUN_ID))) == 2
    assert recorded.metric("tachograph.approval.pending") == 0


def test_runs_of_an_agent_that_resumes_are_judged_and_whole_where_they_do_not_wait(hook, recorded):
    class Hasty(Payer):
        def handle(self, mail: Mail) -> Any:
            return self.call_tool("pay", {"amount": mail.amount}, idempotency_key=mail.request_id)

        def resume(self, question: str) -> str:
            return question

    for covered in ("approval", "tool.effect", "tool"):
        recorded.recorder.cover(covered)
    hook([Payer, Hasty])
    Hasty().handle(Mail("mail-19", 19))
    assert recorded.detections()["write_unapproved"] == 1
    assert recorded.metric("tachograph.run.duration") == 1
    Hasty().resume("content")  # without a request: a run of its own
    assert recorded.metric("tachograph.runs") == 2
    assert len(set(recorded.values("run", n.RUN_ID))) == 2
