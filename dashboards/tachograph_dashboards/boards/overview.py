"""Overview: the questions of whoever is on call, answered without scrolling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tachograph_dashboards import detections, kit
from tachograph_dashboards.kit import Query, Shelf, Step
from tachograph_dashboards.queries import RANGE, gained, now, quantile, rate, share
from tachograph_dashboards.variables import firing, marks, rules_loaded, scope, variables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph.registry import Registry
    from tachograph_dashboards.queries import Scope

_AGENT = "gen_ai.agent.name"
_OUTCOME = "tachograph.run.outcome"
_TIER = "tachograph.tool.tier"
_SECONDS_PER_HOUR = 3600
_NO_RUNS = "no runs"


def overview(registry: Registry) -> dict[str, Any]:
    """Successful outcomes, safety, latency and cost, failing dependencies, the approval queue: 23 grid units high."""
    within = scope(registry)
    return kit.dashboard(
        "tachograph-overview",
        "Tachograph / Overview",
        "Are users served, are we safe, what does it take, what fails, who waits for an approval?",
        variables=variables(registry),
        annotations=marks(registry),
        shelves=(
            Shelf(4, tuple((3, panel) for panel in _numbers(within))),
            Shelf(7, ((14, _never(within)), (10, _outcomes(within)))),
            Shelf(6, ((8, _durations(within)), (8, _cost(within)), (8, _approvals(within)))),
            Shelf(6, ((8, _failing_tools(within)), (8, _failing_models(within)), (8, _degraded(within)))),
        ),
    )


def _numbers(within: Scope) -> tuple[kit.Panel, ...]:
    """The first look: eight numbers over the picked time."""
    return (
        _succeeded(within),
        _ended(within),
        _slow(within),
        _spending(within),
        _count(
            "Calls without a price",
            "LLM calls whose cost is in no sum, because the price of the model is unknown.",
            f"round({gained(within, 'tachograph.cost.unpriced')}) or {_zero(within)}",
        ),
        _count(
            "Approvals waiting",
            "Requests for approval without a decision, now.",
            f"{now(within, 'tachograph.approval.pending')} or {_zero(within)}",
            steps=kit.NEUTRAL,
        ),
        _count(
            "Telemetry lost",
            "Spans and events that all agents dropped in the picked time: what they would have shown is missing.",
            f"round({gained(within, 'tachograph.telemetry.dropped')})",
        ),
        _count(
            "Alerts firing",
            "Alerts that fire now for the picked agents. Says so when Prometheus has no alert rules loaded.",
            f"count({firing(within.registry)}) or 0 * {rules_loaded()}",
            no_value="rules not loaded",
        ),
    )


def _succeeded(within: Scope) -> kit.Panel:
    return kit.stat(
        "Runs that succeeded",
        "Share of the runs that ended with outcome success; a refusal or a hand-over to a person is neither.",
        "percentunit",
        _one(share(within, "tachograph.runs", {_OUTCOME: ("success",)}, window=RANGE)),
        no_value=_NO_RUNS,
        decimals=1,
        link=kit.app_link(),
    )


def _ended(within: Scope) -> kit.Panel:
    expression = f"round({gained(within, 'tachograph.runs')})"
    return _count("Runs", "Runs that ended in the picked time.", expression, steps=kit.NEUTRAL, no_value=_NO_RUNS)


def _slow(within: Scope) -> kit.Panel:
    return kit.stat(
        "Run duration, p95",
        "95 of 100 runs took at most this long, without the time that a run waited for an approval.",
        "s",
        _one(quantile(within, 0.95, "tachograph.run.duration", window=RANGE)),
        no_value=_NO_RUNS,
        link=kit.app_link(),
    )


def _spending(within: Scope) -> kit.Panel:
    return kit.stat(
        "Cost per hour",
        "US dollars an hour at the present rate, mostly estimated from the price table.",
        "currencyUSD",
        _one(f"{_SECONDS_PER_HOUR} * {rate(within, 'tachograph.cost')}"),
        no_value="no priced calls",
        link=kit.app_link("spike"),
    )


def _count(
    title: str,
    description: str,
    expression: str,
    *,
    steps: Sequence[Step] = kit.ZERO_IS_GOOD,
    no_value: str = "no agents",
) -> kit.Panel:
    """A whole number, red from 1 on unless `steps` says otherwise."""
    return kit.stat(
        title,
        description,
        "short",
        _one(expression),
        steps=steps,
        no_value=no_value,
        decimals=0,
        link=kit.app_link(),
    )


def _never(within: Scope) -> kit.Panel:
    found = within.registry.detections.values()
    return kit.stat(
        "What must never happen",
        "How often each detection was seen in the picked time. Grey: a picked agent does not have the hook that the "
        "detection needs, so that its silence says nothing.",
        "short",
        *(Query(detections.state(within, detection), detection.name, instant=True) for detection in found),
        steps=(Step(detections.NOT_INSTRUMENTED, "#808080"), Step(0, "green"), Step(1, "red")),
        texts={str(detections.NOT_INSTRUMENTED): detections.NOT_WATCHED},
        no_value=detections.NOT_WATCHED,
        background=True,
        decimals=0,
        link=kit.app_link(rule="${__field.name}"),
    )


def _outcomes(within: Scope) -> kit.Panel:
    return kit.timeseries(
        "Runs by outcome",
        "Runs a second that ended so.",
        "reqps",
        Query(rate(within, "tachograph.runs", (_OUTCOME,)), _legend(within, _OUTCOME)),
        stacked=True,
        link=kit.app_link(),
    )


def _durations(within: Scope) -> kit.Panel:
    return kit.timeseries(
        "Run duration",
        "Half of the runs, and 95 of 100, took at most this long. Points, where there are any, are single runs.",
        "s",
        Query(quantile(within, 0.5, "tachograph.run.duration"), "p50"),
        Query(quantile(within, 0.95, "tachograph.run.duration"), "p95"),
        link=kit.app_link(),
    )


def _cost(within: Scope) -> kit.Panel:
    return kit.timeseries(
        "Cost per hour by agent",
        "US dollars an hour at the rate of that moment.",
        "currencyUSD",
        Query(f"{_SECONDS_PER_HOUR} * {rate(within, 'tachograph.cost', (_AGENT,))}", _legend(within, _AGENT)),
        stacked=True,
        link=kit.app_link("spike"),
    )


def _approvals(within: Scope) -> kit.Panel:
    return kit.timeseries(
        "Approval queue",
        "Requests without a decision by risk tier: tier 1 waits for one person, tier 2 for two.",
        "short",
        Query(now(within, "tachograph.approval.pending", (_TIER,)), f"tier {_legend(within, _TIER)}"),
        link=kit.app_link(),
    )


def _failing_tools(within: Scope) -> kit.Panel:
    tool, outcome = "gen_ai.tool.name", "tachograph.tool.outcome"
    return kit.timeseries(
        "Failing tools",
        "Share of a tool's calls that ended in an error or a timeout.",
        "percentunit",
        Query(
            share(within, "tachograph.tool.executions", {outcome: ("error", "timeout")}, (tool,)), _legend(within, tool)
        ),
        link=kit.app_link(),
    )


def _failing_models(within: Scope) -> kit.Panel:
    model, outcome = "gen_ai.request.model", "tachograph.llm.outcome"
    return kit.timeseries(
        "Failing models",
        "Share of a model's calls that ended in an error or a timeout.",
        "percentunit",
        Query(share(within, "tachograph.llm.calls", {outcome: ("error", "timeout")}, (model,)), _legend(within, model)),
        link=kit.app_link(),
    )


def _degraded(within: Scope) -> kit.Panel:
    active, mode = "tachograph.degradation.active", "tachograph.degradation.mode"
    expression = f"{now(within, active, (mode,))} or {detections.calm(within, 'degraded', active, mode)}"
    return kit.timeseries(
        "Degraded modes on",
        "Runs that answer in a degraded mode, by mode; says so when a picked agent does not record its modes.",
        "short",
        Query(expression, _legend(within, mode)),
        link=kit.app_link(),
    )


def _one(expression: str) -> Query:
    return Query(expression, "", instant=True)


def _zero(within: Scope) -> str:
    """0 while any picked agent is recorded: a counter that is not born yet is then known to be 0."""
    return f"0 * group({within.selector(within.metric('tachograph.coverage'))})"


def _legend(within: Scope, attribute: str) -> str:
    return f"{{{{{within.registry.attributes[attribute].column}}}}}"
