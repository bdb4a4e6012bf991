"""The platform: it takes a request apart, finds a specialist for each part, and puts the answers together.

It knows nothing of telemetry. Most of it does what it should; its weaknesses are real, and each is said where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tachograph.demo.support.breaker import CircuitOpenError
from tachograph.demo.support.budget import Contract, Ledger
from tachograph.demo.support.cache import AnswerCache, FaqCache
from tachograph.demo.support.model import LARGE, SMALL, ModelClient
from tachograph.demo.support.request import Answer, Part, Task
from tachograph.demo.support.specialists import SPECIALISTS, ToolUnavailableError, Workbench
from tachograph.demo.support.tools import Toolbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph.demo.clock import Clock
    from tachograph.demo.support.model import Provider
    from tachograph.demo.support.request import Outcome, Request
    from tachograph.demo.support.tools import Systems

AND_ALSO: Final = " And also: "
_LONGEST: Final = 2_000  # characters of a request
_FORBIDDEN: Final = ("ignore your instructions", "system prompt")
_FRESH_S: Final = 3 * 3_600.0
_STALE_S: Final = 7 * 86_400.0  # how old an answer may be when there is no better one
_RUN_TOKENS: Final = 1_700  # output tokens that one request may take
_CACHED: Final = "order_status"  # the workflow whose answers do not depend on who asks
_MAIL: Final = "email"
_FAQ: Final = ("widget", "billing_question")  # the first chat widget still uses the cache of its time

# A tool that the breaker holds back came later, and nobody wrote a sentence for it: the customer is told nothing.
_NOTICES: Final[dict[type[Exception], str]] = {
    TimeoutError: "A system takes too long at the moment: this may be out of date.",
    ConnectionError: "A system does not answer at the moment: this may be out of date.",
}

Method = Literal["rule", "llm"]
Trigger = Literal["circuit_open", "timeout", "tool_down"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom a part goes to, how that was decided, and whether code limits the choice."""

    selected: str
    method: Method
    constrained: bool
    scores: tuple[float, ...] = ()


class SupportPlatform:
    """Answers the customers of many tenants, one request at a time."""

    def __init__(self, provider: Provider, systems: Systems, contracts: Mapping[str, Contract], clock: Clock) -> None:
        self._contracts, self._ledger = contracts, Ledger(clock)
        self._bench = Workbench(ModelClient(provider, clock), Toolbox(systems, clock), self._ledger, clock)
        self.answer_cache = AnswerCache("answers", clock, ttl=_FRESH_S)
        self.faq_cache = FaqCache()

    def handle(self, request: Request) -> Answer:
        """The answer to a request, and how it ended."""
        if not self.validate_request(request.text):
            return Answer("We cannot help with this.", "refused", "guardrail")
        known = self._known(request)
        if known is not None:
            return self._conclude(request, Part(known, "cached"))
        if not self._tenant_can_pay(request):
            return self._conclude(request, self.degraded_rules_only(request, trigger="budget", disclosed=True))
        tasks = self.decompose(request)
        parts = self._parts(tasks, request)
        answer = self._conclude(request, self.combine(parts) if len(parts) > 1 else parts[0])
        if answer.outcome == "success" and len(tasks) == 1:
            self._keep(request, answer)
        return answer

    # -- what is known already
    def _known(self, request: Request) -> str | None:
        if (request.channel, request.workflow) == _FAQ:
            return self.faq_cache.get(request.text)
        return self.answer_cache.get(request.tenant, request.text) if request.workflow == _CACHED else None

    def _keep(self, request: Request, answer: Answer) -> None:
        if (request.channel, request.workflow) == _FAQ:
            self.faq_cache.set(request.text, answer.text)
        elif request.workflow == _CACHED:
            self.answer_cache.set(request.tenant, request.text, answer.text)

    # -- parts and who works on them
    def decompose(self, request: Request) -> tuple[Task, ...]:
        """The parts of a request."""
        return tuple(Task(f"task-{number}", text) for number, text in enumerate(request.text.split(AND_ALSO), 1))

    def _parts(self, tasks: Sequence[Task], request: Request) -> list[Part]:
        contract = self._contracts[request.tenant]
        candidates = () if request.workflow in contract.unserved else tuple(SPECIALISTS)
        parts: list[Part] = []
        for task in tasks:
            choice = self.route(task, candidates, request)
            parts.append(self.delegate(choice.selected, task, request))
            used = sum(part.output_tokens for part in parts)
            spending = self._ledger.check_budget("output_tokens", limit=_RUN_TOKENS, used=used, scope="run")
            if spending.action == "degrade" and request.channel != _MAIL:  # mails may be long, whatever that costs
                parts.append(self.answer_degraded(trigger="budget", disclosed=True))
                break
        return parts

    def route(self, task: Task, candidates: tuple[str, ...], request: Request) -> Choice:
        """The specialist for a part: by its words, or by a small model where they say nothing.

        Without candidates (a contract that names nobody) the words alone decide. What the model says about an e-mail
        is not checked: the mail room has always been trusted.
        """
        names = candidates or tuple(SPECIALISTS)
        text = task.text.lower()
        scores = tuple(float(sum(word in text for word in SPECIALISTS[name].words)) for name in names)
        if max(scores) > 0:
            return Choice(names[scores.index(max(scores))], "rule", constrained=True, scores=scores)
        said = self._bench.consult(SMALL, (task.text,), request, choices=names).text
        if request.channel == _MAIL:
            return Choice(said, "llm", constrained=False)
        return Choice(said if said in names else names[0], "llm", constrained=True)

    def delegate(self, to: str, task: Task, request: Request) -> Part:
        """The answer of a specialist, or what can be said without the tool that it needs."""
        try:
            return self._bench.work(SPECIALISTS[to], task, request)
        except ToolUnavailableError as error:
            return self._without(task, request, error)

    def combine(self, parts: Sequence[Part]) -> Part:
        """One answer of several: as good as the worst of them."""
        worst = max(parts, key=_severity)
        return replace(worst, text="\n".join(part.text for part in parts))

    # -- doing without
    def _without(self, task: Task, request: Request, error: ToolUnavailableError) -> Part:
        trigger = _trigger(error.cause)
        notice = _NOTICES.get(type(error.cause), "")
        told = bool(notice)
        known = self.answer_cache.get(request.tenant, task.text, ttl=_STALE_S)
        if known is not None:
            part = self.degraded_stale_cache(known, trigger=trigger, component=error.tool, disclosed=told)
        else:
            part = self.degraded_tool_unavailable(task, request, trigger=trigger, component=error.tool, disclosed=told)
        return replace(part, notice=notice, stop_reason="retry_exhausted" if told else "completed")

    def degraded_stale_cache(self, known: str, *, trigger: Trigger, component: str, disclosed: bool) -> Part:  # noqa: ARG002 - why and whether told, for the record
        """An old answer."""
        return Part(known, "stale")

    def degraded_tool_unavailable(
        self,
        task: Task,
        request: Request,
        *,
        trigger: Trigger,  # noqa: ARG002 - why, for the record, as are the next two
        component: str,  # noqa: ARG002 - see above
        disclosed: bool,  # noqa: ARG002 - see above
    ) -> Part:
        """What the large model makes of it without looking anything up."""
        reply = self._bench.consult(LARGE, (task.text,), request)
        return Part(reply.text, "guess", output_tokens=reply.usage.output_tokens)

    def degraded_rules_only(self, request: Request, *, trigger: str, disclosed: bool) -> Part:  # noqa: ARG002 - why and whether told, for the record
        """A standard answer, for tenants that have spent what they may spend today."""
        text = f"We answer questions like this ({request.workflow}) by e-mail tomorrow."
        return Part(text, notice=text, stop_reason="cost_budget")

    def answer_degraded(self, *, trigger: str, disclosed: bool) -> Part:  # noqa: ARG002 - why and whether told, for the record
        """The end of an answer that became too long, complete or not."""
        text = "This was much at once: please ask again for what is missing."
        return Part(text, notice=text, stop_reason="token_budget")

    # -- checks
    def _tenant_can_pay(self, request: Request) -> bool:
        contract = self._contracts[request.tenant]
        spending = self._ledger.check_budget(
            "cost",
            limit=contract.daily,
            used=self._ledger.today(request.tenant),
            scope="tenant",
            overdraft=contract.overdraft,
        )
        return spending.action != "degrade"

    def validate_request(self, text: str) -> bool:
        """Whether a request is short enough and about the tenant's matters."""
        return len(text) <= _LONGEST and not any(words in text.lower() for words in _FORBIDDEN)

    def validate_output(self, text: str) -> bool:
        """Whether an answer may go to the customer."""
        return bool(text.strip())

    def _conclude(self, request: Request, part: Part) -> Answer:
        text = f"{part.text}\n{part.notice}" if part.notice else part.text
        if not self.validate_output(text):
            return Answer("A colleague will look at this.", "escalated")
        return Answer(text, _outcome(request, part), part.stop_reason)


def _severity(part: Part) -> tuple[bool, bool, bool]:
    return part.for_a_person, part.stop_reason != "completed" or bool(part.notice), part.basis in {"stale", "guess"}


def _outcome(request: Request, part: Part) -> Outcome:
    if part.stop_reason == "approval_rejected":
        return "refused"
    if part.for_a_person:
        return "escalated"
    if part.notice:
        return "degraded"
    return "success" if request.customer.is_helped(part.basis) else "failed"


def _trigger(cause: Exception) -> Trigger:
    if isinstance(cause, CircuitOpenError):
        return "circuit_open"
    return "timeout" if isinstance(cause, TimeoutError) else "tool_down"
