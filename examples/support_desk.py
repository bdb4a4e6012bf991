"""A small support desk: it answers questions about orders, and refunds them when its supervisor agrees.

A plain program, as anybody might write it. The model is canned, so it needs neither a key nor a network.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

ORDERS = {"A11": 49.0, "B13": 129.0, "C17": 1900.0}
LIMIT = 500.0  # the desk refunds no more than this


@dataclass(frozen=True)
class Request:
    tenant: str
    user: str
    text: str


@dataclass(frozen=True)
class Reply:
    text: str
    model: str
    provider: str
    usage: dict[str, int]


def validate_request(request: Request) -> bool:
    return 0 < len(request.text) < 500


def route(text: str, candidates: tuple[str, ...] = ("refund", "question")) -> str:
    return candidates[0] if "refund" in text.lower() else candidates[1]


def chat(messages: list[str]) -> Reply:
    """The model: it reads the last message, and the answer is always friendly."""
    text = f"Gladly. {messages[-1]}"
    usage = {"input_tokens": sum(len(each) for each in messages) // 4, "output_tokens": len(text) // 4}
    return Reply(text, "gpt-4o-mini", "openai", usage)


def approve(tool: str, args: dict[str, object], approver: str, diff: str) -> bool:
    return bool(diff) and float(str(args["amount"])) <= LIMIT


def call_tool(
    tool: str, actor: str, args: dict[str, object], *, idempotency_key: str | None = None
) -> dict[str, object]:
    if tool == "look_up":
        return {"amount": ORDERS[str(args["order"])]}
    return {"refunded": args["amount"], "key": idempotency_key}


def handle(request: Request) -> str:
    if not validate_request(request):
        return "Please ask in a sentence or two."
    order = request.text.split()[-1].strip("?.")
    found = call_tool("look_up", request.user, {"order": order})
    if route(request.text) == "question":
        return chat([request.text, f"Order {order} cost {found['amount']:.2f}."]).text
    change = {"order": order, "amount": found["amount"]}
    if not approve("refund", change, approver="supervisor", diff=f"{order}: {found['amount']:.2f} -> 0.00"):
        return chat([request.text, f"Refunding {order} is for a colleague to decide."]).text
    call_tool("refund", request.user, change, idempotency_key=f"refund-{order}")
    return chat([request.text, f"Order {order} is refunded."]).text


def main(orders: list[str]) -> None:
    for number, order in enumerate(orders):
        text = f"How much was {order}?" if number % 2 == 0 else f"Please refund {order}"
        print(handle(Request("acme", f"user-{number}", text)))


if __name__ == "__main__":
    main(sys.argv[1:] or sorted(ORDERS))
