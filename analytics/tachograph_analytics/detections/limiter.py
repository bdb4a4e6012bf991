"""P07: limits that give way under load."""

from __future__ import annotations

from tachograph_analytics.detections.tables import Rows, findings, ibis, microseconds, view


def limit_raised_saturated() -> Rows:
    """Calls that found an agent's limiter with a higher limit than the call before, which had found it full.

    Calls stand in the order in which they asked, not in that in which they got in.
    """
    waits = view("limiter_waits")
    since_1970 = microseconds(ibis.timestamp("1970-01-01T00:00:00"), waits.ts)
    waits = waits.mutate(asked=since_1970 - waits.wait_s.fill_null(0.0) * 1e6)
    line = ibis.window(group_by=[waits.agent, waits.limiter], order_by=[waits.asked, waits.ts, waits.span_id])
    waits = waits.mutate(limit_before=waits.limit_value.lag().over(line), in_use_before=waits.in_use.lag().over(line))
    raised = waits.filter((waits.in_use_before >= waits.limit_before) & (waits.limit_value > waits.limit_before))
    return findings(
        raised,
        "limit_raised_saturated",
        "the limit of {limiter} went from {limit_before} to {limit_value} while {in_use_before} calls were inside",
    )
