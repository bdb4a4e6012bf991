"""What is known when nothing was seen: clean where the hook is installed, "not instrumented" where it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tachograph_dashboards.queries import RANGE, gained

if TYPE_CHECKING:
    from tachograph.registry import Detection
    from tachograph_dashboards.queries import Scope

AGENT = "gen_ai.agent.name"
NOT_INSTRUMENTED = -1
NOT_WATCHED = "not instrumented"


def state(scope: Scope, detection: Detection) -> str:
    """At least 1 after a detection, 0 when all agents in scope are watched and clean, -1 when one is not watched.

    increase() extrapolates, so one event may read 1.006 or 0.9: rounded, and never under 1.
    """
    seen = gained(scope, "tachograph.detections", where={"tachograph.detection.rule": (detection.name,)}, window=RANGE)
    return f"clamp_min(round({seen} > 0), 1) or (min({watched(scope, detection)}) - 1)"


def watched(scope: Scope, detection: Detection) -> str:
    """One series an agent: 1 when every hook that the detection needs is installed, else 0."""
    metric = scope.metric("tachograph.coverage", "gauge")
    agent = scope.label(metric, AGENT)
    recorded = f"group by ({agent}) ({scope.selector(metric)})"
    needs = [
        f"max by ({agent}) ({scope.selector(metric, {'tachograph.hook': _hooks(scope, need, detection)})})"
        for need in detection.needs
    ]
    return " * ".join([recorded, *needs])


def calm(scope: Scope, hook: str, metric_name: str, attribute: str) -> str:
    """Lines at 0 for a panel by `attribute`: "none" for agents that have the hook, another for those that do not."""
    label = scope.label(scope.metric(metric_name), attribute)
    installed = scope.selector(scope.metric("tachograph.coverage", "gauge"), {"tachograph.hook": (hook,)})
    lines = (("none", 1), (NOT_WATCHED, 0))
    return " or ".join(
        f'label_replace(0 * group({installed} == {value}), "{label}", "{name}", "", "")' for name, value in lines
    )


def _hooks(scope: Scope, need: str, detection: Detection) -> tuple[str, ...]:
    """The hooks of which one is enough for `need`, as the registry decides it (any checkpoint.… for checkpoint)."""
    alone = replace(detection, needs=(need,))
    return tuple(hook for hook in scope.registry.hooks if alone.covered_by(frozenset((hook,))))
