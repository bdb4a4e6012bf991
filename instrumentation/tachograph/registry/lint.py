"""Checks recorded telemetry against the registry: names, types, allowed values, what is required, metric labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from tachograph.registry.model import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tachograph.registry.model import Attribute, MetricType, Registry
    from tachograph.registry.recorded import EventRecord, Recorded, SeriesRecord, SpanRecord

Rule = Literal[
    "unknown_attribute",
    "wrong_type",
    "value_not_allowed",
    "missing_attribute",
    "unknown_span_kind",
    "unknown_event",
    "unknown_metric",
    "unknown_label",
    "label_of_many_values",
]

_KIND: Final = "tachograph.span.kind"
_SERIES: Final = ("_bucket", "_count", "_sum", "_created")
_CLOSE: Final = 0.8  # difflib's ratio from which a name is taken for a slip of the pen
_OF_THE_FORMAT: Final = frozenset({"le", "quantile"})
_PYTHON: Final[dict[str, type]] = {"string": str, "int": int, "double": float, "boolean": bool}


@dataclass(frozen=True, slots=True)
class LintFinding:
    """What is wrong, said once: `count` how often, `where` the first place (a span's id, a metric's name)."""

    rule: Rule
    subject: str
    name: str
    message: str
    where: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class _Known:
    """Metrics and label attributes by their OpenTelemetry and their Prometheus names."""

    prefixes: tuple[str, str]
    metrics: dict[str, MetricType]
    labels: dict[str, Attribute]

    @classmethod
    def of(cls, registry: Registry) -> _Known:
        metrics, attributes = registry.metrics, registry.attributes
        return cls(
            (registry.prefix, registry.prefix.replace(".", "_")),
            {**metrics, **{metric.prometheus: metric for metric in metrics.values()}},
            {**attributes, **{attribute.column: attribute for attribute in attributes.values()}},
        )


def lint(recorded: Recorded, registry: Registry | None = None) -> list[LintFinding]:
    """The findings, each kind of them once, in the order of rule, subject and name."""
    registry = registry or load()
    known = _Known.of(registry)
    found = [
        *(finding for span in recorded.spans for finding in _span(span, registry)),
        *(finding for event in recorded.events for finding in _event(event, registry)),
        *(finding for series in recorded.series for finding in _metric(series, known)),
    ]
    counts = Counter(replace(finding, where="") for finding in found)
    first: dict[LintFinding, str] = {}
    for finding in found:
        first.setdefault(replace(finding, where=""), finding.where)
    merged = [replace(finding, where=first[finding], count=count) for finding, count in counts.items()]
    return sorted(merged, key=lambda finding: (finding.rule, finding.subject, finding.name, finding.message))


def _span(span: SpanRecord, registry: Registry) -> Iterator[LintFinding]:
    """A span of ours must be whole; of other spans only the attributes with our prefix are checked."""
    kind = span.attributes.get(_KIND)
    if kind is None:
        yield from _attributes(span.name, span.where, span.attributes, registry, ours=False)
        return
    subject = f"span {kind}"
    yield from _attributes(subject, span.where, span.attributes, registry, ours=True)
    found = registry.spans.get(str(kind))
    if found is None:
        message = f"no such kind of span{_instead(str(kind), registry.spans)}"
        yield LintFinding("unknown_span_kind", subject, _KIND, message, span.where)
        return
    required = (*registry.common_required, *found.required)
    yield from _missing(subject, span.where, span.attributes, required)


def _event(event: EventRecord, registry: Registry) -> Iterator[LintFinding]:
    found = registry.events.get(event.name)
    subject = f"event {event.name}"
    yield from _attributes(subject, event.where, event.attributes, registry, ours=found is not None)
    if found is not None:
        common = () if found.runless else registry.common_required
        yield from _missing(subject, event.where, event.attributes, (*common, *found.required))
    elif event.name.startswith(registry.prefix):
        message = f"no such event{_instead(event.name, registry.events)}"
        yield LintFinding("unknown_event", subject, event.name, message, event.where)


def _missing(subject: str, where: str, attributes: Mapping[str, Any], required: Iterable[str]) -> Iterator[LintFinding]:
    for name in required:
        if attributes.get(name) is None:
            yield LintFinding("missing_attribute", subject, name, "is required and missing", where)


def _attributes(
    subject: str, where: str, attributes: Mapping[str, Any], registry: Registry, *, ours: bool
) -> Iterator[LintFinding]:
    for name, value in attributes.items():
        attribute = registry.attributes.get(name)
        if attribute is None:
            if name.startswith(registry.prefix):
                message = f"no such attribute{_instead(name, registry.attributes)}"
                yield LintFinding("unknown_attribute", subject, name, message, where)
        elif ours or name.startswith(registry.prefix):
            yield from _checked(subject, where, attribute, value)


def _checked(subject: str, where: str, attribute: Attribute, value: Any) -> Iterator[LintFinding]:
    if not _has_type(attribute.type, value):
        message = f"is {_type_of(value)} and must be {attribute.type}"
        yield LintFinding("wrong_type", subject, attribute.name, message, where)
    elif attribute.values and attribute.name != _KIND:
        yield from _allowed(subject, where, attribute, value)


def _allowed(subject: str, where: str, attribute: Attribute, value: Any) -> Iterator[LintFinding]:
    values = cast("Iterable[Any]", value) if isinstance(value, list | tuple) else (value,)
    for part in values:
        if str(part) not in attribute.values:
            message = f"{part!r} is not allowed{_instead(str(part), attribute.values)}"
            yield LintFinding("value_not_allowed", subject, attribute.name, message, where)


def _has_type(kind: str, value: Any) -> bool:
    """True is no int, and 3 is no double: backends keep them apart."""
    if kind.endswith("[]"):
        element = kind.removesuffix("[]")
        is_list = isinstance(value, list | tuple)
        return is_list and all(_has_type(element, part) for part in cast("Iterable[Any]", value))
    return type(value) is _PYTHON[kind]


def _type_of(value: Any) -> str:
    if isinstance(value, list | tuple):
        inner = sorted({_type_of(part) for part in cast("Iterable[Any]", value)})
        return f"{'|'.join(inner)}[]"
    return next((kind for kind, python in _PYTHON.items() if type(value) is python), type(value).__name__)


def _metric(series: SeriesRecord, known: _Known) -> Iterator[LintFinding]:
    metric = _find(series.name, known)
    subject = f"metric {metric.name if metric else series.name}"
    if metric is None:
        if series.name.startswith(known.prefixes):
            message = f"no such metric{_instead(series.name, known.metrics)}"
            yield LintFinding("unknown_metric", subject, series.name, message, series.where)
        return
    allowed = {label for name in metric.labels for label in (name, name.replace(".", "_"))}
    for label, value in series.labels.items():
        if label not in allowed and label not in _OF_THE_FORMAT:
            yield _label(subject, series.where, label, known)
        elif value != "" and (attribute := known.labels.get(label)) is not None and attribute.values:
            yield from _allowed(subject, series.where, attribute, _said(value))


def _label(subject: str, where: str, label: str, known: _Known) -> LintFinding:
    attribute = known.labels.get(label)
    if attribute is not None and not attribute.label:
        message = "has too many values for a metric label; it is for spans and events only"
        return LintFinding("label_of_many_values", subject, attribute.name, message, where)
    return LintFinding("unknown_label", subject, label, "is no label of this metric", where)


def _said(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _find(name: str, known: _Known) -> MetricType | None:
    if name in known.metrics:
        return known.metrics[name]
    for suffix in _SERIES:
        found = known.metrics.get(name.removesuffix(suffix))
        if found is not None and found.instrument == "histogram":
            return found
    return known.metrics.get(f"{name.removesuffix('_created')}_total") if name.endswith("_created") else None


def _instead(name: str, known: Iterable[str]) -> str:
    close = _closest(name, tuple(known))
    return f"; did you mean {close}?" if close else ""


@lru_cache(1024)
def _closest(name: str, known: tuple[str, ...]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1, cutoff=_CLOSE)), None)
