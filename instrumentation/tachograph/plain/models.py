"""LLM calls of a plain agent: which model, and the usage that its result tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from typing_extensions import override

from tachograph.patterns.llm import LlmCall, UsageSource
from tachograph.plain import circuits
from tachograph.plain.reading import flag, items, label, number, one_of, parts, read, text, whole
from tachograph.registry import names as n
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from tachograph.plain.call import Call
    from tachograph.telemetry.recorder import Recorder

UNKNOWN = "unknown"  # the model of a call that names none

_SOURCES = get_args(UsageSource)
_FEW = 4  # parts of a returned tuple that are looked at
_INPUT, _OUTPUT = ("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call used: tokens, and US dollars where the provider says them."""

    input: int
    output: int
    cached: int
    written: int
    reasoning: int | None
    cost: float | None
    source: UsageSource


class ObservedLlm(LlmCall):
    """A model call that `call` is; one that other model calls are inside of is a step around them.

    Each call is counted and priced where it reaches its model, as calls of different models have different prices. A
    single inner call that tells no usage waits for the outer one to tell it.
    """

    def __init__(self, model: str, provider: str | None, call: Call) -> None:
        super().__init__(model, provider=provider)
        self.call = call
        self.outer: ObservedLlm | None = None
        self.untold: ObservedLlm | None = None
        self._model, self._provider = model, provider
        tries, state = whole(call.argument("attempt")), circuits.circuit_of(call, provider)
        if tries:
            self.attempt(tries)
        if state is not None:
            self.circuit(state)
        self.inner = 0
        self.ended_at = 0

    @property
    def is_step(self) -> bool:
        """Whether other model calls are inside of it."""
        return self.inner > 0

    @override
    def name(self) -> str:
        return f"step {self.call.place.name}" if self.is_step else f"chat {self._model}"

    @override
    def begin(self) -> None:
        about, self.attributes = self.attributes, {}  # the span starts bare: the call may turn out to be a step
        try:
            super().begin()
        finally:
            self.attributes = about

    def contains(self, inner: ObservedLlm) -> None:
        """Makes this call a step around `inner`, which is of the same model where it names none."""
        self.settle()  # usage that this call tells is no longer that of one inner call
        self.inner += 1
        inner.outer = self
        inner.asked(self._model, self._provider)
        self.attributes = {n.STEP_NAME: self.call.place.name, n.SPAN_KIND: "step"}
        if self.span is not None:
            self.span.update_name(self.name())

    def asked(self, model: str | None, provider: str | None) -> None:
        """Says which model and provider it is, where that is not known yet."""
        if model is not None and self._model == UNKNOWN:
            self._model = self.attributes[n.GEN_AI_REQUEST_MODEL] = model
            if self.span is not None:
                self.span.update_name(self.name())
        if self._provider is None:
            self._provider = self.attributes[n.GEN_AI_PROVIDER_NAME] = provider

    @override
    def finish(self, error: BaseException | None, ended: int | None = None) -> None:
        outer, recorder = self.outer, self.recorder
        # an outer call that has ended has told what it could
        alone = outer is not None and outer.recorder is not None and outer.inner == 1
        if self.is_step and alone and outer is not None:
            outer.untold, self.untold = self.untold, None
        self.settle()
        told = self.is_step or self._usage is not None or error is not None
        if recorder is None or outer is None or not alone or told:
            super().finish(error, ended)
            return
        self.ended_at = recorder.clock()
        self.detach()
        outer.untold = self

    @guarded("llm", None)
    def settle(self) -> None:
        """Ends the inner call that waited for its usage, as of when it ended."""
        inner, self.untold = self.untold, None
        if inner is not None:
            LlmCall.finish(inner, None, inner.ended_at)

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        if circuits.opened(error):
            self.circuit("open")
        if not self.is_step:
            super().closed(recorder, error, seconds)


def nested(outer: ObservedLlm, inner: ObservedLlm) -> None:
    """Says that `inner` is the call of the model, or one of them, that `outer` makes."""
    outer.contains(inner)


def llm(call: Call) -> ObservedLlm:
    """A call of the model that the arguments name, or the object that is called."""
    provider = call.argument("provider")
    if provider is None:
        provider = read(call.instance, "provider")
    return ObservedLlm(_model(call) or UNKNOWN, text(provider) or text(read(provider, "name")), call)


def _model(call: Call) -> str | None:
    model = call.argument("model", "model_name")
    if model is None:
        model = read(call.instance, "model", "model_name")
    return text(model) or text(read(model, "name", "model", "id"))


def answered(step: ObservedLlm, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Reads model, usage and cost off what the call returned; a step tells them of the one call inside of it."""
    told = step.untold if step.is_step else step
    if told is None:
        return  # the calls inside have told it already
    model = text(read(value, "model", "model_name"))
    reasons = _finish_reasons(value)
    if model is not None or reasons:
        told.response(model=model, finish_reasons=reasons or None)
    told.asked(model, text(read(value, "provider")))
    tries, again = whole(read(value, "attempts", "attempt")), whole(read(value, "retries_taken", "retries"))
    if tries or again is not None:
        told.attempt(tries or (again or 0) + 1)
    spent = next((found for part in (parts(value)[:_FEW] or (value,)) if (found := _spent(part)) is not None), None)
    if spent is not None:
        told.usage(
            input_tokens=spent.input,
            output_tokens=spent.output,
            cached_tokens=spent.cached,
            cache_write_tokens=spent.written,
            reasoning_tokens=spent.reasoning,
            cost=spent.cost,
            source=spent.source,
        )


def _finish_reasons(answer: object) -> list[str]:
    """Why the model stopped: one reason, or one of each choice, in the spellings of OpenAI and Anthropic."""
    choices = items(read(answer, "choices")) or (answer,)
    found = (label(text(read(choice, "finish_reason", "stop_reason"))) for choice in choices[:_FEW])
    return [reason for reason in found if reason is not None]


def _spent(answer: object) -> Spent | None:
    usage = read(answer, "usage", "token_usage")
    usage = answer if usage is None else usage
    tokens_in, tokens_out = whole(read(usage, *_INPUT)), whole(read(usage, *_OUTPUT))
    if tokens_in is None and tokens_out is None:
        return None
    # Anthropic's spelling, whose input_tokens count neither of the two
    cache_read, cache_written = _tokens(usage, "cache_read_input_tokens"), _tokens(usage, "cache_creation_input_tokens")
    input_details = read(usage, "prompt_tokens_details", "input_tokens_details")
    output_details = read(usage, "completion_tokens_details", "output_tokens_details")
    reasoning = read(usage, "reasoning_tokens")
    return Spent(
        input=(tokens_in or 0) + cache_read + cache_written,
        output=tokens_out or 0,
        cached=cache_read or _tokens(usage, "cached_tokens") or _tokens(input_details, "cached_tokens"),
        written=cache_written or _tokens(usage, "cache_write_tokens"),
        reasoning=whole(reasoning if reasoning is not None else read(output_details, "reasoning_tokens")),
        cost=number(_either(usage, answer, "cost", "cost_usd", "total_cost")),
        source=_source(usage, answer),
    )


def _tokens(usage: object, name: str) -> int:
    return whole(read(usage, name)) or 0


def _either(usage: object, answer: object, *names: str) -> Any:
    found = read(usage, *names)
    return found if found is not None else read(answer, *names)


def _source(usage: object, answer: object) -> UsageSource:
    estimated = flag(_either(usage, answer, "estimated"))
    said = one_of(_either(usage, answer, "source", "usage_source"), _SOURCES)
    return said or ("estimate" if estimated else "provider")
