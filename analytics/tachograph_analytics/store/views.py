# ruff: noqa: S608 - the names in the SQL come from the registry, texts and paths are quoted
"""The store as an in-memory DuckDB with the views that everything else reads."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from tachograph.errors import UsageError
from tachograph.registry import Registry, View, load, names
from tachograph_analytics.store import incidents, schema
from tachograph_analytics.store.manifest import open_manifest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from tachograph_analytics.store.home import Home

# What every view starts with, and the attribute behind it; ts, trace_id and span_id are the protocol's.
_SHORT = {
    "run_id": names.RUN_ID,
    "agent": names.GEN_AI_AGENT_NAME,
    "workflow": names.WORKFLOW,
    "tenant": names.TENANT_ID,
    "release": names.RELEASE_ID,
    "track": names.RELEASE_TRACK,
}
_HEAD = ("ts", "run_id", "trace_id", "span_id", "agent", "workflow", "tenant", "release", "track")

# The tables of which a client may send copies, and what tells a row of them from all others.
COPIES = {"spans": "trace_id, span_id", "events": "event_id"}

_MAGIC = b"PAR1"  # what a Parquet file ends with
_MS_OF_NS = "duration_ns / 1e6"


def connect(home: Home) -> duckdb.DuckDBPyConnection:
    """A connection of its own with all views over what is committed now; every time is UTC, a TIMESTAMP without a zone.

    The views stand over the files of this moment: connect again to see what came later. It can read the store's files
    and nothing else of the machine, and neither fetch extensions nor be talked out of that. UsageError where there is
    no store, or a newer one.
    """
    with open_manifest(home.require()) as manifest:
        files = {
            table: [str(home.path / f.path) for f in manifest.files(table)] for table in ("spans", "events", "alerts")
        }
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET allowed_paths = $paths", {"paths": [path for paths in files.values() for path in paths]})
    connection.execute("SET enable_external_access = false")
    with damage_is_a_sentence(home):
        for statement in _statements(files):
            connection.execute(statement)
    incidents.refresh(connection, home)
    connection.execute("SET lock_configuration = true")
    return connection


@contextmanager
def damage_is_a_sentence(home: Home) -> Generator[None]:
    """UsageError where DuckDB failed because a file that the manifest names is missing or no whole Parquet file."""
    try:
        yield
    except duckdb.Error as error:
        with open_manifest(home.require()) as manifest:
            files = [home.path / f.path for table in ("spans", "events", "alerts") for f in manifest.files(table)]
        broken = [path for path in files if not _is_whole(path)]
        if not broken:
            raise
        raise UsageError(
            f"the store is damaged: {broken[0]} is missing or cut off, and so are {len(broken) - 1} other files; "
            "put them back from a copy, or name another store with --home"
        ) from error


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(_MAGIC), os.SEEK_END)
            return file.read() == _MAGIC
    except OSError:
        return False


def columns(view: View) -> tuple[str, ...]:
    """The columns of a registry view, in order."""
    head = [name for name in _HEAD if not (view.name == "runs" and name == "span_id")]
    return (*head, *view.columns, *view.computed)


def _statements(files: dict[str, list[str]]) -> Iterable[str]:
    registry = load()
    for table, paths in files.items():
        yield f"CREATE VIEW stored_{table} AS {_stored(table, paths)}"
    for table in COPIES:
        yield f"CREATE VIEW {table} AS {rows_of(table)} {first_copy(table)}"
    yield f"CREATE VIEW alerts AS {_alerts()}"
    yield from incidents.statements(_HEAD)
    for view in registry.views.values():
        yield f"CREATE VIEW {_name(view.name)} AS {_view(registry, view)}"


def _stored(table: str, paths: list[str]) -> str:
    """The rows of the files under all columns that the table can have, also those that no file has yet."""
    empty = ", ".join(f"NULL::{kind} AS {_name(name)}" for name, kind in schema.columns(table).items())
    typed = f"SELECT {empty} WHERE false"
    if not paths:
        return typed
    listed = ", ".join(_text(path) for path in paths)
    return f"{typed} UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name = true)"


def rows_of(table: str) -> str:
    """The rows of the view `spans` or `events`, with every copy that a client sent."""
    return _spans() if table == "spans" else _events()


def first_copy(table: str) -> str:
    """The clause that keeps one of several copies: a client that got no ack sends again, and the first one counts."""
    return f"QUALIFY row_number() OVER (PARTITION BY {COPIES[table]} ORDER BY received_at) = 1"


def _spans() -> str:
    return f"""
        SELECT {_head("start_time")}, parent_span_id, name, kind, start_time, end_time,
          {_MS_OF_NS} AS duration_ms, status_code, status_message, service, scope, span_events, links,
          {_promoted("spans")}, attributes, resource, received_at
        FROM stored_spans"""


def _events() -> str:
    return f"""
        SELECT {_head("event_time")}, event_id, event_name, event_name AS name,
          event_time, observed_time, severity, body,
          service, scope, {_promoted("events")}, attributes, resource, received_at
        FROM stored_events"""


def _alerts() -> str:
    attributes = load().attributes
    labels = {short: f"labels[{_text(attributes[name].column)}]" for short, name in _SHORT.items()}
    common = ", ".join(f"{labels.get(name, 'NULL::VARCHAR')} AS {_name(name)}" for name in _HEAD if name != "ts")
    return f"""
        SELECT received_at AS ts, {common}, fingerprint, status, name, labels, annotations,
          starts_at, ends_at, generator_url, received_at
        FROM stored_alerts"""


def _view(registry: Registry, view: View) -> str:
    special = {"runs": _runs, "degradations": _degradations, "approvals": _approvals}
    if view.name in special:
        return special[view.name](registry, view)
    return _rows(registry, view)


def _rows(registry: Registry, view: View) -> str:
    """One row for each span or event that the view counts."""
    chosen = [*_HEAD, *_own(registry, view), *(f"{_COMPUTED[name]} AS {name}" for name in view.computed)]
    return f"SELECT {', '.join(chosen)} FROM {_source(registry, view.source)}"


_COMPUTED = {"duration_ms": "duration_ms"}


def _source(registry: Registry, source: str) -> str:
    """The rows that a view counts: spans of one of our kinds, or events of one name."""
    table, _, wanted = source.partition(":")
    column = _column(registry, names.SPAN_KIND) if table == "span" else "name"
    return f"{table}s WHERE {column} = {_text(wanted)}"


def _own(registry: Registry, view: View) -> list[str]:
    return [f"{_column(registry, attribute)} AS {_name(name)}" for name, attribute in view.columns.items()]


def _degradations(registry: Registry, view: View) -> str:
    """Each stay in a degraded mode, with what its end says where it has ended."""
    key = _column(registry, names.DEGRADATION_ID)
    own = [f"entered.{column}" for column in _own(registry, view)]
    head = [f"entered.{name}" for name in _HEAD]
    ended = {"disclosed": names.DEGRADATION_DISCLOSED, "duration_s": names.DEGRADATION_DURATION}
    computed = [f"exited.{_column(registry, ended[name])} AS {name}" for name in view.computed]
    return f"""
        SELECT {", ".join([*head, *own, *computed])}
        FROM (FROM {_source(registry, view.source)}) AS entered
        LEFT JOIN (
          FROM {_source(registry, f"event:{names.EVENT_DEGRADATION_EXITED}")}
          QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY ts DESC) = 1
        ) AS exited ON exited.{key} = entered.{key}"""


def _approvals(registry: Registry, view: View) -> str:
    """Each answer to a request; while there is none, the request, in however many parts of its run it was pending."""
    status, key = _column(registry, names.APPROVAL_STATUS), _column(registry, names.APPROVAL_ID)
    return f"""
        {_rows(registry, view)}
        QUALIFY {status} IS DISTINCT FROM 'pending' OR row_number() OVER (
          PARTITION BY coalesce(run_id, trace_id), coalesce({key}, span_id) ORDER BY {status} = 'pending', ts
        ) = 1"""


def _runs(registry: Registry, view: View) -> str:
    """All parts of a suspended run as one row, and what its LLM and tool calls add up to.

    Facts about the request come from its first part, others from the last part that has them; turns and durations add
    up, the highest tier counts, and hooks are those of all parts.
    """
    first = [f"arg_min({name}, ts) AS {name}" for name in _HEAD if name not in ("ts", "run_id", "span_id")]
    last = [_of_parts(registry, name, attribute) for name, attribute in view.columns.items()]
    chosen = [f"parts.{name}" for name in _HEAD if name != "span_id"]
    chosen += [f"parts.{_name(name)}" for name in view.columns]
    chosen += [f"{_RUN_COMPUTED[name]} AS {name}" for name in view.computed]
    return f"""
        WITH parts AS (
          SELECT min(ts) AS ts, run_id, {", ".join([*first, *last])}, sum(duration_ms) AS duration_ms
          FROM {_source(registry, view.source)} AND run_id IS NOT NULL GROUP BY run_id
        ), llm AS ({_llm_sums(registry)}), tool AS ({_tool_sums(registry)})
        SELECT {", ".join(chosen)}
        FROM parts LEFT JOIN llm USING (run_id) LEFT JOIN tool USING (run_id)"""


def _of_parts(registry: Registry, name: str, attribute: str) -> str:
    column = _column(registry, attribute)
    if attribute == names.RUN_TURNS:
        return f"CAST(sum({column}) AS BIGINT) AS {_name(name)}"
    if attribute == names.RUN_TIER:
        return f"max({column}) AS {_name(name)}"
    if attribute == names.RUN_HOOKS:
        return f"list_sort(list_distinct(flatten(list({column})))) AS {_name(name)}"
    return f"arg_max({column}, ts) AS {_name(name)}"


def _llm_sums(registry: Registry) -> str:
    sums = {
        "input_tokens": names.GEN_AI_USAGE_INPUT_TOKENS,
        "output_tokens": names.GEN_AI_USAGE_OUTPUT_TOKENS,
        "cached_tokens": names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    }
    tokens = ", ".join(f"CAST(sum({_column(registry, name)}) AS BIGINT) AS {short}" for short, name in sums.items())
    attempt = _column(registry, names.LLM_ATTEMPT)
    return f"""
          SELECT run_id, count(*) AS calls, CAST(sum(coalesce({attempt}, 1)) AS BIGINT) AS attempts,
            {tokens}, {_costs(registry)}
          FROM {_source(registry, "span:llm")} GROUP BY run_id"""


def _tool_sums(registry: Registry) -> str:
    """A call's attempts are its highest number, whether each attempt is a span or all are one."""
    attempt, call = _column(registry, names.TOOL_ATTEMPT), _column(registry, names.GEN_AI_TOOL_CALL_ID)
    return f"""
          SELECT run_id, CAST(sum(calls) AS BIGINT) AS calls, CAST(sum(attempts) AS BIGINT) AS attempts,
            sum(cost) AS cost, bool_or(provider) AS provider, bool_or(estimated) AS estimated
          FROM (
            SELECT run_id, count(*) AS calls, greatest(max(coalesce({attempt}, 1)), 1) AS attempts, {_costs(registry)}
            FROM {_source(registry, "span:tool")} GROUP BY run_id, coalesce({call}, span_id)
          ) GROUP BY run_id"""


def _costs(registry: Registry) -> str:
    amount, source = _column(registry, names.COST_AMOUNT), _column(registry, names.COST_SOURCE)
    return (
        f"sum({amount}) AS cost, bool_or({source} = 'provider' AND {amount} IS NOT NULL) AS provider, "
        f"bool_or({source} = 'estimated' AND {amount} IS NOT NULL) AS estimated"
    )


def _sum_of_run(column: str) -> str:
    """0 for a run without LLM calls, null where calls did not say."""
    return f"CASE WHEN llm.calls IS NULL THEN 0 ELSE llm.{column} END"


_RUN_COMPUTED = {
    "llm_calls": "coalesce(llm.calls, 0)",
    "tool_calls": "coalesce(tool.calls, 0)",
    "attempts": "coalesce(llm.attempts, 0) + coalesce(tool.attempts, 0)",
    "input_tokens": _sum_of_run("input_tokens"),
    "output_tokens": _sum_of_run("output_tokens"),
    "cached_tokens": _sum_of_run("cached_tokens"),
    # The sum of what has a price; null where there were LLM calls and nothing has one. The digits that depend on the
    # order of summation are cut off, so that everybody who asks gets the same: no token costs as little as 1e-12 USD.
    "cost": """CASE WHEN llm.cost IS NULL AND tool.cost IS NULL AND llm.calls > 0 THEN NULL
               ELSE round(coalesce(llm.cost, 0) + coalesce(tool.cost, 0), 12) END""",
    "cost_source": """CASE
               WHEN (llm.provider OR tool.provider) AND (llm.estimated OR tool.estimated) THEN 'mixed'
               WHEN llm.provider OR tool.provider THEN 'provider'
               WHEN llm.estimated OR tool.estimated THEN 'estimated' END""",
    "duration_ms": "parts.duration_ms",
}


def _head(time: str) -> str:
    attributes = load().attributes
    behind = {short: attributes[name].column for short, name in _SHORT.items()} | {"ts": time}
    return ", ".join(f"{behind.get(name, name)} AS {name}" for name in _HEAD)


def _promoted(table: str) -> str:
    return ", ".join(_name(attribute.column) for attribute in schema.promoted(table))


def _column(registry: Registry, attribute: str) -> str:
    return _name(registry.attributes[attribute].column)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
