"""The specialists: who can do what with which model and tools, and how each works on a part of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tachograph.demo.support.breaker import CircuitOpenError
from tachograph.demo.support.model import LARGE, SMALL, SYSTEMS, Model, ModelClient, Prompt, dollars
from tachograph.demo.support.request import Part
from tachograph.demo.support.tools import RefusedError, Toolbox

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock
    from tachograph.demo.support.budget import Ledger
    from tachograph.demo.support.model import Reply
    from tachograph.demo.support.request import Request, Task

_TRIES: Final = 5  # calls of a tool that fails
_TURNS: Final = 8  # messages of the model for one part
_BACKOFF_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Specialist:
    """A role: its model, its tools, and the words of requests that are for it."""

    name: str
    model: Model
    tools: tuple[str, ...]
    words: tuple[str, ...]


SPECIALISTS: Final = {
    one.name: one
    for one in (
        Specialist("orders", SMALL, ("get_order",), ("order", "parcel", "delivery")),
        Specialist("billing", SMALL, ("get_invoice",), ("invoice", "charge", "refund")),
        Specialist("technical", LARGE, ("search_manual",), ("error", "sync", "install", "offline")),
        Specialist("account", SMALL, ("update_account",), ("address", "e-mail", "phone")),
    )
}


class ToolUnavailableError(Exception):
    """A tool that a part needs is not there."""

    def __init__(self, tool: str, cause: Exception) -> None:
        super().__init__(tool)
        self.tool, self.cause = tool, cause


@dataclass(frozen=True, slots=True)
class Workbench:
    """Where specialists work: a loop of model and tool.

    Its weakness is real: when a tool fails, the model is asked again and asks for the same call again, up to five
    times, whatever the breaker has learned from the requests before.
    """

    models: ModelClient
    tools: Toolbox
    ledger: Ledger
    clock: Clock

    def work(self, specialist: Specialist, task: Task, request: Request) -> Part:
        """The specialist's answer; raises ToolUnavailableError where a tool that it needs is not there."""
        said, failures, tokens = (task.text,), 0, 0
        for _ in range(_TURNS):
            reply = self.consult(specialist.model, said, request, tools=specialist.tools)
            tokens += reply.usage.output_tokens
            if reply.tool is None:
                return Part(reply.text, notice=reply.notice, for_a_person=reply.for_a_person, output_tokens=tokens)
            try:
                result = self.tools.perform(reply.tool, request, attempt=failures + 1)
                said = (*said, result.text)
            except RefusedError:
                return Part("Nothing was changed.", stop_reason="approval_rejected", output_tokens=tokens)
            except CircuitOpenError as error:
                raise ToolUnavailableError(reply.tool.tool, error) from error
            except (TimeoutError, ConnectionError) as error:
                failures += 1
                if failures == _TRIES:
                    raise ToolUnavailableError(reply.tool.tool, error) from error
                self.clock.sleep(_BACKOFF_S * 2**failures)
                said = (*said, f"{reply.tool.tool} failed")
        return Part("A colleague will look at this.", for_a_person=True, output_tokens=tokens)

    def consult(
        self,
        model: Model,
        said: tuple[str, ...],
        request: Request,
        *,
        tools: tuple[str, ...] = (),
        choices: tuple[str, ...] = (),
    ) -> Reply:
        """A model's next message under the prompt of the request's release; the tenant pays for it."""
        reply = self.models.consult(model, Prompt(SYSTEMS[request.release], said, tools, choices))
        self.ledger.book(request.tenant, dollars(reply))
        return reply
