"""P03: writes that may happen twice or did, results and callers that nobody looked at."""

from __future__ import annotations

from tachograph_analytics.detections.tables import Rows, executed, findings, ibis, row, view, writes


def write_no_key() -> Rows:
    """Writes that ran without an idempotency key."""
    bare = writes(executed(view("tool_calls"))).filter(row.key_hash.isnull())
    return findings(bare, "write_no_key", "{tool_name} ({effect}) ran without an idempotency key")


def key_executed_twice() -> Rows:
    """Calls that succeeded with a tenant's key for a tool that had succeeded before, in this run or another.

    A call that does not say whether it executed or replayed is not judged.
    """
    calls = view("tool_calls")
    done = calls.filter(calls.key_hash.notnull() & (calls.outcome == "success") & (calls.key_result == "executed"))
    same = ibis.window(group_by=[done.tenant, done.tool_name, done.key_hash], order_by=[done.ts, done.span_id])
    again = done.mutate(times=ibis.row_number().over(same) + 1).filter(row.times > 1)
    return findings(
        again, "key_executed_twice", "execution {times} of {tool_name} with the key {key_hash}, which stands for one"
    )


def output_unvalidated() -> Rows:
    """Calls that succeeded and whose result was not validated."""
    calls = view("tool_calls")
    blind = calls.filter((calls.outcome == "success") & (calls.output_result.fill_null("skipped") == "skipped"))
    return findings(blind, "output_unvalidated", "the result of {tool_name} went on without validation")


def authz_skipped() -> Rows:
    """Calls that ran without code having decided on the caller's right."""
    calls = executed(view("tool_calls"))
    free = calls.filter(calls.authz.fill_null("skipped") == "skipped")
    return findings(
        free,
        "authz_skipped",
        "{tool_name} ({effect}) ran for {actor_role:an unnamed role} without authorization",
    )
