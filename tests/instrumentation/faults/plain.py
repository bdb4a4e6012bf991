"""A plain agent that imports nothing of telemetry, with a function of each name of the convention."""

# ruff: noqa: ARG001 - an agent's functions have the parameters of their kind

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any


class BoomError(Exception):
    pass


class ApprovalPending(Exception):  # noqa: N818 - it is no error
    pass


class CircuitOpenError(Exception):
    pass


@dataclass
class Request:
    id: str
    text: str = "please 4111 1111 1111 1111"
    tenant: str = "acme"
    session: str = "session-13"
    user: str = "user-17"
    workflow: str = "refund"
    tier: int = 2
    release: str = "desk-13"
    track: str = "canary"


@dataclass
class Pending:
    id: str
    request_id: str
    tool: str
    args: dict[str, object]
    status: str = "pending"
    requested_at: float = 17.0


TOOLS = {"refund": {"effect": "write", "tier": 2, "timeout": 5.0}, "lookup": {"read_only": True}}
SLOTS = asyncio.Semaphore(3)
DOOR = threading.BoundedSemaphore(2)
BREAKER = {"state": "half-open"}


class AnswerCache:
    name = "answers"

    def __init__(self) -> None:
        self._entries: dict[Any, Any] = {}

    def get(self, tenant: str, question: str) -> Any:
        return self._entries.get((tenant, question))

    def set(self, tenant: str, question: str, answer: Any) -> None:
        self._entries[tenant, question] = answer


class WordCache:
    def __init__(self) -> None:
        self._entries: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        return self._entries.get(key)

    def put(self, key: Any, value: Any) -> None:
        self._entries[key] = value

    def delete(self, key: Any) -> None:
        self._entries.pop(key, None)


@dataclass(frozen=True)
class Key:
    tenant: str
    part: bytes = b"17"


CACHE, WORDS = AnswerCache(), WordCache()


def validate_request(request: Any) -> dict[str, Any]:
    if request.text == "boom":
        raise BoomError(request.id)
    policy = {"name": "conduct", "version": "11"}
    return {"ok": True, "rule": "polite", "reason": "fine", "score": 0.13, "policy": policy}


def validate_prompt(text: str) -> str:
    return text.replace("4111", "****")


def validate_tool_call(tool: str, args: dict[str, Any], call_id: str | None = None) -> tuple[bool, str]:
    return args.get("amount") != 666, "because"


def validate_tool_args(tool: str, args: dict[str, Any]) -> bool:
    return args.get("booking") != 13


def validate_tool_result(tool: str, result: Any) -> bool:
    return result != {"error": "gone"}


def validate_output(text: str) -> dict[str, Any]:
    return {"decision": "redact", "redactions": 2, "categories": ["card"], "enforcement": "model"}


def authorize(role: str, tool: str) -> bool:
    if role == "nobody":
        raise PermissionError(role)
    return True


def request_approval(tool: str, args: dict[str, Any], diff: str, mode: str, who: list[str]) -> Any:
    if mode == "pause":
        raise ApprovalPending(tool)
    return {"approved": True, "approvers": who, "role": "clerk"} if who else {"status": "pending", "id": "ask-17"}


def approve(tool: str, by: str) -> bool:
    return by != "nobody"


def confirm(tool: str) -> str:
    return "expired"


def record_audit(action: str, tool: str) -> None:
    pass


def call_tool(
    tool: str,
    args: dict[str, Any],
    role: str = "clerk",
    *,
    idempotency_key: str | None = None,
    attempt: int = 1,
    backoff: float | None = None,
    last_error: Exception | None = None,
) -> Any:
    if args.get("booking") == "gone":
        raise BoomError(tool)
    if args.get("booking") == "open":
        raise CircuitOpenError(tool)
    with DOOR:
        CACHE.set("acme", "q", "a")
    if tool == "slow":
        return "the call timed out"
    if tool == "wrong":
        return {"ok": False, "error": "gone"}
    return {"documents": ["doc-13", "doc 17"], "replayed": True} if tool == "refund" else "text"


def run_tool(name: Any, work: Any = None) -> Any:
    return name if work is None else work()


async def execute_tool(tool: str, args: dict[str, Any]) -> Any:
    async with SLOTS:
        return call_tool(tool, args)


@dataclass
class Usage:
    prompt_tokens: int = 1711
    completion_tokens: int = 131


@dataclass
class Answer:
    model: str = "gpt-4o"
    usage: Usage = field(default_factory=Usage)
    choices: list[Any] = field(default_factory=lambda: [{"finish_reason": "stop"}])


def complete(prompt: str, model: str = "gpt-4o", provider: str = "openai") -> Any:
    if prompt == "boom":
        raise BoomError(prompt)
    if prompt == "bare":
        return "text"
    return {"model": model, "provider": provider, "usage": {"input_tokens": 11, "output_tokens": 13}, "attempts": 2}


def generate(prompt: str) -> Any:
    return complete(prompt) and Answer()


def chat(count: int):
    total = 0
    for number in range(count):
        try:
            total += (yield number) or 0
        except BoomError:
            total += 100
    return total


async def llm(count: int):
    for number in range(count):
        yield {"usage": {"input_tokens": number, "output_tokens": 1}}


def run_turn(turn: int) -> Any:
    return complete("hello")


def run_step(step: str) -> str:
    return step


def execute(text: str) -> str:
    return run_step(text)


def helper(tool: str) -> str:
    return tool


def plan(text: str) -> list[str]:
    return ["find", "refund"]


def route(text: str, candidates: list[str]) -> dict[str, Any]:
    return {
        "selected": candidates[0],
        "candidates": candidates,
        "scores": [0.71, 0.17],
        "constrained": True,
        "reason": "money",
        "method": "llm",
    }


def delegate(to: str, subtask_id: str) -> str:
    return to


def combine(results: list[str]) -> dict[str, Any]:
    cited = {"claim": "c", "source": "document", "ref": "doc 17", "producer": "index", "time": 1767225600}
    return {"evidence": [cited, {**cited, "time": "2026-01-01"}], "results": results}


def check_budget(type: str, limit: float, used: float) -> dict[str, str]:
    return {"action": "stop" if used >= limit else "none"}


def answer_degraded(component: str, error: Exception, *, disclosed: bool) -> dict[str, Any]:
    return {"disclosed": disclosed}


def fallback_model(prompt: str) -> str:
    return prompt


def evaluate(case_id: str, suite: str) -> dict[str, Any]:
    return {"results": [{"metric": "helpful", "score": 0.87, "passed": True}]}


def release_gate(gate: str) -> dict[str, Any]:
    return {"verdict": "pass", "decision": "promote", "samples": 13, "observed": 0.93}


def handle(request: Any) -> dict[str, Any]:
    validate_request(request)
    with_tools = request.text.startswith("please")
    got = [plan(request.text), route(request.text, ["refund", "person"]), refund() if with_tools else None]
    ask = request_approval("pay", {"a": 1}, "0 -> 1", "single", [] if request.text == "wait" else ["clerk-17"])
    cited = {"claim": "c", "source": "tool_call", "ref": "doc-13", "producer": "index", "time": 1767225600}
    return {"got": got, "ask": ask, "evidence": [cited], "claims": 2, "assumptions": [1], "confidence": 0.83}


def refund() -> Any:
    args = {"booking": "K13"}
    validate_tool_call("refund", args)
    authorize("clerk", "refund")
    request_approval("refund", args, "117 -> 0", "dual", ["clerk-17", "chief-11"])
    found = call_tool("refund", args, idempotency_key="k-13", attempt=2, backoff=0.5, last_error=TimeoutError())
    validate_tool_result("refund", found)
    return found


def resume(pending: Pending, decision: dict[str, Any]) -> Any:
    if not decision["approved"]:
        return None
    return call_tool(pending.tool, pending.args, idempotency_key=pending.id)


class Base:
    """Methods of each kind."""

    tools = TOOLS
    agent_name = "classy"

    def route(self, text: str) -> str:
        return "base"

    def use_tool(self, name: str, payload: dict[str, Any]) -> str:
        return name

    @staticmethod
    def combine(results: list[int]) -> int:
        return sum(results)

    @classmethod
    def decompose(cls, text: str) -> list[str]:
        return [cls.__name__, *text.split()]

    async def run(self, text: str) -> str:
        await asyncio.sleep(0)
        return f"{text}:{self.route(text)}"


class Child(Base):
    def route(self, text: str) -> str:
        return "child of " + super().route(text)
