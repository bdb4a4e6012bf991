"""The agent: a loop of model and tools with checks around them.

It knows nothing of telemetry. Its weakness is real: the policy tells the model to ask for a yes before it changes
anything, and nothing in the code makes it so; `approve` is only called when the customer did say yes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tachograph.demo.airline.model import Message, Model, Reply, ToolRequest
from tachograph.demo.airline.tools import TOOLS, Desk, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

_YES = re.compile(r"\byes\b", re.IGNORECASE)
_LONGEST_MESSAGE = 20_000  # characters of a customer's message
_RESULT_LIMIT = 1_000_000  # characters of a tool's result
_HANDOFF = "transfer_to_human_agents"
_FAILED = "Error"  # how the desk begins when it could not do something
MAX_TURNS = 30  # model messages in one conversation, as in the recorded runs


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf a tool is called."""

    id: str
    role: str = "customer"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One customer's request: who asks, what they say when it is their turn, and who judges the end."""

    session: str
    user: str
    policy: str
    customer: Iterator[str]
    judge: Judge
    workflow: str = "airline_support"


class Judge(Protocol):
    """Says afterwards whether the customer got what they were entitled to."""

    def outcome(self) -> str:
        """`success` or `failed`."""
        ...


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a conversation ended."""

    outcome: str
    stop_reason: str
    turns: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a customer said yes to, and what they had been shown."""

    customer: str
    tool: str
    arguments: dict[str, object]
    shown: str


@dataclass(slots=True)
class AirlineAgent:
    """Answers one customer after the other."""

    model: Model
    desk: Desk
    _messages: list[Message] = field(default_factory=list[Message])
    _writes: int = 0
    _turns: int = 0
    _told: str = ""
    _agreements: list[Agreement] = field(default_factory=list[Agreement])

    def handle(self, request: Conversation) -> Resolution:
        """Talks with the customer until they have nothing more to say."""
        self._messages, self._writes, self._turns, self._told = [Message("system", request.policy)], 0, 0, ""
        self._agreements = []
        stop_reason = "completed"
        for text in request.customer:
            if not self.validate_request(text):
                stop_reason = "guardrail"
                break
            self._messages.append(Message("user", text))
            stop_reason = self._answer(request, text)
            if stop_reason:
                break
        return Resolution(request.judge.outcome(), stop_reason or "completed", self._turns)

    def _answer(self, request: Conversation, text: str) -> str:
        """One answer, with as many tool calls as it takes; says why the conversation ends here, or nothing."""
        while self.check_budget("turns", limit=MAX_TURNS, used=self._turns):
            self._turns += 1
            reply = self.chat(self._messages)
            self._messages.append(Message("assistant", reply.text))
            if not reply.tool_calls:
                self.validate_output(reply.text)
                self._told = reply.text
                return ""
            for call in reply.tool_calls:
                result = self._use(call, request, text)
                self._messages.append(Message("tool", result.text))
                if call.name == _HANDOFF:
                    return "completed"
        return "max_turns"

    def check_budget(self, type: str, *, limit: float, used: float) -> bool:
        """Whether there is something left of a budget."""
        return bool(type) and used < limit

    def chat(self, messages: list[Message]) -> Reply:
        """Asks the model for its next message."""
        return self.model.reply(messages)

    def _use(self, call: ToolRequest, request: Conversation, latest: str) -> ToolResult:
        actor = Actor(request.user)
        if not self.validate_tool_call(call) or not self.authorize(actor, call.name):
            return ToolResult(f"Error: {call.name} may not be called like this", ok=False)
        key = None
        if TOOLS[call.name].effect == "write":
            self._writes += 1
            key = f"{request.session}:{self._writes}"
            if _YES.search(latest):
                self.approve(call.name, call.arguments, approver=request.user, diff=self._told)
        result = self.call_tool(call.name, actor, call.arguments, idempotency_key=key)
        self.validate_tool_result(result)
        return result

    def validate_request(self, text: str) -> bool:
        """Whether a customer's message can be answered at all."""
        return len(text) <= _LONGEST_MESSAGE

    def validate_tool_call(self, call: ToolRequest) -> bool:
        """Whether the call is one of the agent's tools with arguments by name."""
        return call.name in TOOLS and all(name.isidentifier() for name in call.arguments)

    def authorize(self, actor: Actor, tool: str) -> bool:
        """Whether the actor may use the tool: customers may use all, on their own reservations."""
        return actor.role == "customer" and tool in TOOLS

    def approve(self, tool: str, arguments: dict[str, object], *, approver: str, diff: str) -> bool:
        """The customer's yes to what the last message listed, kept with the conversation."""
        self._agreements.append(Agreement(approver, tool, arguments, diff))
        return True

    def call_tool(
        self, tool: str, actor: Actor, args: dict[str, object], *, idempotency_key: str | None = None
    ) -> ToolResult:
        """Carries the call out in the airline's systems."""
        text = self.desk.perform(tool, args, on_behalf_of=actor.id, idempotency_key=idempotency_key)
        return ToolResult(text, ok=not text.startswith(_FAILED))

    def validate_tool_result(self, result: ToolResult) -> bool:
        """Whether a tool's result is of a size that the model can take."""
        return len(result.text) <= _RESULT_LIMIT

    def validate_output(self, text: str) -> bool:
        """Whether the answer may go to the customer."""
        return bool(text.strip())
