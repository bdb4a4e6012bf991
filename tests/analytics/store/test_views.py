# ruff: noqa: DTZ001, S608 - the store's times are UTC without a zone; the SQL names views of the registry
"""The views: their columns as promised, what counts in them and what does not."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime

import pytest
from analytics.otlp import AnEvent, ASpan, logs, traces
from analytics.services import home_at

from tachograph.errors import UsageError
from tachograph.registry import load, names
from tachograph_analytics.receiver.wal import Wal
from tachograph_analytics.store.casebook import Casebook, View
from tachograph_analytics.store.decoder import work
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.incidents import refresh
from tachograph_analytics.store.manifest import STORE_VERSION, open_manifest
from tachograph_analytics.store.segment import ContentType, Encoding, Record, Signal
from tachograph_analytics.store.views import columns, connect

HEAD = ["ts", "run_id", "trace_id", "span_id", "agent", "workflow", "tenant", "release", "track"]
RUN = {names.RUN_ID: "r11", names.GEN_AI_AGENT_NAME: "airline", names.WORKFLOW: "refund"}


@pytest.fixture
def home(tmp_path) -> Home:
    return home_at(tmp_path)


def ours(kind: str, **attributes) -> dict:
    return {**RUN, names.SPAN_KIND: kind, **attributes}


def fill(home: Home, *requests, received_ns: int = 11_000) -> None:
    """Stores each request as one body; a dict is a notification."""
    wal = Wal(home.wal)
    for number, request in enumerate(requests):
        signal = Signal.ALERTS if isinstance(request, dict) else Signal.TRACES
        if not isinstance(request, dict) and hasattr(request, "resource_logs"):
            signal = Signal.LOGS
        body = json.dumps(request).encode() if isinstance(request, dict) else request.SerializeToString()
        written = ContentType.JSON if signal is Signal.ALERTS else ContentType.PROTOBUF
        wal.append(Record(signal, Encoding.IDENTITY, written, received_ns + number * 1000, body)).result(10)
    wal.close()
    work(home, once=True)


def ask(home: Home, sql: str) -> list[tuple]:
    with connect(home) as connection:
        return connection.execute(sql).fetchall()


def described(home: Home, view: str) -> list[str]:
    return [row[0] for row in ask(home, f"DESCRIBE {view}")]


@pytest.mark.parametrize("view", load().views.values(), ids=lambda view: view.name)
def test_a_view_has_the_promised_columns_and_no_rows_in_an_empty_store(home, view):
    head = [name for name in HEAD if not (view.name == "runs" and name == "span_id")]
    assert [*head, *view.columns, *view.computed] == described(home, view.name) == list(columns(view))
    assert ask(home, f"SELECT * FROM {view.name}") == []


@pytest.mark.parametrize("view", ["spans", "events", "alerts", "incidents"])
def test_the_other_views_begin_alike(home, view):
    found = described(home, view)
    assert found[: len(HEAD)] == HEAD
    assert len(found) == len(set(found))
    assert ask(home, f"SELECT * FROM {view}") == []


def test_types_come_from_the_registry_also_where_no_row_has_the_column(home):
    fill(home, traces([ASpan(11, 13, ours("tool"))]))
    types = dict(row[:2] for row in ask(home, "DESCRIBE tool_calls"))
    assert (
        types["ts"],
        types["tier"],
        types["documents"],
        types["duration_ms"],
    ) == ("TIMESTAMP", "BIGINT", "VARCHAR[]", "DOUBLE")


def test_files_with_different_columns_are_read_together(home):
    fill(home, traces([ASpan(11, 13, ours("tool", **{names.TOOL_TIER: 2}))]))
    fill(home, traces([ASpan(11, 17, ours("tool", **{names.GEN_AI_TOOL_NAME: "refund"}))]))
    assert ask(home, "SELECT tier, tool_name FROM tool_calls ORDER BY span_id") == [(2, None), (None, "refund")]


def test_what_a_client_sends_again_appears_once(home):
    spans, events = (
        traces([ASpan(11, 13, ours("llm"))]),
        logs([AnEvent("e", {names.LOG_RECORD_UID: "u11"}), AnEvent("f")]),
    )
    fill(home, spans, events, spans, events)
    fill(home, spans, events)
    assert ask(
        home, "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM llm_calls), (SELECT count(*) FROM events)"
    ) == [(1, 1, 2)]


def test_spans_of_one_id_in_two_traces_are_two(home):
    fill(home, traces([ASpan(11, 13, ours("llm")), ASpan(17, 13, ours("llm"))]))
    assert ask(home, "SELECT count(*) FROM llm_calls") == [(2,)]


def test_a_foreign_llm_span_is_seen_and_not_counted(home):
    foreign = {names.GEN_AI_OPERATION_NAME: "chat", names.GEN_AI_REQUEST_MODEL: "m", "openinference.span.kind": "LLM"}
    fill(home, traces([ASpan(11, 13, {**RUN, **foreign}), ASpan(11, 17, ours("wire")), ASpan(11, 19, ours("llm"))]))
    assert ask(home, "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM llm_calls)") == [(3, 1)]


def test_a_run_adds_up_what_its_calls_used(home):
    llm = {names.GEN_AI_USAGE_INPUT_TOKENS: 17, names.GEN_AI_USAGE_OUTPUT_TOKENS: 5}
    priced = {names.COST_AMOUNT: 0.25, names.COST_SOURCE: "estimated"}
    fill(
        home,
        traces(
            [
                ASpan(11, 1, ours("run", **{names.RUN_OUTCOME: "success", names.RUN_TIER: 1}), end_ms=19),
                ASpan(11, 2, ours("llm", **llm, **priced, **{names.LLM_ATTEMPT: 3})),
                ASpan(11, 3, ours("llm", **llm, **{names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: 7})),
                ASpan(11, 4, ours("tool", **{names.GEN_AI_TOOL_CALL_ID: "c1", names.TOOL_ATTEMPT: 1})),
                ASpan(11, 5, ours("tool", **{names.GEN_AI_TOOL_CALL_ID: "c1", names.TOOL_ATTEMPT: 2})),
                ASpan(11, 6, ours("tool", **{names.GEN_AI_TOOL_CALL_ID: "c2"})),
                ASpan(11, 7, {**ours("llm", **llm), names.RUN_ID: "r13"}),
            ]
        ),
    )
    sql = """SELECT run_id, outcome, tier, llm_calls, tool_calls, attempts, input_tokens, output_tokens, cached_tokens,
             cost, cost_source, duration_ms FROM runs"""
    assert ask(home, sql) == [("r11", "success", 1, 2, 3, 7, 34, 10, 7, 0.25, "estimated", 19.0)]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], (0.0, None)),
        ([{}], (None, None)),
        ([{names.COST_AMOUNT: 0.25, names.COST_SOURCE: "provider"}, {}], (0.25, "provider")),
        (
            [
                {names.COST_AMOUNT: 0.25, names.COST_SOURCE: "provider"},
                {names.COST_AMOUNT: 0.5, names.COST_SOURCE: "estimated"},
            ],
            (0.75, "mixed"),
        ),
        ([{names.COST_AMOUNT: 0.0, names.COST_SOURCE: "provider"}], (0.0, "provider")),
    ],
    ids=["no-calls", "unpriced", "partly", "mixed", "free"],
)
def test_the_cost_of_a_run_is_null_only_where_no_call_has_a_price(home, calls, expected):
    spans = [ASpan(11, 2 + number, ours("llm", **call)) for number, call in enumerate(calls)]
    fill(home, traces([ASpan(11, 1, ours("run")), *spans]))
    assert [expected] == ask(home, "SELECT cost, cost_source FROM runs")


def test_the_cost_of_tools_counts_too(home):
    fill(home, traces([ASpan(11, 1, ours("run")), ASpan(11, 2, ours("tool", **{names.COST_AMOUNT: 0.125}))]))
    assert ask(home, "SELECT cost FROM runs") == [(0.125,)]


def test_tokens_are_null_where_calls_do_not_say_and_0_without_calls(home):
    run = [ASpan(11, 1, ours("run")), ASpan(13, 1, {**ours("run"), names.RUN_ID: "r13"})]
    fill(home, traces([*run, ASpan(11, 2, ours("llm"))]))
    assert ask(home, "SELECT run_id, input_tokens FROM runs ORDER BY run_id") == [("r11", None), ("r13", 0)]


def test_the_parts_of_a_suspended_run_are_one_row(home):
    waits = ours("run", **{names.RUN_SUSPENDED: True, names.RUN_TURNS: 3, names.RUN_TIER: 1, names.TENANT_ID: "t11"})
    goes_on = ours(
        "run",
        **{names.RUN_OUTCOME: "success", names.RUN_TIER: 0, names.RUN_TURNS: 2, names.RUN_STOP_REASON: "completed"},
    )
    fill(home, traces([ASpan(17, 1, goes_on, start_ms=1000, end_ms=1013)]))
    fill(
        home,
        traces([ASpan(11, 1, waits, start_ms=0, end_ms=11), ASpan(11, 2, ours("tool")), ASpan(17, 2, ours("llm"))]),
    )
    sql = "SELECT ts, trace_id, tenant, outcome, stop_reason, tier, turns, llm_calls, tool_calls, duration_ms FROM runs"
    noon = datetime(2026, 9, 21, 14, 13, 20)
    assert [(noon, f"{11:032x}", "t11", "success", "completed", 1, 5, 1, 1, 24.0)] == ask(home, sql)


def test_the_hooks_of_a_run_are_those_of_all_its_parts(home):
    waits = ours("run", **{names.RUN_HOOKS: ["run", "approval"], names.RUN_SUSPENDED: True})
    goes_on = ours("run", **{names.RUN_HOOKS: ["run", "tool"]})
    says_nothing = {**ours("run"), names.RUN_ID: "r13"}
    spans = [ASpan(11, 1, waits), ASpan(13, 1, goes_on, start_ms=1000, end_ms=1013), ASpan(17, 1, says_nothing)]
    fill(home, traces(spans))
    rows = [("r11", ["approval", "run", "tool"]), ("r13", [])]
    assert ask(home, "SELECT run_id, coalesce(hooks, []) FROM runs ORDER BY 1") == rows


def test_a_request_is_pending_until_it_is_answered_in_whatever_part_of_its_run(home):
    def asked(trace: int, span: int, status: str, key: str | None, **more: object) -> ASpan:
        facts = {names.APPROVAL_STATUS: status, **({names.APPROVAL_ID: key} if key else {})}
        return ASpan(trace, span, ours("approval", **facts) | more, start_ms=1000 * trace + span, end_ms=20_000)

    answered = [asked(11, 1, "pending", "a1"), asked(13, 1, "pending", "a1"), asked(17, 1, "approved", "a1")]
    again = [asked(17, 2, "rejected", "a1")]
    open_still = [asked(11, 3, "pending", "a2"), asked(13, 3, "pending", "a2")]
    unnamed = [asked(11, 5, "pending", None), asked(11, 7, "pending", None)]
    of_another_run = [asked(19, 1, "pending", "a1", **{names.RUN_ID: "r19"})]
    fill(home, traces([*answered, *again, *open_still, *unnamed, *of_another_run]))
    assert ask(home, "SELECT run_id, approval_id, status, span_id FROM approvals ORDER BY ts") == [
        ("r11", "a2", "pending", f"{3:016x}"),
        ("r11", None, "pending", f"{5:016x}"),
        ("r11", None, "pending", f"{7:016x}"),
        ("r11", "a1", "approved", f"{1:016x}"),
        ("r11", "a1", "rejected", f"{2:016x}"),
        ("r19", "a1", "pending", f"{1:016x}"),
    ]


def test_a_degradation_joins_its_end_and_is_open_without_one(home):
    def entered(key: str) -> AnEvent:
        return AnEvent(
            names.EVENT_DEGRADATION_ENTERED, {**RUN, names.DEGRADATION_ID: key, names.DEGRADATION_MODE: "refuse"}
        )

    ended = {names.DEGRADATION_ID: "d1", names.DEGRADATION_DISCLOSED: False, names.DEGRADATION_DURATION: 1.75}
    fill(
        home,
        logs([entered("d1"), entered("d2"), AnEvent(names.EVENT_DEGRADATION_EXITED, {**RUN, **ended}, at_ms=1750)]),
    )
    sql = "SELECT degradation_id, mode, disclosed, duration_s FROM degradations ORDER BY 1"
    assert ask(home, sql) == [("d1", "refuse", False, 1.75), ("d2", "refuse", None, None)]


def test_an_event_view_holds_the_events_of_its_name(home):
    budget = {names.BUDGET_TYPE: "turns", names.BUDGET_USED: 11, names.BUDGET_LIMIT: 13}
    fill(home, logs([AnEvent(names.EVENT_BUDGET_USED, {**RUN, **budget}, trace=11, span=17), AnEvent("other", budget)]))
    sql = "SELECT run_id, trace_id, span_id, budget, used, limit_value FROM budgets"
    assert [("r11", f"{11:032x}", f"{17:016x}", "turns", 11.0, 13.0)] == ask(home, sql)


def a_notification(status: str, ends_at: str | None = None) -> dict:
    labels = {"alertname": "WriteUnapproved", "gen_ai_agent_name": "airline"}
    alert = {
        "fingerprint": "f11",
        "status": status,
        "labels": labels,
        "startsAt": "2026-11-24T12:00:00Z",
        "endsAt": ends_at,
    }
    other = {**alert, "fingerprint": "f13", "status": "firing", "endsAt": None}
    return {"version": "4", "alerts": [alert, other]}


def test_an_incident_is_the_latest_that_was_said_of_an_alert(home):
    fill(home, a_notification("firing"))
    fill(home, a_notification("resolved", "2026-11-24T12:13:00Z"), received_ns=99_000)
    assert ask(home, "SELECT count(*) FROM alerts") == [(4,)]
    sql = "SELECT fingerprint, name, agent, status, ends_at, labels['alertname'] FROM incidents ORDER BY 1"
    assert [
        ("f11", "WriteUnapproved", "airline", "resolved", datetime(2026, 11, 24, 12, 13), "WriteUnapproved"),
        ("f13", "WriteUnapproved", "airline", "firing", None, "WriteUnapproved"),
    ] == ask(home, sql)


def test_the_incidents_of_alerts_and_of_people_are_one_view(home):
    assert described(home, "incidents")[len(HEAD) :] == [
        *("id", "title", "status", "severity", "opened_at", "closed_at", "fingerprint", "name", "labels"),
        *("annotations", "cause", "fix", "notes", "starts_at", "ends_at", "generator_url", "received_at"),
    ]
    fill(home, a_notification("firing"))
    fill(home, a_notification("resolved", "2026-11-24T12:13:00Z"), received_ns=99_000)
    casebook, one = Casebook(home), datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
    opened = casebook.open("Refunds fail", one, agent="support")
    casebook.add(opened, View("seen", "/", "", (), ()), one)
    casebook.write("f11", "title", "Writes that nobody approved")
    casebook.write("f11", "cause", "a new tool")
    sql = """SELECT id, ts, agent, title, status, opened_at, closed_at, name, cause, notes
             FROM incidents ORDER BY opened_at, id"""
    noon, closed = datetime(2026, 11, 24, 12, 0), datetime(2026, 11, 24, 12, 13)
    named = "Writes that nobody approved"
    assert ask(home, sql) == [
        ("f11", noon, "airline", named, "resolved", noon, closed, "WriteUnapproved", "a new tool", 0),
        ("f13", noon, "airline", "WriteUnapproved", "firing", noon, None, "WriteUnapproved", None, 0),
        (
            opened,
            one.replace(tzinfo=None),
            "support",
            "Refunds fail",
            "open",
            one.replace(tzinfo=None),
            None,
            None,
            None,
            1,
        ),
    ]
    casebook.close(opened, datetime(2026, 11, 24, 13, 17, tzinfo=UTC))
    assert ask(home, f"SELECT status, closed_at FROM incidents WHERE id = '{opened}'") == [
        ("closed", datetime(2026, 11, 24, 13, 17))
    ]


def test_an_alert_that_fires_again_opens_its_incident_again_with_what_was_written(home):
    fill(home, a_notification("resolved", "2026-11-24T12:13:00Z"))
    Casebook(home).write("f11", "fix", "rolled back")
    again = a_notification("firing")
    again["alerts"][0]["startsAt"] = "2026-11-24T17:00:00Z"
    fill(home, again, received_ns=99_000)
    sql = "SELECT status, opened_at, closed_at, fix FROM incidents WHERE id = 'f11'"
    assert ask(home, sql) == [("firing", datetime(2026, 11, 24, 17, 0), None, "rolled back")]


def test_a_connection_takes_over_what_is_written_later_when_it_is_told_to(home):
    casebook = Casebook(home)
    with connect(home) as connection:
        other = connection.cursor()
        casebook.open("Refunds fail", datetime(2026, 11, 24, 13, 0, tzinfo=UTC))
        assert other.execute("SELECT title FROM incidents").fetchall() == []
        assert refresh(connection, home) == casebook.changes() == 1
        assert other.execute("SELECT title FROM incidents").fetchall() == [("Refunds fail",)]


def test_a_home_that_does_not_exist_is_a_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"there is no store at .*nowhere: fill one with `tachograph demo`"):
        connect(Home(tmp_path / "nowhere"))


def test_a_newer_store_is_a_sentence(home):
    with open_manifest(home):
        pass
    with sqlite3.connect(home.manifest) as connection:
        connection.execute("UPDATE store SET store_version = ?", (STORE_VERSION + 1,))
    connection.close()
    with pytest.raises(UsageError, match=r"was written by a newer tachograph .*: upgrade with pip install -U"):
        connect(home)


def test_a_manifest_that_is_no_database_is_a_sentence(home):
    home.manifest.write_bytes(b"this is no SQLite file, and long enough to be looked at" * 99)
    with pytest.raises(UsageError, match="cannot be read"):
        connect(home)


def test_the_connection_reads_nothing_else_of_the_machine(home, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n", "utf-8")
    fill(home, traces([ASpan(11, 13)]))
    with pytest.raises(Exception, match="disabled by configuration"):
        ask(home, f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    with pytest.raises(Exception, match="locked"):
        ask(home, "SET enable_external_access = true")
