"""A plain support agent: it imports nothing of telemetry."""

# ruff: noqa: ARG001 - an agent's functions have the parameters of their kind

from __future__ import annotations

from dataclasses import dataclass, field

TOOLS = {
    "refund": {"effect": "write", "tier": 2},
    "lookup": {"read_only": True},
    "wipe": {"effect": "irreversible", "tier": 2},
}


class RefusedError(Exception):
    pass


@dataclass
class Request:
    tenant: str
    text: str
    user: str = "user-17"
    session: str = "session-13"
    workflow: str = "refund"
    tier: int = 2
    calls: list[tuple[str, dict[str, object]]] = field(default_factory=list)


def validate_request(request: Request) -> None:
    if "forbidden" in request.text:
        raise RefusedError(request.text)


def plan(request: Request) -> list[tuple[str, dict[str, object]]]:
    return request.calls


def validate_tool_call(tool: str, args: dict[str, object]) -> bool:
    return args.get("amount", 0) != 666


def authorize(actor: str, tool: str) -> bool:
    return tool != "wipe"


def call_tool(
    tool: str, actor: str, args: dict[str, object], *, idempotency_key: str | None = None
) -> dict[str, object]:
    if args.get("amount") == 404:
        return {"error": "no such booking"}
    return {"tool": tool, "args": args, "key": idempotency_key}


def validate_tool_result(tool: str, result: dict[str, object]) -> bool:
    return "error" not in result


def validate_output(text: str) -> str:
    return text.replace("4111", "****")


def handle(request: Request) -> str:
    validate_request(request)
    answers = []
    for number, (tool, args) in enumerate(plan(request)):
        if not validate_tool_call(tool, args) or not authorize("clerk", tool):
            answers.append(f"{tool} denied")
            continue
        result = call_tool(tool, "clerk", args, idempotency_key=f"{request.session}-{number}")
        if not validate_tool_result(tool, result):
            answers.append(f"{tool} failed")
            continue
        answers.append(f"{tool} done")
    return validate_output(", ".join(answers) + f" for {request.text}")
