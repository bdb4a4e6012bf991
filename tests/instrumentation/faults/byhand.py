"""An agent that says all that can be said by hand, in parts that are played alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from instrumentation.faults.exceptions import BoomError
from opentelemetry import baggage, context, trace

import tachograph

MOMENT = datetime(2026, 1, 1, 0, 0, 13, tzinfo=UTC)
AGENTS = 3  # that a process may have, where these are played
HERE = trace.SpanContext(17, 13, is_remote=True)
MESSAGE = '[{"role": "user", "content": "DE89 3704 0044 0532 0130 00, alice@example.com, 17 Main Street"}]'


@dataclass(slots=True)
class Case:
    booking: str = "K13"


def run() -> object:
    tachograph.policy("refund-limits", "2026-11")
    tachograph.release("desk-13", track="canary")
    with tachograph.run(workflow="refund", tier=2, tenant="acme", session="session-13", user="user-17") as run:
        assert run.id != ""
        run.content(input="refund K13", output={"done": [True, 1.5, b"x", None, {"deep"}]})
        tachograph.release("desk-17")
        with tachograph.turn(), tachograph.run("helper"):  # a run inside of a run is a step
            pass
        tachograph.evidence("no_refund", source="document", ref="doc-13", producer="index", time=MOMENT)
        tachograph.evidence("a claim in words", source="tool_call", ref="call-1")
        run.answer(claims=2, assumptions=1, confidence=0.83)
        run.outcome("degraded", "cost_budget")
        with tachograph.tool("inner", idempotency_key="k"):
            pass
    return tachograph.run_id()


def waiting() -> object:
    with tachograph.run(workflow="refund") as run:
        with tachograph.checkpoint("limits", stage="pre_tool", tool="refund") as check:
            check.decide("deny")
        tachograph.budget("cost", limit=0.05, used=0.06, action="continue")
        with tachograph.approval("pay", tier=1, arguments={"a": 1}) as kept:
            kept.approve("clerk-17")
        with tachograph.approval("refund", tier=1, arguments={"booking": "K13"}):
            pass
        resume = run.suspend()
    with tachograph.run(resume=resume), tachograph.approval("refund", arguments={"booking": "K13"}) as ask_again:
        ask_again.approve("clerk-17")
    with tachograph.run(), tachograph.approval("refund") as asked:
        asked.reject("clerk-17")
    with tachograph.run(id="run-17"), tachograph.approval("refund", id="of-old", requested_at=17.0):
        pass
    with tachograph.run(), tachograph.approval("refund"):
        pass
    return None


def part() -> object:
    """A part of a run of a caller in another process."""
    token = context.attach(baggage.set_baggage("tachograph.run.id", "run-17"))
    try:
        with tachograph.run(workflow="refund"):
            pass
    finally:
        context.detach(token)
    return baggage.get_baggage("tachograph.run.id")


def models() -> object:
    with tachograph.run():
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=1711, output_tokens=131, cached_tokens=1024, cache_write_tokens=17)
            call.response(model="gpt-4o-2024-08-06", finish_reasons=["stop"])
            call.attempt(2)
            call.circuit("half_open")
            call.content(input="hello", output="fine")
        with tachograph.llm_call("claude-3-5-sonnet-20241022") as call:
            call.usage(input_tokens=13, output_tokens=11)
        with tachograph.llm_call("openai/gpt-4o-2024-11-20", provider="litellm") as call:
            call.usage(input_tokens=13, output_tokens=11)
        with tachograph.llm_call("gemini-2.5-pro", provider="gcp.vertex_ai") as call:
            call.usage(input_tokens=300_013, output_tokens=11)
        with tachograph.llm_call("deepseek-chat", provider="DeepSeek") as call:
            call.usage(input_tokens=13, output_tokens=11)
            call.outcome("refused")
    return None


def checks() -> object:
    with tachograph.run():
        with tachograph.checkpoint("limits", stage="pre_tool", tool="refund") as check:
            check.decide(
                "allow", rule="below", reason="because it is small", score=0.13, policy="p", policy_version="1"
            )
        with tachograph.checkpoint("told", stage="pre_model", enforcement="prompt"):
            pass
        with tachograph.checkpoint("pii", stage="post_output") as check:
            check.redacted(2, ["card"])
    return None


def tools() -> object:
    arguments = {
        "booking": "K13",
        "who": [("a", 1), {"b"}, MOMENT, 10**400, None, 1.5, b"x", 1 << 70, BoomError, Case()],
    }
    with tachograph.run(tenant="acme"):
        with tachograph.approval("refund", tier=2, arguments=arguments) as ask_:
            assert ask_.id != ""
            ask_.shown("117 USD -> 0 USD")
            ask_.approve("clerk-17", role="clerk")
            ask_.modify("chief-11", arguments, role="supervisor")
        for _ in range(2):
            with tachograph.tool(
                "refund", effect="write", tier=2, arguments=arguments, idempotency_key="k-13", role="clerk", timeout=5.0
            ) as call:
                call.input_valid(True)
                call.authorized(True, role="clerk")
                call.circuit("closed")
                tachograph.retry(2, backoff=0.5, error=TimeoutError())
                call.output_valid(True)
                call.result("done, and paid to 4111 1111 1111 1111", documents=["doc-13"])
                call.cost(0.017)
        with tachograph.tool("refund", idempotency_key="k-13") as call:
            call.replayed()
            call.outcome("error", error_type="Gone")
        with tachograph.tool("refund", effect="irreversible") as call:
            call.input_valid(False)
            call.attempt(3)
        with tachograph.approval("refund") as other:
            other.decide("expired")
    with tachograph.tool("refund", effect="write"):
        pass
    return None


def flow() -> object:
    with tachograph.run():
        with tachograph.route("desk", candidates=["a"], method="llm", constrained=True) as route:
            route.considered(["refund", "person"], scores=[0.71, 0.17])
            route.considered(["refund", Case()])  # pyright: ignore[reportArgumentType] - what a host may pass
            route.choose("refund", reason="money")
        with tachograph.route("desk", candidates=None):
            pass
        with tachograph.plan("first") as plan:
            plan.subtasks(2)
        with tachograph.delegate("refunds", subtask="task-13"), tachograph.delegate("others"):
            pass
        with tachograph.combine("merge", inputs=2):
            pass
        tachograph.budget("turns", limit=3, used=3, action="stop")
        with tachograph.degraded("partial_answer", trigger="budget", component="model") as mode:
            mode.disclosed(False)
        tachograph.evaluation("helpful", score=0.87, label="pass", suite="live", case_id="case-17", error="Gone")
        tachograph.gate("canary", verdict="pass", decision="promote", samples=13, observed=0.93, data_age=1e9)
        tachograph.gate("canary", verdict="pass", decision="promote")
    return None


async def _limits() -> None:
    with tachograph.tool("lookup"), tachograph.limiter("models", limit=3) as slot:
        slot.acquired()
    await asyncio.sleep(0.004)
    with tachograph.limiter("few", limit=1) as slot:
        slot.acquired()
        for limit in (1, 2):  # full, and then raised
            with tachograph.limiter("few", limit=limit) as another:
                another.rejected()
    with contextlib.suppress(TimeoutError), tachograph.limiter("few", limit=1):
        raise TimeoutError


def limits() -> object:
    return asyncio.run(_limits())


def caches() -> object:
    with tachograph.run(tenant="acme"), tachograph.tool("lookup", effect="write"):
        with tachograph.cache("answers", key=("acme", "q"), parts=("tenant", "q")) as lookup_:
            lookup_.hit(tenant="other", age=17.0, saved=0.0013)
        with tachograph.cache("answers", parts=["q"]) as lookup_:
            lookup_.result("bypass")
    return None


def many() -> object:
    for used in range(80):
        tachograph.budget("turns", limit=50, used=used)
    for number in range(AGENTS + 1):
        with tachograph.run(f"agent-{number}"):
            pass
    return None


def nested() -> str:
    """The body of a plain agent's call that says by hand what it is."""
    with tachograph.tool("lookup", effect="write", idempotency_key="k") as call:
        call.result("x")
    return "done"


def framework() -> object:
    """Spans and log records of somebody else's, below a run, and the host's own log."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("host")
    logger.addHandler(handler)
    tracer = trace.get_tracer("framework")
    try:
        with tachograph.run("agent"):
            with tracer.start_as_current_span("theirs", links=[trace.Link(HERE, {"why": "because"})]) as span:
                span.set_attributes({"gen_ai.operation.name": "chat", "user.email": "a@b.example", "enduser.id": "u"})
                span.set_attribute("gen_ai.input.messages", MESSAGE)
                span.add_event("gen_ai.choice", {"gen_ai.output.messages": MESSAGE, "n": 13})
                logger.warning("hello %s", "4111")
            with contextlib.suppress(BoomError), tracer.start_as_current_span("broken"):
                raise BoomError("17")
            tracer.start_span("left open", context=context.Context())
        with tachograph.run("quiet"):
            pass
        logger.warning("outside")
    finally:
        logger.removeHandler(handler)
    return lines


PARTS = (run, waiting, part, models, checks, tools, flow, limits, caches, many, framework)
