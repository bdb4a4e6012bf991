"""P01: tools without a checkpoint before them, checkpoints that nothing enforces, content that nobody redacted."""

from __future__ import annotations

import re
from typing import Final

from tachograph.privacy.content import CONTENT_KEYS
from tachograph.registry import load, names
from tachograph_analytics.detections.tables import Rows, ended_by, executed, findings, ibis, row, view


def tool_unchecked() -> Rows:
    """Tool calls that ran without a pre_tool checkpoint of the same run and call that had ended before they began.

    A checkpoint that denied is none: what each guardrail said last counts. A call for which an earlier part of the run
    asked approval, and which has another id in this part, counts with what had looked at that request.
    """
    calls = executed(view("tool_calls").filter(row.run_id.notnull()))
    checks = view("checkpoints").filter(row.stage == "pre_tool")
    checks = checks.select(
        "run_id",
        "call_id",
        "decision",
        guardrail=row["name"].fill_null("a checkpoint"),
        asked=row.ts,
        took=row.duration_ms,
    )
    own = calls.select("run_id", "call_id", "trace_id", "span_id", "ts")
    pairs = own.union(_as_requested(calls)).join(checks, ["run_id", "call_id"])
    before = pairs.filter(ended_by(pairs.ts, pairs.asked, pairs.took))
    last = before.group_by("trace_id", "span_id", "guardrail").agg(
        denied=(before.decision == "deny").argmax(before.asked)
    )
    verdict = last.group_by("trace_id", "span_id").agg(
        checks=last.count(), denier=last.guardrail.max(where=last.denied)
    )
    judged = calls.left_join(verdict, ["trace_id", "span_id"]).filter(row.checks.isnull() | row.denier.notnull())
    denied = row.denier + " had denied it"
    judged = judged.mutate(why=row.denier.isnull().ifelse("no checkpoint had looked at it", denied))
    return findings(judged, "tool_unchecked", "{tool_name} ({effect}) ran although {why}")


def _as_requested(calls: Rows) -> Rows:
    """The calls under the id that they had when an earlier part of their run asked approval, and waited.

    The same tool and arguments are the same call, unless the first part ran it after all.
    """
    spans, column = view("spans"), {name: about.column for name, about in load().attributes.items()}
    pending = spans.filter(
        (spans[column[names.SPAN_KIND]] == "approval") & (spans[column[names.APPROVAL_STATUS]] == "pending")
    )
    pending = pending.select(
        "run_id",
        tool_name=row[column[names.GEN_AI_TOOL_NAME]],
        arguments_hash=row[column[names.TOOL_ARGUMENTS_HASH]],
        first_id=row[column[names.GEN_AI_TOOL_CALL_ID]],
        first_trace=row.trace_id,
        requested=row.ts,
    )
    waiting = pending.anti_join(calls.select("run_id", first_id=row.call_id), ["run_id", "first_id"])
    later = calls.join(waiting, ["run_id", "tool_name", "arguments_hash"])
    later = later.filter((later.trace_id != later.first_trace) & (later.ts >= later.requested))
    return later.select("run_id", "trace_id", "span_id", "ts", call_id=later.first_id).select(
        "run_id", "call_id", "trace_id", "span_id", "ts"
    )


def checkpoint_prompt_only() -> Rows:
    """Checkpoints that only a prompt enforces, where no other kind stands at that stage of the run.

    Before a tool, another kind must stand before the same call.
    """
    checks = view("checkpoints").filter(row.run_id.notnull())
    checks = checks.mutate(place=(checks.stage == "pre_tool").ifelse(checks.call_id.fill_null(""), ""))
    enforced = checks.filter(checks.enforcement != "prompt").select("run_id", "stage", "place")
    alone = checks.filter(checks.enforcement == "prompt").anti_join(enforced, ["run_id", "stage", "place"])
    return findings(
        alone,
        "checkpoint_prompt_only",
        "the checkpoint {name} at {stage} is only a prompt, nothing enforces it",
    )


def content_raw() -> Rows:
    """Spans that say that they carry raw content, or carry content in any dialect and do not say it was redacted."""
    spans = view("spans")
    state = spans[load().attributes[names.CONTENT_STATE].column].fill_null("absent")
    content = spans.attributes.keys().filter(ibis._.re_search(CONTENT_PATTERN))
    carried = content.length().fill_null(0) > 0
    spans = spans.mutate(state=state, carried=carried, key=carried.ifelse(content[0], ibis.null("string")))
    raw = spans.filter((row.state == "raw") | (row.carried & (row.state != "redacted")))
    return findings(raw, "content_raw", "the span {name} carries {key:content} that was not redacted")


def _content_pattern() -> str:
    """The keys of content as one regular expression: whole keys, or all below one, numbers standing for any number."""
    known = [re.escape(key.removesuffix(".*")) + (r"\." if key.endswith(".*") else "$") for key in CONTENT_KEYS]
    return "^(" + "|".join(pattern.replace(r"\.0\.", r"\.[0-9]+\.") for pattern in known) + ")"


CONTENT_PATTERN: Final = _content_pattern()
