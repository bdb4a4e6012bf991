"""What makes a trace worth keeping whatever the sample rate is: read from the attributes of its spans and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import StatusCode

from tachograph.registry import names as n

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk.trace import ReadableSpan

_ANY: Final[frozenset[object]] = frozenset()

# Attribute -> the values that say that nothing happened; with any other value the trace is kept.
USUAL: Final[dict[str, frozenset[object]]] = {
    n.ERROR_TYPE: _ANY,
    n.RUN_OUTCOME: frozenset({"success"}),
    n.RUN_SUSPENDED: frozenset({False}),
    n.LLM_OUTCOME: frozenset({"success"}),
    n.TOOL_OUTCOME: frozenset({"success"}),
    n.TOOL_EFFECT: frozenset({"none", "read"}),
    n.CHECKPOINT_DECISION: frozenset({"allow"}),
    n.APPROVAL_STATUS: _ANY,
    n.BUDGET_STATE: frozenset({"ok"}),
    n.ROUTING_OUTCOME: frozenset({"selected"}),
    n.LIMITER_OUTCOME: frozenset({"acquired"}),
    n.CIRCUIT_STATE: frozenset({"closed"}),
    n.DEGRADATION_MODE: _ANY,
    n.GEN_AI_EVALUATION_NAME: _ANY,
    n.GATE_NAME: _ANY,
    n.AUDIT_ID: _ANY,
}


def notable_span(span: ReadableSpan) -> bool:
    """Whether a span failed or says something that is not usual; a tool call that hides its effect does."""
    attributes = span.attributes or {}
    return (
        span.status.status_code is StatusCode.ERROR
        or _unusual(attributes)
        or (n.TOOL_EFFECT not in attributes and _is_tool_call(attributes))
    )


def notable_log(record: LogRecord) -> bool:
    """Whether an event says something that is not usual, or a log record of the host is an error."""
    severity = record.severity_number or SeverityNumber.UNSPECIFIED
    return severity.value >= SeverityNumber.ERROR.value or _unusual(record.attributes or {})


def _unusual(attributes: Mapping[str, object]) -> bool:
    for name, usual in USUAL.items():
        value = attributes.get(name)
        if value is not None and value not in usual:
            return True
    return False


def _is_tool_call(attributes: Mapping[str, object]) -> bool:
    """Also for spans of frameworks, which say it in their own words."""
    kind = attributes.get(n.SPAN_KIND)
    return kind == "tool" or (kind is None and attributes.get(n.GEN_AI_OPERATION_NAME) == "execute_tool")
