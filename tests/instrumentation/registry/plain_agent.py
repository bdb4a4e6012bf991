"""A plain agent that has every function of the naming convention, and says all that can be read of one."""

# ruff: noqa: ARG001 - an agent's functions have the parameters of their kind

from __future__ import annotations

import asyncio
from typing import Any


class GoneError(Exception):
    pass


class Few(asyncio.Semaphore):
    limit = 1


TOOLS = {"refund": {"effect": "write", "tier": 2, "timeout": 5.0}, "lookup": {"read_only": True}}
SLOTS = asyncio.Semaphore(3)
FEW = Few(1)
BREAKER = {"state": "half-open"}


class AnswerCache:
    name = "answers"

    def __init__(self) -> None:
        self._entries: dict[str, str] = {}

    def get(self, tenant: str, question: str) -> str | None:
        if question == "gone":
            raise GoneError
        return self._entries.get(tenant + question)

    def set(self, tenant: str, question: str, answer: str) -> None:
        self._entries[tenant + question] = answer


CACHE = AnswerCache()


def _may_fail(value: object) -> None:
    if value == "gone":
        raise GoneError


def validate_request(text: str) -> dict[str, Any]:
    _may_fail(text)
    policy = {"name": "conduct", "version": "11"}
    return {"ok": True, "rule": "polite", "reason": "fine", "score": 0.13, "policy": policy}


def validate_tool_call(tool: str, args: dict[str, Any], call_id: str) -> bool:
    return True


def validate_tool_args(tool: str, args: dict[str, Any]) -> bool:
    return args.get("booking") != 13


def validate_tool_result(tool: str, result: Any) -> bool:
    return True


def validate_output(text: str) -> dict[str, Any]:
    return {"decision": "redact", "redactions": 2, "categories": ["card"]}


def authorize(role: str, tool: str) -> bool:
    return True


def request_approval(tool: str, args: dict[str, Any], diff: str, mode: str, who: list[str]) -> dict[str, Any]:
    _may_fail(tool)
    return {"approved": True, "approvers": who, "role": "clerk"} if who else {"status": "pending"}


async def call_tool(
    tool: str,
    args: dict[str, Any],
    role: str,
    *,
    idempotency_key: str | None = None,
    attempt: int = 1,
    backoff: float | None = None,
    last_error: Exception | None = None,
) -> Any:
    _may_fail(args.get("booking"))
    async with SLOTS:
        CACHE.set("acme", "q", "a")
        CACHE.get("acme", "q")
    return "text" if tool == "lookup" else {"documents": ["doc-13"]}


def complete(prompt: str, model: str = "gpt-4o", provider: str = "openai") -> dict[str, Any]:
    _may_fail(prompt)
    usage = {
        "input_tokens": 1711,
        "output_tokens": 131,
        "cached_tokens": 1024,
        "cache_write_tokens": 17,
        "reasoning_tokens": 11,
    }
    return {"model": model, "usage": usage, "finish_reason": "stop", "retries_taken": 2}


def run_turn(text: str) -> Any:
    _may_fail(text)
    return complete(text), complete(text, "house-13", "own")


def run_step(step: str) -> None:
    _may_fail(step)


async def crowd() -> None:
    """Has more asked of a semaphore than it lets in, and then lets in more."""
    await FEW.acquire()
    waits = asyncio.create_task(FEW.acquire())
    await asyncio.sleep(0)
    FEW.limit = 2
    another = asyncio.create_task(FEW.acquire())
    await asyncio.sleep(0)
    for _ in range(3):
        FEW.release()
    await asyncio.gather(waits, another)


def plan(text: str) -> list[str]:
    _may_fail(text)
    return ["find", "refund"]


def route(text: str) -> dict[str, Any]:
    _may_fail(text)
    return {
        "selected": "refund",
        "candidates": ["refund", "person"],
        "scores": [0.71, 0.17],
        "constrained": True,
        "reason": "money",
    }


def delegate(to: str, subtask_id: str) -> None:
    _may_fail(subtask_id)


def combine(results: list[str]) -> None:
    _may_fail(results[0])


def check_budget(type: str, limit: float, used: float) -> dict[str, str]:
    return {"action": "continue" if type == "turns" else "degrade"}


def answer_degraded(component: str, trigger: str, *, disclosed: bool) -> str:
    return "less"


def evaluate(case_id: str, suite: str) -> dict[str, Any]:
    return {"metric": "helpful", "score": 0.87, "label": "pass", "error_type": "Gone"}


def release_gate(gate: str) -> dict[str, Any]:
    numbers = {"samples": 13, "observed": 0.93, "baseline": 0.92, "threshold": 0.03, "data_age": 660}
    return {"verdict": "pass", "decision": "promote", **numbers}


async def handle(
    text: str, *, tenant: str, session: str, user: str, workflow: str, release: str, track: str, tier: int
) -> dict[str, Any]:
    validate_request(text)
    run_turn(text)
    await _refund()
    await crowd()
    plan(text)
    route(text)
    delegate("refunds", "task-13")
    combine(["a", "b"])
    check_budget("turns", 3, 3)
    check_budget("cost", 0.05, 0.06)
    answer_degraded("model", "budget", disclosed=True)
    evaluate("case-17", "live")
    release_gate("canary")
    validate_output(text)
    cited = {"claim": "c", "source": "document", "ref": "doc-13", "producer": "index", "time": 1767225600}
    return {
        "evidence": [cited],
        "claims": 2,
        "assumptions": 1,
        "confidence": 0.83,
        "outcome": "degraded",
        "stop_reason": "cost_budget",
    }


async def _refund() -> None:
    args = {"booking": "K13"}
    validate_tool_args("lookup", {"booking": 13})
    validate_tool_args("refund", args)
    validate_tool_call("refund", args, "call-13")
    authorize("clerk", "refund")
    request_approval("refund", args, "117 USD -> 0 USD", "dual", ["clerk-17", "chief-11"])
    found = await call_tool(
        "refund", args, "clerk", idempotency_key="k-13", attempt=2, backoff=0.5, last_error=TimeoutError()
    )
    validate_tool_result("refund", found)
    for _ in range(200):
        await asyncio.sleep(0.001)
    await call_tool("lookup", args, "clerk")


async def ask(track: str) -> None:
    """Has every step fail once."""
    calls = (
        validate_request,
        complete,
        run_turn,
        run_step,
        plan,
        route,
        lambda gone: delegate("refunds", gone),
        lambda gone: combine([gone]),
        lambda gone: request_approval(gone, {}, "", "single", []),
        lambda gone: CACHE.get("acme", gone),
    )
    for call in calls:
        try:
            call("gone")
        except GoneError:
            continue
    try:
        await call_tool("lookup", {"booking": "gone"}, "clerk")
    except GoneError:
        await handle_message("gone")


def resume(request_id: str) -> None:
    """Goes on with a request that waited; that there is such a function says that requests wait."""


async def handle_message(text: str) -> None:
    _may_fail(text)


async def respond(tool: str, track: str) -> None:
    """Asks, and nobody answers yet."""
    complete("who may answer?")
    request_approval(tool, {}, "", "single", [])


def reply() -> None:
    """What somebody else's run is asked for."""
