"""The logical views as Ibis tables, and what all detections say with them: bound to no database, compiled for any."""

from __future__ import annotations

from functools import cache, reduce
from operator import add
from string import Formatter
from typing import TYPE_CHECKING, Any, Final

import ibis as untyped  # pyright: ignore[reportMissingTypeStubs] - there are none

from tachograph.registry import load, names

if TYPE_CHECKING:
    from tachograph.registry import Attribute

# Ibis ships no types: it is Any here, and from here everywhere. `row` stands for the row at hand in a filter or mutate.
ibis: Any = untyped
row: Any = ibis._
Rows = Any
Column = Any

_TYPES: Final = {
    "string": "string",
    "int": "int64",
    "double": "float64",
    "boolean": "boolean",
    "string[]": "array<string>",
    "double[]": "array<float64>",
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "VARCHAR": "string",
    "BOOLEAN": "boolean",
}
_HEAD: Final = {
    "ts": "timestamp",
    **dict.fromkeys(
        ("run_id", "trace_id", "span_id", "agent", "workflow", "tenant", "release", "track"),
        "string",
    ),
}
FINDING: Final = ("rule", "run_id", "span_id", "ts", "agent", "release", "tenant", "summary")

# Hooks of what may stand outside of runs, and the view of their events: such an event itself proves that its hook is
# there, so what is found among them needs no other proof.
PROVEN: Final = {"gate": "gates", "evaluation": "evaluations"}

_OF_SPANS: Final = (
    names.CONTENT_STATE,
    names.RUN_HOOKS,
    names.SPAN_KIND,
    names.APPROVAL_STATUS,
    names.GEN_AI_TOOL_NAME,
    names.GEN_AI_TOOL_CALL_ID,
    names.TOOL_ARGUMENTS_HASH,
)
_NOT_EXECUTED: Final = ("denied", "invalid_input", "not_executed")
_WRITES: Final = ("write", "irreversible")
_GRANTED: Final = ("approved", "modified")


@cache
def view(name: str) -> Rows:
    """A view of the store by its name in the registry; of `spans` the columns that detections look at."""
    registry = load()
    if name == "spans":
        looked_at: list[Attribute] = [registry.attributes[name] for name in _OF_SPANS]
        typed = {attribute.column: _TYPES[attribute.type] for attribute in looked_at}
        return ibis.table(_HEAD | {"name": "string", **typed, "attributes": "map<string, string>"}, name="spans")
    known = registry.views[name]
    head = {column: kind for column, kind in _HEAD.items() if name != "runs" or column != "span_id"}
    own = {column: _TYPES[registry.attributes[attribute].type] for column, attribute in known.columns.items()}
    computed = {column: _TYPES[kind] for column, kind in known.computed.items()}
    return ibis.table(head | own | computed, name=name)


def executed(calls: Rows) -> Rows:
    """The tool calls that ran, however they ended; one that does not say is taken to have run."""
    return calls.filter(~calls.outcome.fill_null("success").isin(_NOT_EXECUTED))


def writes(rows: Rows) -> Rows:
    """The rows about what changes the world."""
    return rows.filter(rows.effect.isin(_WRITES))


def granted(approvals: Rows) -> Rows:
    """The approvals that somebody gave; nobody gave `auto_approved`."""
    return approvals.filter(approvals.status.isin(_GRANTED))


def ended_by(at: Column, ts: Column, duration_ms: Column) -> Column:
    """Whether a span that began at `ts` had ended at `at`, to the microsecond, as the store keeps times."""
    return microseconds(ts, at) >= (duration_ms.fill_null(0.0) * 1000).floor()


def microseconds(start: Column, end: Column) -> Column:
    """Microseconds from `start` to `end`; ClickHouse knows no intervals that are shorter than a second."""
    return end.delta(start, unit="microsecond")


def findings(rows: Rows, rule: str, summary: str) -> Rows:
    """The rows as findings of `rule`, without those of agents that never showed the hooks that the rule needs.

    `summary` is the sentence about each: {column} is the row's value, {column:word} reads `word` where that is null.
    """
    found = rows.mutate(rule=ibis.literal(rule), summary=_sentence(rows, summary)).select(*FINDING)
    for need in load().detections[rule].needs:
        if need not in PROVEN:
            found = found.semi_join(_agents_with(need), "agent")
    return found


def _sentence(rows: Rows, template: str) -> Column:
    parts: list[Column] = []
    for words, column, null, _ in Formatter().parse(template):
        if words:
            parts.append(ibis.literal(words))
        if column is not None:
            parts.append(rows[column].cast("string").fill_null(null or "?"))
    return reduce(add, parts)


def hooks() -> Rows:
    """The hooks that each agent showed: in its runs and parts of other agents' runs, and by events that prove them."""
    shown = _hooks_of_spans()
    for hook, events in PROVEN.items():
        shown = shown.union(view(events).select("agent", hook=ibis.literal(hook)))
    return shown.filter(row.agent.notnull()).distinct()


def _hooks_of_spans() -> Rows:
    """By span, not by run: an agent that only joins the runs of others has none of its own."""
    column = load().attributes[names.RUN_HOOKS].column
    return view("spans").select("agent", hook=row[column].unnest())


def _agents_with(need: str) -> Rows:
    """The agents that showed the hook `need`; `checkpoint` is shown by any `checkpoint.<stage>`."""
    return _hooks_of_spans().filter((row.hook == need) | row.hook.startswith(f"{need}.")).select("agent")
