"""P02: writes that too few people approved, and approvals that approve nothing, something else, or off the record."""

from __future__ import annotations

from tachograph_analytics.detections.tables import (
    Rows,
    ended_by,
    executed,
    findings,
    granted,
    ibis,
    row,
    view,
    writes,
)

_IN_RUN = ("run_id", "call_id")
_AT = ("place", "call_id")
_SPAN = ("trace_id", "span_id")


def write_unapproved() -> Rows:
    """Writes of tier 1 or 2 that ran before as many different people as the tier says had approved the same call.

    An approval is of the call's run; for a call outside of any run, of its trace.
    """
    calls = writes(executed(view("tool_calls"))).filter(row.tier >= 1).mutate(place=row.run_id.coalesce(row.trace_id))
    approvals = granted(view("approvals"))
    of_run = approvals.filter(row.run_id.notnull()).mutate(place=row.run_id)
    approvals = of_run.union(approvals.mutate(place=row.trace_id))
    listed = (approvals.approvers.length().fill_null(0) > 0).ifelse(
        approvals.approvers, ibis.array([approvals.approver])
    )
    people = approvals.select(*_AT, asked=approvals.ts, took=approvals.duration_ms, person=listed.unnest())
    pairs = calls.select(*_AT, *_SPAN, "ts").join(people, _AT)
    before = pairs.filter(ended_by(pairs.ts, pairs.asked, pairs.took))
    counted = before.group_by(*_SPAN).agg(people=before.person.nunique())
    few = calls.left_join(counted, _SPAN).mutate(had=row.people.fill_null(0))
    few = few.filter(few.had < few.tier)
    return findings(
        few,
        "write_unapproved",
        "{tool_name} ({effect}, tier {tier}, {outcome}) ran with {had} of {tier} approvers",
    )


def approval_no_diff() -> Rows:
    """Approvals by somebody who was not shown what would change; one that does not say is not judged."""
    blind = granted(view("approvals")).filter(~row.diff_presented)
    return findings(
        blind,
        "approval_no_diff",
        "{tool_name} (tier {tier}) was {status} without a look at what would change",
    )


def approval_args_changed() -> Rows:
    """Calls that ran with other arguments than those that an approval of the same call was about."""
    calls = executed(view("tool_calls")).filter(row.arguments_hash.notnull())
    approvals = granted(view("approvals"))
    agreed = approvals.select(*_IN_RUN, agreed=approvals.arguments_hash).filter(row.agreed.notnull())
    pairs = calls.join(agreed, _IN_RUN)
    changed = pairs.filter(pairs.agreed != pairs.arguments_hash)
    # a call with two such approvals is one finding
    which = changed.group_by(*_SPAN).agg(agreed=changed.agreed.min())
    found = calls.join(which, _SPAN)
    return findings(
        found,
        "approval_args_changed",
        "{tool_name} ran with arguments {arguments_hash}, approved were {agreed}",
    )


def approval_unaudited() -> Rows:
    """Approvals that were decided, by somebody or by a clock, and of which the audit log has no entry."""
    decided = view("approvals").filter(row.status != "pending")
    missing = decided.anti_join(view("audit").filter(row.approval_id.notnull()), "approval_id")
    return findings(
        missing,
        "approval_unaudited",
        "{tool_name} (tier {tier}) was {status} and the audit log has no entry of it",
    )
