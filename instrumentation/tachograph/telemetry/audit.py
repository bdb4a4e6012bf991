"""The audit log of approvals and writes: one entry each, appended, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.telemetry.guard import failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph.telemetry.recorder import Recorder


class AuditLog(Protocol):
    """Where audit entries go beside the telemetry: append one, or raise."""

    def append(self, entry: Mapping[str, object]) -> None:
        """Takes one entry of registry attributes; an exception means that it is not on record."""
        ...


def audit(recorder: Recorder, action: str, attributes: Mapping[str, object]) -> str | None:
    """Puts an entry on record; returns its id, or None when the audit log did not take it."""
    agent = recorder.agent()
    recorder.cover("audit")
    entry = {**recorder.common(), **attributes, n.AUDIT_ID: recorder.new_id("audit"), n.AUDIT_ACTION: action}
    result = "recorded"
    try:
        if recorder.audit_log is not None:
            recorder.audit_log.append(entry)
        recorder.event(n.EVENT_AUDIT_RECORDED, entry)
    except Exception as error:  # noqa: BLE001 - a failing audit log is a finding, not the agent's failure
        failed("audit", error)
        result = "failed"
    labels = {n.GEN_AI_AGENT_NAME: agent, n.AUDIT_ACTION: action, n.AUDIT_RESULT: result}
    recorder.metrics.record(instruments.AUDIT_ENTRIES, 1, labels)
    return str(entry[n.AUDIT_ID]) if result == "recorded" else None
