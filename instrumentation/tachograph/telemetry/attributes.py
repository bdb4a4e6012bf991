"""Attributes of our own spans and events, written in one go.

Each attribute that is written through the SDK's API is copied under a lock and checked by a walk through abstract base
classes: a microsecond each, so twenty of them cost as much as the span that carries them. Ours are plain by
construction, and what a host passed in is looked at here once.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.attributes import BoundedAttributes

from tachograph.privacy.content import IDENTIFIERS, REASONS
from tachograph.privacy.identity import NAME_LENGTH
from tachograph.privacy.identity import name as redacted
from tachograph.registry import names as n

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import Logger, LogRecord
    from opentelemetry.sdk._logs import Logger as SdkLogger
    from opentelemetry.sdk._logs import LogRecordLimits, ReadWriteLogRecord
    from opentelemetry.trace import Span

Plain = dict[str, Any]

_SCALARS: Final = frozenset({str, int, float, bool})
_SETTLED: Final = IDENTIFIERS | REASONS | {n.CONTENT_INPUT, n.CONTENT_OUTPUT, n.RUN_HOOKS}  # seen to where they came in
_MOST_KNOWN: Final = 4096  # bound of memory: names as they are redacted, since they come again with each span

_known: dict[str, str] = {}


def plain(*parts: Mapping[str, Any]) -> Plain:
    """The attributes as OpenTelemetry holds them: None left out, lists as tuples, what it does not know as text.

    Strings lose their secrets here, before they are attributes. Of several parts the later ones count.
    """
    kept: Plain = {}
    for attributes in parts:
        put(kept, attributes)
    return kept


def put(kept: Plain, attributes: Mapping[str, Any]) -> Plain:
    """Puts attributes among plain ones, as `plain` does, and gives these back."""
    known = _known.get
    for name, value in attributes.items():
        kind = type(value)  # pyright: ignore[reportUnknownVariableType] - of anything
        if kind is str:
            kept[name] = known(value) or (value if name in _SETTLED else _redacted(value))
        elif kind in _SCALARS:
            kept[name] = value
        elif value is not None:
            kept[name] = _sequence(name, value) if kind is list or kind is tuple else _cleaned(name, value)
    return kept


def _redacted(text: str) -> str:
    clean = redacted(text)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    if len(text) <= NAME_LENGTH:
        _known[text] = clean
    return clean


def _sequence(name: str, value: object) -> object:
    if name == n.RUN_HOOKS:
        return value  # a tuple of ours, the same for all runs of an agent
    items = tuple(cast("list[object]", value))
    if name not in _SETTLED:
        items = tuple([(_known.get(item) or _redacted(item)) if type(item) is str else item for item in items])
    return items if all(type(item) in _SCALARS for item in items) else _cleaned("list", items)


def _cleaned(name: str, value: object) -> object:
    return BoundedAttributes(attributes={name: value})[name]  # pyright: ignore[reportCallIssue, reportArgumentType] - to be found out here


def write(span: Span, attributes: Plain) -> None:
    """Puts plain attributes on a span, which may keep the dict; one that is bounded here gets them by the API."""
    held: object = getattr(span, "_attributes", None)
    if type(held) is not BoundedAttributes or held.max_value_len is not None:
        span.set_attributes(attributes)
        return
    if held.maxlen is not None and len(held) + len(attributes) > held.maxlen:
        span.set_attributes(attributes)
        return
    with held._lock:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see the module's docstring
        if not held._immutable:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the span has ended
            held._dict = held._dict | attributes if held._dict else attributes  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see the module's docstring


def emit(logger: Logger, record: LogRecord, attributes: Plain) -> None:
    """Emits a record, which has no attributes yet, with plain ones; by the API where the logger bounds them."""
    sdk_logger, its_limits, written = _sdk()
    limits: object = getattr(logger, "_log_record_limits", None)
    if isinstance(logger, sdk_logger) and isinstance(limits, its_limits) and _takes(limits, attributes):
        taken = written(record, logger.resource, logger.instrumentation_scope, limits)
        record.attributes = attributes
        logger.emit(taken)  # pyright: ignore[reportArgumentType] - which it takes, as its source says
    else:
        record.attributes = attributes
        logger.emit(record)


@cache
def _sdk() -> tuple[type[SdkLogger], type[LogRecordLimits], type[ReadWriteLogRecord]]:
    """The SDK's classes: `import tachograph` alone is to load no SDK."""
    from opentelemetry.sdk._logs import Logger, LogRecordLimits, ReadWriteLogRecord

    return Logger, LogRecordLimits, ReadWriteLogRecord


def _takes(limits: LogRecordLimits, attributes: Plain) -> bool:
    most = limits.max_log_record_attributes
    return limits.max_log_record_attribute_length is None and (most is None or len(attributes) <= most)
