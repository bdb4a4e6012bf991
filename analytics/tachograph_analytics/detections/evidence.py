"""P04: claims that rest on nothing."""

from __future__ import annotations

from tachograph_analytics.detections.tables import Rows, findings, ibis, row, view


def evidence_unresolved() -> Rows:
    """Evidence that points at no tool call or document of its run, at nothing at all, or has no producer or time.

    What the hook recorded as its resolution is not asked: the run's tool calls and their documents are.
    """
    calls = view("tool_calls")
    ids = calls.select("run_id", ref=calls.call_id, type=ibis.literal("tool_call"))
    documents = calls.select("run_id", ref=calls.documents.unnest(), type=ibis.literal("document"))
    there = ids.union(documents).filter(row.ref.notnull()).distinct()
    cited = view("evidence")
    joined = cited.left_join(
        there, [cited.run_id == there.run_id, cited.source_ref == there.ref, cited.source_type == there.type]
    )
    pointing = joined.source_type.isin(("tool_call", "document"))
    dangling = pointing & joined.ref.isnull()
    groundless = (joined.source_type == "none") | joined.source_type.isnull()
    unsigned = (joined.producer.fill_null("") == "") | (joined.produced_at.fill_null("") == "")
    why = ibis.cases(
        (dangling, "names nothing that the run has"),
        (groundless, "rests on nothing"),
        else_="has no producer or no time",
    )
    bad = joined.mutate(why=why).filter(dangling | groundless | unsigned)
    return findings(
        bad, "evidence_unresolved", "the evidence for claim {claim} ({source_type}: {source_ref:no reference}) {why}"
    )
