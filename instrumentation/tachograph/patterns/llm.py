"""LLM calls and what they cost: counted once, on one span a call, however often the client tried."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast

from typing_extensions import override

from tachograph.hook import Hook
from tachograph.prices.lookup import Usage, price
from tachograph.privacy.captured import capture, given
from tachograph.recording import CANCELLED, Recording
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from inspect import BoundArguments

    from tachograph.patterns.tool import Circuit
    from tachograph.prices.lookup import Price
    from tachograph.registry.instruments import Instrument
    from tachograph.telemetry.recorder import Recorder

UsageSource = Literal["provider", "tokenizer", "estimate"]


class LlmCall(Recording):
    """One call of a model; a client's retries of it are its attempts."""

    hook = "llm"
    kind = "llm"
    client = True

    def __init__(self, model: str, *, provider: str | None = None, operation: str = "chat") -> None:
        super().__init__()
        self.attributes |= {
            n.GEN_AI_OPERATION_NAME: operation,
            n.GEN_AI_REQUEST_MODEL: model,
            n.GEN_AI_PROVIDER_NAME: provider,
            n.LLM_ATTEMPT: 1,
        }
        self._usage: Usage | None = None
        self._cost: float | None = None

    @override
    def name(self) -> str:
        return f"{self.attributes[n.GEN_AI_OPERATION_NAME]} {self.attributes[n.GEN_AI_REQUEST_MODEL]}"

    @guarded("llm", None)
    def usage(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        cached_tokens: int = 0,
        cache_write_tokens: int = 0,
        reasoning_tokens: int | None = None,
        cost: float | None = None,
        source: UsageSource = "provider",
    ) -> None:
        """Says what the call used: `input_tokens` with cached and cache-written ones, `output_tokens` with reasoning.

        `cost` is what the provider says, in US dollars; without it the cost is estimated from the price table.
        """
        self._usage = Usage(input_tokens, output_tokens, cached_tokens, cache_write_tokens)
        self._cost = cost
        self.attributes |= {
            n.GEN_AI_USAGE_INPUT_TOKENS: input_tokens,
            n.GEN_AI_USAGE_OUTPUT_TOKENS: output_tokens,
            n.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: cached_tokens,
            n.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS: cache_write_tokens or None,
            n.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: reasoning_tokens,
            n.USAGE_SOURCE: source,
        }

    @guarded("llm", None)
    def response(self, *, model: str | None = None, finish_reasons: Sequence[str] | None = None) -> None:
        """Says which model answered and why it stopped."""
        self.attributes |= {
            n.GEN_AI_RESPONSE_MODEL: model,
            n.GEN_AI_RESPONSE_FINISH_REASONS: list(finish_reasons) if finish_reasons is not None else None,
        }

    @guarded("llm", None)
    def content(self, *, input: object = None, output: object = None) -> None:
        """Says what was asked and answered, messages say; nothing is looked at while capture is off."""
        capture(self.attributes, input=input, output=output)

    @override
    def bound(self, arguments: BoundArguments) -> None:
        self.content(input=given(arguments))

    @override
    def returned(self, value: object) -> None:
        self.content(output=value)

    @guarded("llm", None)
    def attempt(self, number: int) -> None:
        """Says that the client tries for the `number`th time."""
        self.attributes[n.LLM_ATTEMPT] = number

    @guarded("llm", None)
    def circuit(self, state: Circuit) -> None:
        """Says in which state the call met the circuit breaker of its provider."""
        self.attributes[n.CIRCUIT_STATE] = state

    @guarded("llm", None)
    def outcome(self, outcome: str) -> None:
        """Says how the call ended where no exception does: refused, abandoned, timeout, error."""
        self.attributes[n.LLM_OUTCOME] = outcome

    @override
    def closed(self, recorder: Recorder, error: BaseException | None, seconds: float) -> None:
        attributes = self.attributes
        attributes.setdefault(n.LLM_OUTCOME, _outcome(error))
        if error is not None and not isinstance(error, CANCELLED):
            attributes[n.ERROR_TYPE] = type(error).__qualname__
        if attributes[n.LLM_OUTCOME] in {"error", "timeout"}:
            attributes.setdefault(n.ERROR_TYPE, "timeout" if attributes[n.LLM_OUTCOME] == "timeout" else "llm_error")
        measured = (*self._counted(), self._priced(), (instruments.GEN_AI_CLIENT_INFERENCE_DURATION, seconds))
        labels = recorder.with_common(attributes) | {n.GEN_AI_TOKEN_MODALITY: "unknown"}
        recorder.metrics.record_all(labels, *(one for one in measured if one is not None))

    def _counted(self) -> tuple[tuple[Instrument, float], ...]:
        """The call and its tokens."""
        run, usage = current(), self._usage
        if run is not None:
            run.llm_calls += 1
        if usage is None:
            return ((instruments.LLM_CALLS, 1),)
        if run is not None:
            run.tokens += usage.input_tokens + usage.output_tokens
        return (
            (instruments.LLM_CALLS, 1),
            (instruments.GEN_AI_CLIENT_INFERENCE_USAGE_INPUT_TOKENS, usage.input_tokens),
            (instruments.GEN_AI_CLIENT_INFERENCE_USAGE_OUTPUT_TOKENS, usage.output_tokens),
            (instruments.GEN_AI_CLIENT_INFERENCE_USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_tokens),
        )

    def _priced(self) -> tuple[Instrument, float] | None:
        """The call's cost, or that it has no price; None for one that failed before it used anything."""
        run = current()
        amount, source, version = self._cost, "provider", None
        if amount is None and self._usage is not None and (found := self._estimate(self._usage)) is not None:
            amount, source, version = found.amount, "estimated", found.version
        if amount is not None:
            self.attributes |= {n.COST_AMOUNT: float(amount), n.COST_SOURCE: source, n.COST_PRICE_VERSION: version}
            if run is not None:
                run.cost += amount
            return instruments.COST, amount
        if self._usage is None and self.attributes[n.LLM_OUTCOME] != "success":
            return None
        if run is not None:
            run.unpriced += 1
        return instruments.COST_UNPRICED, 1

    @guarded("llm", cast("Price | None", None))
    def _estimate(self, usage: Usage) -> Price | None:
        model = self.attributes.get(n.GEN_AI_RESPONSE_MODEL) or self.attributes[n.GEN_AI_REQUEST_MODEL]
        provider = self.attributes[n.GEN_AI_PROVIDER_NAME]
        at = datetime.fromtimestamp(self.started / 1e9, UTC)
        return price(str(provider) if provider else None, str(model), usage, at=at)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "success"
    if isinstance(error, GeneratorExit):
        return "abandoned"
    if isinstance(error, CANCELLED):
        return "cancelled"
    return "timeout" if isinstance(error, TimeoutError | asyncio.TimeoutError) else "error"


def llm_call(model: str, *, provider: str | None = None, operation: str = "chat") -> Hook[LlmCall]:
    """One call of a model: say its `usage`, and its `response` where that differs from what was asked for."""
    return Hook(lambda: LlmCall(model, provider=provider, operation=operation))
