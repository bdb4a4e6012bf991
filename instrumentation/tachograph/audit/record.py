"""From a hook to the record, and from the record to telemetry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context

from tachograph.audit.entry import PLACE, Action, Entry
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.telemetry.attributes import emit, plain
from tachograph.telemetry.guard import failed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tachograph.audit.writer import AuditLog, Writer
    from tachograph.telemetry.recorder import Ids, Recorder

_UID_DIGITS = 32  # of the entry's hash: an event's own id, the same however often it is sent


def audit(recorder: Recorder, action: Action, attributes: Mapping[str, object]) -> str:
    """Hands an entry to the writer and returns its id at once; whether it is on record then shows in the telemetry."""
    recorder.cover("audit")
    said = recorder.with_common(attributes)
    if recorder.policies:
        said[n.POLICY_VERSIONS] = sorted(f"{name}={version}" for name, version in tuple(recorder.policies.items()))
    entry = Entry(
        recorder.new_id("audit"),
        action,
        recorder.agent(),
        recorder.clock(),
        said,
        trace.get_current_span().get_span_context(),
    )
    if recorder.audit is None:
        settle(recorder, entry, None)
    else:
        recorder.audit.put(entry)
    return entry.id


def keep(
    recorder: Recorder,
    *,
    folder: Path | None = None,
    key: bytes | None = None,
    audit_log: AuditLog | None = None,
    threaded: bool = True,
    ids: Ids | None = None,
) -> Writer:
    """Gives the recorder the writer of its entries; the ids of its chains are the recorder's unless `ids` is given."""
    from tachograph.audit.writer import Writer

    recorder.audit = writer = Writer(
        recorder.default_agent,
        partial(settle, recorder),
        ids=ids or recorder.ids,
        folder=folder,
        key=key,
        audit_log=audit_log,
        threaded=threaded,
    )
    return writer


def settle(recorder: Recorder, entry: Entry, record: Mapping[str, Any] | None) -> None:
    """Says in the telemetry what became of an entry: its event where it is on record, and in any case the count."""
    result = "failed"
    if record is not None:
        try:
            _emit(recorder, entry, record)
            result = "recorded"
        except Exception as error:  # noqa: BLE001 - an event that a provider refuses is not the next entry's problem
            failed("audit", error)
    labels = {n.GEN_AI_AGENT_NAME: entry.agent, n.AUDIT_ACTION: entry.action, n.AUDIT_RESULT: result}
    recorder.metrics.record(instruments.AUDIT_ENTRIES, 1, labels)
    if result == "failed" and entry.attributes.get(n.APPROVAL_ID) is not None:
        recorder.detect("approval_unaudited", entry.agent)


def _emit(recorder: Recorder, entry: Entry, record: Mapping[str, Any]) -> None:
    severity = n.EVENT_SEVERITY[n.EVENT_AUDIT_RECORDED]
    said = {name: value for name, value in record.items() if name not in PLACE}
    event = LogRecord(
        timestamp=entry.time,
        observed_timestamp=entry.time,
        context=trace.set_span_in_context(trace.NonRecordingSpan(entry.span), Context()),
        severity_number=SeverityNumber[severity],
        severity_text=severity,
        event_name=n.EVENT_AUDIT_RECORDED,
    )
    emit(recorder.logger, event, plain(said, {n.LOG_RECORD_UID: record[n.AUDIT_HASH][:_UID_DIGITS]}))
