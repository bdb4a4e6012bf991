"""Homes filled through the real hooks, the OTLP encoders, the WAL and the decoder, with odd numbers that tell apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

import tachograph
from tachograph.testing import Recorded, SteppingClock, recording
from tachograph_analytics.receiver.wal import Wal
from tachograph_analytics.store.decoder import work
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.segment import ContentType, Encoding, Record, Signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD, BAD, REFUSED, LOOKUPS = 11, 3, 2, 7


def lookup(number: int) -> None:
    """One clean run of an agent that has neither approvals nor budgets."""
    with tachograph.run("lookup-bot", workflow="lookup", tenant="globex", release="7.0", id=f"look-{number}"):
        with tachograph.llm_call("house-model") as call:
            call.usage(input_tokens=101, output_tokens=13)
        with tachograph.checkpoint("scope", stage="pre_tool", tool="search"):
            pass
        with tachograph.tool("search", arguments={"q": number}, authz="allow") as tool:
            tool.output_valid(True)


def refund(number: int, *, approved: bool, denied: bool = False) -> None:
    """One run of the refund agent: approved and clean, or a failing write that nobody approved, or a refusal."""
    release, track = ("1.3", "stable") if approved else ("1.4", "canary")
    name = "ref" if denied else "good" if approved else "bad"
    with tachograph.run(
        "airline", workflow="refund", tier=1, tenant="acme", release=release, track=track, id=f"{name}-{number}"
    ) as run:
        with tachograph.turn(), tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=1013, output_tokens=17, cost=0.0313)
        with tachograph.checkpoint("policy", stage="pre_tool", tool="refund") as check:
            if denied:
                check.decide("deny", rule="over_limit")
        if denied:
            run.outcome("refused", "guardrail")
            return
        arguments = {"order": number}
        if approved:
            with tachograph.approval("refund", arguments=arguments) as ask:
                ask.shown("refund 13 dollars")
                ask.approve("maria")
        with (
            tachograph.turn(),
            tachograph.tool(
                "refund", effect="write", arguments=arguments, idempotency_key=f"k{number}{name}", authz="allow"
            ) as tool,
        ):
            tool.output_valid(True)
            if not approved:
                tool.outcome("error", error_type="CardDeclined")
        tachograph.budget("cost", limit=1.0, used=0.0313)
        if not approved:
            run.outcome("failed", "error")


def incident_runs() -> None:
    """23 runs of two agents: 11 clean refunds, 3 that write unapproved and fail, 2 refused, 7 lookups."""
    for number in range(GOOD):
        refund(number, approved=True)
    for number in range(BAD):
        refund(number, approved=False)
    for number in range(REFUSED):
        refund(number, approved=True, denied=True)
    for number in range(LOOKUPS):
        lookup(number)


def filled(path: Path, work_of_agents: Callable[[], None], now_ns: int) -> Home:
    """A home with what the agents did; the clock steps 0.1 s from `now_ns` on."""
    home = Home(path).create()
    with recording(clock=SteppingClock(now=now_ns, step=0.1)) as recorded:
        work_of_agents()
        append(home, *bodies(recorded))
    return home


def bodies(recorded: Recorded) -> tuple[tuple[Signal, bytes], ...]:
    """What an exporter would send."""
    logs = recorded._logs.get_finished_logs()
    return (
        (Signal.TRACES, encode_spans(recorded.sdk_spans()).SerializeToString()),
        *([(Signal.LOGS, encode_logs(logs).SerializeToString())] if logs else []),
    )


def alert(status: str, starts_at: str, severity: str = "page") -> tuple[Signal, bytes]:
    """A webhook of Alertmanager with one alert."""
    one = {
        "status": status,
        "labels": {"alertname": "AgentRunsFailing", "severity": severity, "gen_ai_agent_name": "airline"},
        "annotations": {"summary": "13 % of runs fail", "runbook_url": "https://runbooks.example/runs-failing"},
        "startsAt": starts_at,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "abc123",
    }
    return Signal.ALERTS, json.dumps({"version": "4", "status": status, "alerts": [one]}).encode()


def append(home: Home, *requests: tuple[Signal, bytes]) -> None:
    """Receives and decodes the bodies; they count when this returns."""
    wal = Wal(home.wal)
    for signal, body in requests:
        content = ContentType.JSON if signal is Signal.ALERTS else ContentType.PROTOBUF
        wal.append(Record(signal, Encoding.IDENTITY, content, 1_790_000_000_000_000_000, body)).result(10)
    wal.close()
    work(home, once=True)
