"""One fact for the record, as the hook that saw it knows it, and the form in which it is hashed and written."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from tachograph.registry import names as n

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

Action = Literal["approval", "write", "override", "gate", "policy"]

TIME: Final = "time"
TRACE_ID: Final = "trace_id"
SPAN_ID: Final = "span_id"
_KNOWN: Final = (str, bool, int, float, list, tuple)
_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
PLACE: Final = frozenset({TIME, TRACE_ID, SPAN_ID})
"""Keys of a record that are no attributes: an event has fields of its own for them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a hook puts on record: `attributes` by registry name, `time` in nanoseconds since 1970.

    `span` is the one that was current, so that the entry is found from the trace and the trace from the entry.
    """

    id: str
    action: Action
    agent: str
    time: int
    attributes: Mapping[str, object]
    span: SpanContext

    def facts(self) -> dict[str, Any]:
        """Everything of it as plain values, with the names and ids that the step's span has; objects are left out."""
        from tachograph.telemetry.attributes import plain

        known: dict[str, object] = {name: value for name, value in self.attributes.items() if isinstance(value, _KNOWN)}
        said = {name: _json(value) for name, value in plain(known).items()}
        place = {TIME: iso(self.time)}
        if self.span.is_valid:
            place |= {TRACE_ID: f"{self.span.trace_id:032x}", SPAN_ID: f"{self.span.span_id:016x}"}
        about = {n.AUDIT_ID: self.id, n.AUDIT_ACTION: self.action}
        return {**said, **about, **place}


def canonical(record: Mapping[str, Any]) -> bytes:
    """A record as JSON in ASCII, keys sorted, no spaces: the same facts are always the same bytes."""
    return _encode(record).encode("ascii")


def iso(time: int) -> str:
    """Nanoseconds since 1970 as ISO-8601 in UTC, to the nanosecond."""
    seconds, rest = divmod(time, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _json(value: object) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    return [_json(each) for each in cast("tuple[object]", value)] if isinstance(value, tuple) else value
