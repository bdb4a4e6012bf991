"""The steps of one run: its spans in tree order, and what is wrong with each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tachograph.registry import load, names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from tachograph_analytics.detections import Finding

# Cost is counted on these kinds only; a span of another kind may repeat what its children cost.
_COUNTED = frozenset({"llm", "tool"})

# For each kind: the attribute that says what came of a step, the values that are a problem, and the words for it.
_VERDICTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "run": (names.RUN_OUTCOME, {"failed": "the run failed", "cancelled": "the run was cancelled"}),
    "llm": (
        names.LLM_OUTCOME,
        {
            "error": "the call failed",
            "timeout": "the call timed out",
            "refused": "the model refused",
            "cancelled": "the call was cancelled",
            "abandoned": "the answer was abandoned",
        },
    ),
    "tool": (
        names.TOOL_OUTCOME,
        {
            "error": "the tool failed",
            "timeout": "the tool timed out",
            "denied": "the call was denied",
            "invalid_input": "the arguments broke the contract",
            "invalid_output": "the result broke the contract",
            "cancelled": "the call was cancelled",
            "not_executed": "the call was not executed",
        },
    ),
    "checkpoint": (
        names.CHECKPOINT_DECISION,
        {"deny": "the checkpoint denied it", "escalate": "the checkpoint escalated", "error": "the checkpoint failed"},
    ),
    "approval": (
        names.APPROVAL_STATUS,
        {
            "pending": "the approval is pending",
            "rejected": "the approval was rejected",
            "expired": "the approval expired",
            "cancelled": "the approval was cancelled",
        },
    ),
    "route": (
        names.ROUTING_OUTCOME,
        {"fallback": "the router fell back", "none": "the router chose nothing", "rejected": "the route was rejected"},
    ),
    "cache": (names.CACHE_RESULT, {"denied": "the cache denied it", "error": "the cache failed"}),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One span. `start_ms` counts from the run's beginning, `duration_ms` is null where a time is missing.

    `kind` is ours, or `other` for spans of the host and its frameworks; `cost` is US dollars of a counted call;
    `problem` says what went wrong by the step's own account; `attributes` are those of the registry that it has,
    `others` the rest as text. `orphan`: the step it belongs to is not in the data.
    """

    span_id: str
    parent_span_id: str | None
    depth: int
    kind: str
    name: str
    ts: datetime
    start_ms: float
    duration_ms: float | None
    cost: float | None
    problem: str | None
    attributes: Mapping[str, Any]
    others: Mapping[str, str]
    orphan: bool = False
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run: what was said when, and in which step."""

    ts: datetime
    start_ms: float
    name: str
    span_id: str | None
    severity: str | None
    attributes: Mapping[str, Any]


def steps(connection: duckdb.DuckDBPyConnection, run_id: str) -> tuple[Step, ...]:
    """The spans of a run, each below the one it belongs to, siblings in order of their beginning; () without any."""
    rows = _rows(connection, "spans", run_id)
    if not rows:
        return ()
    began = rows[0]["ts"]
    flat = _answered([_step(row, began) for row in rows])
    known = {step.span_id for step in flat}
    children: dict[str | None, list[Step]] = {}
    for step in flat:
        orphan = step.parent_span_id is not None and step.parent_span_id not in known
        above = None if orphan else step.parent_span_id
        # The parent of a run's own span is the host's: nothing of ours is missing there.
        children.setdefault(above, []).append(replace(step, orphan=orphan and step.kind != "run"))
    ordered = _in_order(children)
    # A broken client can make spans that are each other's parents: they stand at the end, nothing is left out.
    reached = {step.span_id for step in ordered}
    return (*ordered, *(replace(step, orphan=True) for step in flat if step.span_id not in reached))


def events(connection: duckdb.DuckDBPyConnection, run_id: str) -> tuple[Event, ...]:
    """The events of a run in order of time, counted from its beginning."""
    rows = _rows(connection, "events", run_id)
    first = connection.execute("SELECT min(ts) FROM spans WHERE run_id = $run_id", {"run_id": run_id}).fetchall()[0][0]
    return tuple(
        Event(
            ts=row["ts"].replace(tzinfo=UTC),
            start_ms=(row["ts"] - (first or row["ts"])).total_seconds() * 1000,
            name=row["event_name"] or "event",
            span_id=row["span_id"],
            severity=row["severity"],
            attributes=_attributes(row) | dict(row["attributes"] or {}),
        )
        for row in rows
    )


def problems(path: Sequence[Step], found: Sequence[Finding]) -> dict[str, list[str]]:
    """What is wrong with each step: by its own account, and by the detections. A run's own end is the run's outcome."""
    wrong = {step.span_id: [step.problem] for step in path if step.problem is not None and step.kind != "run"}
    for finding in found:
        if finding.span_id is not None:
            wrong.setdefault(finding.span_id, []).append(finding.summary)
    return wrong


def _rows(connection: duckdb.DuckDBPyConnection, table: str, run_id: str) -> list[dict[str, Any]]:
    # Of what began within one microsecond, the shorter came first: it was over before the longer one was.
    ended = "end_time, " if table == "spans" else ""
    sql = f"SELECT * FROM {table} WHERE run_id = $run_id ORDER BY ts, {ended}span_id"  # noqa: S608 - ours
    cursor = connection.execute(sql, {"run_id": run_id})
    columns = [column[0] for column in cursor.description or []]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _answered(flat: Sequence[Step]) -> list[Step]:
    """The steps, where a request that a later part of the run answered is no longer pending."""
    said = [(_request(step), step.attributes.get(names.APPROVAL_STATUS)) for step in flat if step.kind == "approval"]
    answered = {request for request, status in said if request is not None and status not in {None, "pending"}}
    return [
        replace(step, problem=None)
        if step.attributes.get(names.APPROVAL_STATUS) == "pending" and _request(step) in answered
        else step
        for step in flat
    ]


def _request(step: Step) -> str | None:
    found = step.attributes.get(names.APPROVAL_ID) if step.kind == "approval" else None
    return None if found is None else str(found)


def _in_order(children: Mapping[str | None, Sequence[Step]]) -> list[Step]:
    """The tree from its roots down, without recursion: a trace may be deeper than the stack."""
    ordered: list[Step] = []
    waiting = [(step, 0) for step in reversed(children.get(None, ()))]
    while waiting:
        step, depth = waiting.pop()
        ordered.append(replace(step, depth=depth))
        waiting.extend((child, depth + 1) for child in reversed(children.get(step.span_id, ())))
    return ordered


def _step(row: Mapping[str, Any], began: datetime) -> Step:
    attributes = _attributes(row)
    kind = str(attributes.get(names.SPAN_KIND) or "other")
    return Step(
        span_id=row["span_id"],
        parent_span_id=row["parent_span_id"],
        depth=0,
        kind=kind,
        name=row["name"],
        ts=row["ts"].replace(tzinfo=UTC),
        start_ms=(row["ts"] - began).total_seconds() * 1000,
        duration_ms=row["duration_ms"],
        cost=attributes.get(names.COST_AMOUNT) if kind in _COUNTED else None,
        problem=_problem(kind, attributes, row),
        attributes=attributes,
        others=dict(row["attributes"] or {}),
        trace_id=row["trace_id"],
    )


def _problem(kind: str, attributes: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
    attribute, wrong = _VERDICTS.get(kind, ("", {}))
    words = wrong.get(str(attributes.get(attribute)))
    if words is None and row["status_code"] == "error":
        words = "it ended in an error"
    if words is None:
        return None
    why = attributes.get(names.CHECKPOINT_RULE) or attributes.get(names.ERROR_TYPE)
    return f"{words} ({why})" if why else words


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    return {a.name: row[a.column] for a in load().promoted if row.get(a.column) is not None}
