"""Plans, routing decisions, delegations and how results are combined."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from tachograph.patterns.routing import Combine, Delegate, Method, Plan, Route
from tachograph.plain.reading import entries, flag, is_a, items, label, name, names, number, one_of, read, size, text
from tachograph.registry import names as n

if TYPE_CHECKING:
    from tachograph.plain.call import Call

_METHODS = get_args(Method)
_CANDIDATES = ("candidates", "options", "routes", "agents")
_RESULTS = ("results", "parts", "answers", "outputs", "inputs")


def plan(call: Call) -> Plan:
    """A plan or decomposition."""
    return Plan(call.place.name)


def planned(step: Plan, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Reads how many subtasks came of it: the length of what was returned, or of its steps."""
    steps = read(value, "steps", "subtasks", "tasks")
    count = size(steps if steps is not None or entries(value) is not None else value)
    if count is not None:
        step.subtasks(count)


def route(call: Call) -> Route:
    """A routing decision; what it could choose from is known where an argument says so."""
    return Route(call.place.name, candidates=names(call.argument(*_CANDIDATES)))


def routed(step: Route, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Reads what was chosen, from what, how and why."""
    candidates = names(read(value, "candidates"))
    if candidates is not None:
        scores = [number(score) for score in items(read(value, "scores")) or ()]
        step.considered(candidates, [score for score in scores if score is not None] if None not in scores else None)
    step.attributes[n.ROUTING_METHOD] = one_of(read(value, "method"), _METHODS) or "rule"
    step.attributes[n.ROUTING_CONSTRAINT_APPLIED] = flag(read(value, "constrained"))
    selected = name(value, "selected", "chosen", "route", "agent", "name")
    selected = selected if selected is not None else name(read(value, "selected", "agent"), "name")
    if selected is not None or value is None:
        reason = read(value, "reason")
        step.choose(label(selected), reason=str.__str__(reason) if is_a(reason, str) else None)
    else:
        step.attributes[n.ROUTING_OUTCOME] = "selected"


def delegate(call: Call) -> Delegate:
    """A subtask handed to the one that the arguments name."""
    given = call.argument("to", "agent", "target", "worker", "assignee", "name")
    task = call.argument("subtask", "task")
    subtask = text(call.argument("subtask_id", "task_id")) or text(read(task, "id"))
    source = name(call.argument("from_agent", "source_agent", "sender"), "name", "agent")
    return Delegate(
        label(name(given, "name", "agent") or text(read(task, "to", "agent", "assignee"))) or call.place.name,
        subtask=subtask,
        source=label(source or text(read(task, "from_agent", "source_agent"))),
    )


def combine(call: Call) -> Combine:
    """Results becoming one, by the strategy that is said, else a merge."""
    results = call.argument(*_RESULTS)
    count = size(results if results is not None else call.first())
    return Combine(label(text(call.argument("strategy", "method"))) or "merge", inputs=count)
