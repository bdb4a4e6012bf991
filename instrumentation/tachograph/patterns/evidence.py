"""P04, evidence: what a claim of the answer rests on, and whether that is really there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from tachograph.patterns.values import identity, word
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.guard import guarded
from tachograph.telemetry.recorder import covering

if TYPE_CHECKING:
    from tachograph.run import RunContext

Source = Literal["tool_call", "document", "memory", "user", "model", "none"]


@guarded("evidence", None)
def evidence(
    claim: str,
    *,
    source: Source,
    ref: str | None = None,
    producer: str | None = None,
    time: datetime | str | None = None,
) -> None:
    """Says what `claim` rests on: a tool call's id or a document's as `ref`, what produced it and when.

    `claim` is an id; a claim in words is recorded as a hash.
    """
    recorder = covering("evidence")
    if recorder is None:
        return
    ref = identity(ref)
    resolved = bool(producer and time) and _exists(current(), source, ref)
    entry = {
        n.EVIDENCE_CLAIM: word(claim) or recorder.hashed(claim),
        n.EVIDENCE_SOURCE_TYPE: source,
        n.EVIDENCE_SOURCE_REF: ref,
        n.EVIDENCE_PRODUCER: word(producer, "unnamed"),
        n.EVIDENCE_TIME: time.isoformat() if isinstance(time, datetime) else time,
        n.EVIDENCE_RESOLUTION: "resolved" if resolved else "unresolved",
    }
    recorder.event(n.EVENT_EVIDENCE_CITED, entry)
    recorder.metrics.record(instruments.EVIDENCE_CITATIONS, 1, {**recorder.common(), **entry})
    if not resolved:
        recorder.detect("evidence_unresolved")


def _exists(run: RunContext | None, source: str, ref: str | None) -> bool:
    match source:
        case "tool_call":
            return run is not None and ref in run.call_ids
        case "document":
            return run is not None and ref in run.documents
        case "none":
            return False
        case _:
            return True
