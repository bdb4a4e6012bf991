"""The ids of run, trace and span on the host's own log records, so that a line in a log file leads to its run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from typing_extensions import override

from tachograph.run import run_id
from tachograph.telemetry.guard import failed

if TYPE_CHECKING:
    from collections.abc import Callable

# Outside of a run they are empty, not absent: a format string that names one must never fail. OpenTelemetry's own
# instrumentation of logging calls its attributes otelTraceID and otelSpanID.
RUN, TRACE, SPAN = "tachograph_run_id", "tachograph_trace_id", "tachograph_span_id"
_OUTSIDE: Final = {RUN: "", TRACE: "", SPAN: ""}


class _Fields(dict[str, Any]):
    """The fields of a log record. `logging` refuses an `extra` of a name that is in them: ours are not in its way.

    They are found by whoever asks for their value or lists them, as formatters do, and the host's own value replaces
    ours. What is pickled is a plain dict: who reads it may have no tachograph.
    """

    __slots__ = ()

    @override
    def __contains__(self, name: object) -> bool:
        return name not in _OUTSIDE and super().__contains__(name)

    @override
    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


def correlate() -> Callable[[], None]:
    """Adds the three ids to every log record from now on; the returned function stops that."""
    original = logging.getLogRecordFactory()
    on = True

    def factory(*args: object, **kwargs: object) -> logging.LogRecord:
        record = original(*args, **kwargs)
        if on:
            try:
                record.__dict__ = _Fields(record.__dict__, **_ids())
            except Exception as error:  # noqa: BLE001 - the host's line counts
                failed("instrument", error)  # whose own line is a record again, and logged once
        return record

    def stop() -> None:
        nonlocal on
        on = False  # somebody may have wrapped ours: then it stays below theirs and does nothing
        if logging.getLogRecordFactory() is factory:
            logging.setLogRecordFactory(original)

    logging.setLogRecordFactory(factory)
    return stop


def _ids() -> dict[str, str]:
    run = run_id()
    if run is None:
        return _OUTSIDE
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {**_OUTSIDE, RUN: run}
    return {RUN: run, TRACE: trace.format_trace_id(span.trace_id), SPAN: trace.format_span_id(span.span_id)}
