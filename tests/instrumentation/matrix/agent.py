"""A travel desk in plain Python, written by somebody who has never heard of telemetry.

Each request takes one way through it, named by its text.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

TOOLS = {
    "refund": {"effect": "write", "tier": 1, "timeout": 5.0},
    "lookup": {"read_only": True, "timeout": 5.0},
    "search_policy": {"read_only": True, "timeout": 0.5},
}


class DeniedError(Exception):
    pass


class ProviderDownError(Exception):
    pass


class CircuitOpenError(Exception):
    pass


class TurnLimitError(Exception):
    pass


@dataclass(frozen=True)
class Request:
    text: str
    tenant: str = "acme"
    workflow: str = "travel"
    session: str = "session-13"
    user: str = "user-17"
    release: str = "desk-11"
    track: str = "canary"
    id: str | None = None


@dataclass(frozen=True)
class Policy:
    name: str
    version: str


@dataclass(frozen=True)
class Verdict:
    allowed: bool
    rule: str
    score: float
    policy: Policy = Policy("conduct", "2026-11")


@dataclass
class Usage:
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


@dataclass
class Reply:
    text: str
    model: str
    usage: Usage
    retries_taken: int = 0


@dataclass
class Breaker:
    state: str = "closed"


class Model:
    provider = "openai"

    def __init__(self) -> None:
        self.breaker = Breaker()

    def complete(self, prompt: str, model: str = "gpt-4o") -> Reply:
        if prompt == "provider down" and model == "gpt-4o":
            raise ProviderDownError(prompt)
        return Reply("fine", model, Usage(1711, 131, 1024), retries_taken=2 if prompt == "retried" else 0)


@dataclass
class AnswerCache:
    scope: str = "tenant"
    _entries: dict[tuple[str, str], str] = field(default_factory=dict)

    def get(self, tenant: str, question: str) -> str | None:
        return self._entries.get((tenant, question))

    def set(self, tenant: str, question: str, answer: str) -> None:
        self._entries[tenant, question] = answer


class TravelDesk:
    agent_name = "travel_desk"

    def __init__(self) -> None:
        self.model = Model()
        self.answer_cache = AnswerCache()
        self.bookings = threading.BoundedSemaphore(2)
        self.breakers = {"refund": Breaker("half_open"), "lookup": Breaker("closed")}
        self.stored: dict[str, dict[str, Any]] = {}
        self.tries = 0

    # -- guardrails
    def validate_request(self, request: Request) -> Verdict:
        return Verdict("ignore your rules" not in request.text, "injection", 0.97 if "ignore" in request.text else 0.03)

    def validate_output(self, answer: str) -> bool:
        return "4111" not in answer

    def validate_tool_call(self, tool: str, args: dict[str, Any]) -> bool:
        return True

    def validate_tool_args(self, tool: str, args: dict[str, Any]) -> None:
        if not isinstance(args.get("booking"), str):
            raise TypeError("booking")

    def validate_tool_result(self, tool: str, result: dict[str, Any]) -> bool:
        return "<script>" not in str(result)

    def authorize(self, actor: str, tool: str) -> bool:
        return actor != "trainee" or tool != "refund"

    # -- people
    def request_approval(self, tool: str, args: dict[str, Any], diff: str, decision: str) -> dict[str, Any]:
        if decision == "pending":
            return {"status": "pending"}
        return {"approved": decision == "yes", "approver": "clerk-17", "role": "clerk"}

    # -- tools
    def call_tool(
        self, tool: str, args: dict[str, Any], *, role: str = "clerk", idempotency_key: str | None = None
    ) -> Any:
        if idempotency_key in self.stored:
            return {**self.stored[idempotency_key], "replayed": True}
        if args.get("how") == "raises":
            raise TimeoutError
        if args.get("how") == "tells":
            return "The tool timed out after 0.5 seconds."
        if args.get("how") == "open":
            raise CircuitOpenError
        if args.get("how") == "script":
            return {"page": "<script>"}
        result: dict[str, Any] = {"booking": args.get("booking"), "documents": ["policy-7", "policy-11"]}
        if idempotency_key is not None:
            self.stored[idempotency_key] = result
        return result

    def use(self, tool: str, args: dict[str, Any], role: str = "clerk", key: str | None = None) -> Any:
        self.validate_tool_args(tool, args)
        if not self.validate_tool_call(tool, args) or not self.authorize(role, tool):
            raise DeniedError(tool)
        result = self.call_tool(tool, args, role=role, idempotency_key=key)
        return result if self.validate_tool_result(tool, result) else None

    # -- loop, router, specialists
    def check_budget(self, type: str, limit: int, used: int, on_hit: str) -> dict[str, Any]:
        return {"type": type, "limit": limit, "used": used, "action": on_hit if used >= limit else "none"}

    def run_turn(self, turn: int) -> str:
        return self.model.complete(f"turn {turn}").text

    def think(self, on_hit: str) -> str:
        for turn in range(1, 14):
            if self.check_budget("turns", 3, turn, on_hit)["action"] == "stop":
                raise TurnLimitError
            if turn >= 3:
                return self.answer_degraded(trigger="budget", disclosed=True)
            self.run_turn(turn)
        return ""

    def answer_degraded(self, trigger: str, *, disclosed: bool) -> str:
        return "this far I came"

    def route(self, text: str) -> dict[str, Any]:
        return {
            "selected": "billing",
            "candidates": ["billing", "travel", "person"],
            "scores": [0.71, 0.17, 0.11],
            "method": "classifier",
            "reason": "asks_for_money",
        }

    def plan(self, text: str) -> list[str]:
        return ["find the booking", "refund it"]

    def delegate(self, to: str, subtask_id: str) -> str:
        return self.handoff("refunds", "task-13") if to == "billing" else "done"

    def handoff(self, to: str, subtask_id: str) -> str:
        return "done"

    def combine(self, results: list[str], strategy: str = "merge") -> str:
        return " ".join(results)

    def fallback_model(self, prompt: str, *, component: str) -> dict[str, Any]:
        return {"text": self.model.complete(prompt, model="gpt-4o-mini").text, "disclosed": True}

    # -- one request
    def handle(self, request: Request) -> Any:
        if not self.validate_request(request).allowed:
            return {"text": "no", "outcome": "refused", "stop_reason": "guardrail"}
        return getattr(self, "way_" + request.text.replace(" ", "_").replace(":", ""))(request)

    def way_hello(self, request: Request) -> str:
        answer = self.model.complete("hello").text
        return answer if self.validate_output(answer) else ""

    def way_leak(self, request: Request) -> str:
        return "" if not self.validate_output("card 4111 1111 1111 1111") else "leaked"

    def way_script(self, request: Request) -> Any:
        return self.use("lookup", {"booking": "K13", "how": "script"})

    def way_wrong_arguments(self, request: Request) -> str:
        try:
            self.use("lookup", {"booking": 13})
        except TypeError:
            return "which booking?"
        return ""

    def way_refund(self, request: Request, decision: str = "yes") -> Any:
        args = {"booking": "K13", "amount": 117}
        answer = self.request_approval("refund", args, "117 USD -> 0 USD", decision)
        if not answer.get("approved"):
            return {"text": "not yet", "outcome": "escalated"}
        self.use("refund", args, key="refund-K13")
        return self.use("refund", args, key="refund-K13")

    def way_refund_pending(self, request: Request) -> Any:
        return self.way_refund(request, "pending")

    def way_refund_rejected(self, request: Request) -> Any:
        return self.way_refund(request, "no")

    def way_refund_on_tuesday(self, request: Request) -> str:
        self.request_approval("refund", {"booking": "K19"}, "19 USD -> 0 USD", "pending")
        return "a clerk will look at it"

    def resume(self, request: Request, decision: dict[str, Any]) -> Any:
        if decision["status"] != "approved":
            return "no"
        return self.use("refund", {"booking": "K19"}, key="refund-K19")

    def way_refund_by_a_trainee(self, request: Request) -> str:
        try:
            self.use("refund", {"booking": "K13", "amount": 17}, role="trainee", key="refund-K17")
        except DeniedError:
            return "ask somebody else"
        return ""

    def way_slow(self, request: Request) -> str:
        try:
            self.use("search_policy", {"booking": "K13", "how": "raises"})
        except TimeoutError:
            return "too slow"
        return ""

    def way_slow_and_told(self, request: Request) -> Any:
        return self.use("search_policy", {"booking": "K13", "how": "tells"})

    def way_open(self, request: Request) -> str:
        try:
            self.use("lookup", {"booking": "K13", "how": "open"})
        except CircuitOpenError:
            return "not now"
        return ""

    def way_proof(self, request: Request) -> dict[str, Any]:
        found = self.use("lookup", {"booking": "K13"})
        rests_on = {"source": "document", "ref": found["documents"][0], "producer": "policy_index", "time": 1767225600}
        return {
            "text": "No refund after departure.",
            "evidence": [
                {"claim": "no_refund", **rests_on},
                {"claim": "made_up", "source": "document", "ref": "policy-99", "producer": "model", "time": 1767225600},
            ],
            "claims": 2,
            "assumptions": ["one adult"],
            "confidence": 0.83,
        }

    def way_too_many_turns(self, request: Request) -> str:
        return self.think("stop")

    def way_too_many_turns_and_an_answer(self, request: Request) -> str:
        return self.think("degrade")

    def way_money(self, request: Request) -> str:
        chosen = self.route(request.text)["selected"]
        results = [self.delegate(chosen, f"task-{number}") for number, _ in enumerate(self.plan(request.text))]
        return self.combine(results)

    def way_crowd(self, request: Request) -> str:
        self.bookings.acquire()
        self.bookings.acquire()
        assert not self.bookings.acquire(blocking=False)
        self.bookings.release()
        self.bookings.release()
        return "served"

    def way_question(self, request: Request) -> str:
        known = self.answer_cache.get(request.tenant, request.text)
        if known is None:
            known = self.model.complete(request.text).text
            self.answer_cache.set(request.tenant, request.text, known)
        return known

    def way_retried(self, request: Request) -> str:
        return self.model.complete("retried").text

    def way_provider_down(self, request: Request) -> str:
        self.model.breaker.state = "open"
        try:
            return self.model.complete("provider down").text
        except ProviderDownError:
            return self.fallback_model("provider down", component="openai")["text"]
        finally:
            self.model.breaker.state = "closed"


@dataclass(frozen=True)
class Case:
    id: str
    text: str
    expected: str


class GoldenSet:
    """What decides whether a release of the desk may go on."""

    suite = "golden"

    def __init__(self, desk: TravelDesk) -> None:
        self.desk = desk

    def evaluate(self, case: Case) -> dict[str, Any]:
        answer = self.desk.handle(Request(case.text, release="desk-17", track="shadow"))
        return {"metric": "exact_match", "score": 1.0 if answer == case.expected else 0.0, "passed": True}

    def release_gate(self, name: str) -> dict[str, Any]:
        return {
            "verdict": "pass",
            "decision": "promote",
            "samples": 13,
            "observed": 0.93,
            "baseline": 0.92,
            "margin": 0.03,
        }
