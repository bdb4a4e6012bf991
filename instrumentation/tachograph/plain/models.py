"""LLM calls of a plain agent: which model, and the usage that its result tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from tachograph.patterns.llm import LlmCall, UsageSource
from tachograph.plain.reading import flag, number, one_of, parts, read, text, whole
from tachograph.registry import names as n

if TYPE_CHECKING:
    from tachograph.plain.call import Call

UNKNOWN = "unknown"  # the model of a call that names none

_SOURCES = get_args(UsageSource)
_FEW = 4  # parts of a returned tuple that are looked at
_INPUT, _OUTPUT = ("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls used: tokens, and US dollars where the provider says them."""

    input: int
    output: int
    cached: int
    written: int
    reasoning: int | None
    cost: float | None
    source: UsageSource

    def plus(self, other: Spent) -> Spent:
        """Both together; the cost is known when both are."""
        reasoning = [each for each in (self.reasoning, other.reasoning) if each is not None]
        return Spent(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.written + other.written,
            sum(reasoning) if reasoning else None,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
            self.source,
        )


class ObservedLlm(LlmCall):
    """A model call that `call` is, together with the calls that it passes on to and what those told of their use."""

    def __init__(self, model: str, provider: str | None, call: Call) -> None:
        super().__init__(model, provider=provider)
        self.call = call
        self.inside: Spent | None = None


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


def answered(step: ObservedLlm, call: Call, value: object) -> None:
    """Reads model, usage and cost off what the call returned; those of calls inside of it add up."""
    if call is not step.call:
        _named(step, _model(call))
    model = text(read(value, "model", "model_name"))
    if model is not None:
        step.response(model=model)
        _named(step, model)
    if step.attributes[n.GEN_AI_PROVIDER_NAME] is None:
        step.attributes[n.GEN_AI_PROVIDER_NAME] = text(read(value, "provider"))
    spent = next((found for part in (parts(value)[:_FEW] or (value,)) if (found := _spent(part)) is not None), None)
    if spent is None or (call is step.call and step.inside is not None):
        return  # nothing is told, or the calls inside have told it already
    if call is not step.call:
        spent = step.inside = spent if step.inside is None else step.inside.plus(spent)
    step.usage(
        input_tokens=spent.input,
        output_tokens=spent.output,
        cached_tokens=spent.cached,
        cache_write_tokens=spent.written,
        reasoning_tokens=spent.reasoning,
        cost=spent.cost,
        source=spent.source,
    )


def _named(step: ObservedLlm, model: str | None) -> None:
    if model is not None and step.attributes[n.GEN_AI_REQUEST_MODEL] == UNKNOWN:
        step.attributes[n.GEN_AI_REQUEST_MODEL] = model
        if step.span is not None:
            step.span.update_name(step.name())


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
