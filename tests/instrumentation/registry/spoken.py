"""An agent that says all that can be said by hand."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

import tachograph
from tachograph.telemetry import event_loop

MOMENT = datetime(2026, 1, 1, 0, 0, 13, tzinfo=UTC)


class GoneError(Exception):
    pass


async def everything() -> None:
    """Says all that can be said."""
    tachograph.policy("refund-limits", "2026-11")
    tachograph.release("desk-13", track="canary")
    with tachograph.run(workflow="refund", tier=2, tenant="acme", session="session-13", user="user-17") as run:
        run.content(input="refund K13", output="done")
        with tachograph.turn():
            _models()
        _checks()
        _tools()
        _evidence(run)
        _flow()
        await _limits()
        _cache()
        _judged()
    with contextlib.suppress(GoneError), tachograph.run(workflow="refund"):
        _failures()
    with tachograph.run(workflow="refund") as run:
        with tachograph.approval("refund", tier=1):
            pass
        run.suspend()


def part() -> None:
    """What somebody else's run is asked for."""
    with tachograph.run(workflow="refund"):
        pass


def _models() -> None:
    with tachograph.llm_call("gpt-4o", provider="openai") as call:
        call.usage(input_tokens=1711, output_tokens=131, cached_tokens=1024, cache_write_tokens=17, reasoning_tokens=11)
        call.response(model="gpt-4o-2024-08-06", finish_reasons=["stop"])
        call.attempt(2)
        call.circuit("half_open")
        call.content(input="hello", output="fine")
    with tachograph.llm_call("house-13", provider="own") as call:
        call.usage(input_tokens=13, output_tokens=11)


def _checks() -> None:
    with tachograph.checkpoint("limits", stage="pre_tool", tool="refund") as check:
        check.decide("allow", rule="below", reason="small", score=0.13, policy="limits", policy_version="11")
    with tachograph.checkpoint("pii", stage="post_output") as check:
        check.redacted(2, ["card"])


def _tools() -> None:
    arguments = {"booking": "K13"}
    with tachograph.approval("refund", tier=2, arguments=arguments) as ask:
        ask.shown("117 USD -> 0 USD")
        ask.approve("clerk-17", role="clerk")
        ask.approve("chief-11", role="supervisor")
    with tachograph.tool(
        "refund", effect="write", tier=2, arguments=arguments, idempotency_key="k-13", role="clerk", timeout=5.0
    ) as call:
        call.input_valid(True)
        call.authorized(True)
        call.circuit("closed")
        tachograph.retry(2, backoff=0.5, error=TimeoutError())
        call.output_valid(True)
        call.result("done", documents=["doc-13"])
        call.cost(0.017)
    with tachograph.tool("refund") as call:
        call.input_valid(False)


def _evidence(run: Any) -> None:
    tachograph.evidence("no_refund", source="document", ref="doc-13", producer="index", time=MOMENT)
    run.answer(claims=2, assumptions=1, confidence=0.83)
    run.outcome("degraded", "cost_budget")


def _flow() -> None:
    with tachograph.route("desk", method="llm", constrained=True) as route:
        route.considered(["refund", "person"], scores=[0.71, 0.17])
        route.choose("refund", reason="money")
    with tachograph.plan("first") as plan:
        plan.subtasks(2)
    with tachograph.delegate("refunds", subtask="task-13"):
        pass
    with tachograph.combine("merge", inputs=2):
        pass
    tachograph.budget("turns", limit=3, used=3, action="continue")
    tachograph.budget("cost", limit=0.05, used=0.06, action="degrade")
    with tachograph.degraded("partial_answer", trigger="budget", component="model", disclosed=True):
        pass


async def _limits() -> None:
    for _ in range(300):
        await asyncio.sleep(0.001)
        with tachograph.tool("lookup"), tachograph.limiter("models", limit=3) as slot:
            slot.acquired()
        if event_loop.lag() is not None:
            break
    with tachograph.limiter("few", limit=1) as slot:
        slot.acquired()
        for limit in (1, 2):  # full, and then raised
            with tachograph.limiter("few", limit=limit) as another:
                another.rejected()
    with tachograph.run("helper"):  # a run inside of a run is a step
        pass


def _cache() -> None:
    with tachograph.tool("lookup"), tachograph.cache("answers", key=("acme", "q"), parts=("tenant", "q")) as lookup:
        lookup.hit(tenant="acme", age=17.0, saved=0.0013)


def _judged() -> None:
    tachograph.evaluation("helpful", score=0.87, label="pass", suite="live", case_id="case-17", error="Gone")
    tachograph.gate(
        "canary", verdict="pass", decision="promote", samples=13, observed=0.93, baseline=0.92, threshold=0.03,
        data_age=660,
    )  # fmt: skip


def _failures() -> None:
    hooks = [
        tachograph.turn(), tachograph.llm_call("gpt-4o"), tachograph.checkpoint("limits", stage="pre_request"),
        tachograph.approval("refund"), tachograph.plan(), tachograph.route("desk"), tachograph.delegate("refunds"),
        tachograph.combine("merge"), tachograph.cache("answers"), tachograph.tool("lookup"), tachograph.run("helper"),
    ]  # fmt: skip
    for hook in hooks:
        with contextlib.suppress(GoneError), hook:
            raise GoneError
    raise GoneError
