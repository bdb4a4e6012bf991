"""PromQL over metrics of the registry: a name, label or label value that the registry does not have is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph.registry import Registry

AGENT = "gen_ai.agent.name"


def series(registry: Registry, metric: str, where: Mapping[str, Sequence[str]] | None = None) -> str:
    """A selector: `where` maps attribute names to the values of which the label must have one."""
    if metric not in registry.metrics:
        raise UsageError(f"An alert is on the metric {metric!r}, which the registry does not have: mend alerts.toml.")
    matchers = [_matcher(registry, metric, name, values) for name, values in (where or {}).items()]
    return registry.metrics[metric].prometheus + (f"{{{','.join(matchers)}}}" if matchers else "")


def by_agent(registry: Registry, metric: str, operator: str, expression: str) -> str:
    """`expression` aggregated to one series an agent."""
    return f"{operator} by ({_label(registry, metric, AGENT)}) ({expression})"


def _matcher(registry: Registry, metric: str, name: str, values: Sequence[str]) -> str:
    label = _label(registry, metric, name)
    allowed = registry.attributes[name].values
    if unknown := [value for value in values if allowed and value not in allowed]:
        raise UsageError(f"An alert asks for {name} = {unknown[0]!r}; the registry allows {', '.join(allowed)}.")
    return f'{label}="{values[0]}"' if len(values) == 1 else f'{label}=~"{"|".join(values)}"'


def _label(registry: Registry, metric: str, name: str) -> str:
    if name not in registry.metrics[metric].labels:
        raise UsageError(f"An alert asks for the label {name!r} of {metric!r}, which the registry does not give it.")
    return registry.attributes[name].column
