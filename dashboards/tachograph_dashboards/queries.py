"""PromQL over metrics of the registry, narrowed to a board's variables.

A metric, label or label value that the registry does not have is a `UsageError`, and so is a rate of a gauge or a
quantile of a counter: a rename in the registry breaks the build of every board that still has the old name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph.registry import MetricType, Registry

    Where = Mapping[str, Sequence[str]]

# Grafana puts durations in: four scrapes at least, and the time range that the reader picked.
RATE = "$__rate_interval"
RANGE = "$__range"


@dataclass(frozen=True, slots=True)
class Scope:
    """The registry, and the board's variables: attribute name to variable name, put on each metric with that label."""

    registry: Registry
    variables: Mapping[str, str]

    def metric(self, name: str, *instruments: str) -> MetricType:
        """The metric called `name`, which must be one of `instruments`."""
        found = self.registry.metrics.get(name)
        if found is None:
            raise UsageError(f"A panel draws {name!r}, which the registry does not have: rename it in the board too.")
        if instruments and found.instrument not in instruments:
            raise UsageError(f"A panel takes {name!r} for a {instruments[0]}; it is a {found.instrument}.")
        return found

    def label(self, metric: MetricType, name: str) -> str:
        """The label of `metric` that holds the attribute `name`."""
        if name not in metric.labels:
            raise UsageError(f"A panel asks for {name!r} of {metric.name!r}, which the registry does not give it.")
        return self.registry.attributes[name].column

    def selector(self, metric: MetricType, where: Where | None = None, *, suffix: str = "") -> str:
        """The series of `metric` (`suffix`: _bucket, _sum, _count) whose labels have one of the values of `where`."""
        matchers = [_matcher(self, metric, name, values) for name, values in (where or {}).items()]
        matchers += [f'{self.label(metric, n)}=~"${v}"' for n, v in self.variables.items() if n in metric.labels]
        return metric.prometheus + suffix + (f"{{{','.join(matchers)}}}" if matchers else "")


def rate(scope: Scope, name: str, by: Sequence[str] = (), where: Where | None = None) -> str:
    """What a counter gains a second."""
    metric = scope.metric(name, "counter")
    return _sum(scope, metric, by, f"rate({scope.selector(metric, where)}[{RATE}])")


def gained(scope: Scope, name: str, by: Sequence[str] = (), where: Where | None = None, *, window: str = RANGE) -> str:
    """What a counter gained in `window`."""
    metric = scope.metric(name, "counter")
    return _sum(scope, metric, by, f"increase({scope.selector(metric, where)}[{window}])")


def share(scope: Scope, name: str, where: Where, by: Sequence[str] = (), *, window: str = RATE) -> str:
    """The part of a counter's gain that has the values of `where`, 0 to 1.

    The denominator stays when no series has the values yet (then 0), and idle time is a gap, not NaN.
    """
    part = gained(scope, name, by, where, window=window)
    whole = gained(scope, name, by, window=window)
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def now(scope: Scope, name: str, by: Sequence[str] = (), where: Where | None = None) -> str:
    """The present value of a gauge or up-down counter, summed."""
    metric = scope.metric(name, "updowncounter", "gauge")
    return _sum(scope, metric, by, scope.selector(metric, where))


def quantile(scope: Scope, q: float, name: str, by: Sequence[str] = (), *, window: str = RATE) -> str:
    """The `q` quantile of a histogram, in its unit."""
    metric = scope.metric(name, "histogram")
    labels = ", ".join([*(scope.label(metric, attribute) for attribute in by), "le"])
    buckets = scope.selector(metric, suffix="_bucket")
    return f"histogram_quantile({q}, sum by ({labels}) (rate({buckets}[{window}])))"


def _sum(scope: Scope, metric: MetricType, by: Sequence[str], expression: str) -> str:
    labels = ", ".join(scope.label(metric, attribute) for attribute in by)
    return f"sum by ({labels}) ({expression})" if labels else f"sum({expression})"


def _matcher(scope: Scope, metric: MetricType, name: str, values: Sequence[str]) -> str:
    label = scope.label(metric, name)
    allowed = scope.registry.attributes[name].values
    if unknown := [value for value in values if allowed and value not in allowed]:
        raise UsageError(f"A panel asks for {name} = {unknown[0]!r}; the registry allows {', '.join(allowed)}.")
    return f'{label}="{values[0]}"' if len(values) == 1 else f'{label}=~"{"|".join(values)}"'
