"""LLM calls and what they cost: counted once, on one span a call, however often the client tried."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, cast

from typing_extensions import override

from tachograph.hook import Hook, no_function
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

_COUNTED: Final = (
    (instruments.GEN_AI_CLIENT_INFERENCE_USAGE_INPUT_TOKENS, n.GEN_AI_USAGE_INPUT_TOKENS),
    (instruments.GEN_AI_CLIENT_INFERENCE_USAGE_OUTPUT_TOKENS, n.GEN_AI_USAGE_OUTPUT_TOKENS),
    (instruments.GEN_AI_CLIENT_INFERENCE_USAGE_CACHE_READ_INPUT_TOKENS, n.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS),
)

_MOST_TOKENS: Final = 2**53  # beyond it a double is not exact, and no model reads that much


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
        self._whole = True  # False: a part of the usage is unknown, so that the table says no price
        self._cost: float | None = None

    @override
    def name(self) -> str:
        return f"{self.attributes[n.GEN_AI_OPERATION_NAME]} {self.attributes[n.GEN_AI_REQUEST_MODEL]}"

    @guarded("llm", None)
    def usage(
        self,
        *,
        input_tokens: int | None,
        output_tokens: int | None,
        cached_tokens: int | None = 0,
        cache_write_tokens: int | None = 0,
        reasoning_tokens: int | None = None,
        cost: float | None = None,
        source: UsageSource = "provider",
    ) -> None:
        """Says what the call used: `input_tokens` with cached and cache-written ones, `output_tokens` with reasoning.

        `cost` is what the provider says, in US dollars; without it the cost is estimated from the price table. A number
        that is None is unknown: it is not recorded, and a call without input or output tokens has no estimate.
        """
        took, gave, cached = _tokens(input_tokens), _tokens(output_tokens), _tokens(cached_tokens)
        wrote = _tokens(cache_write_tokens)
        self._usage = None if took is gave is None else Usage(took or 0, gave or 0, cached or 0, wrote or 0)
        self._whole = took is not None and gave is not None
        self._cost = _dollars(cost)
        self.attributes |= {
            n.GEN_AI_USAGE_INPUT_TOKENS: took,
            n.GEN_AI_USAGE_OUTPUT_TOKENS: gave,
            n.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: cached,
            n.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS: wrote or None,
            n.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: _tokens(reasoning_tokens),
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
        said = ((instrument, self.attributes.get(name)) for instrument, name in _COUNTED)
        return ((instruments.LLM_CALLS, 1), *((one, tokens) for one, tokens in said if isinstance(tokens, int)))

    @guarded("llm", cast("tuple[Instrument, float] | None", None))
    def _priced(self) -> tuple[Instrument, float] | None:
        """The call's cost, or that it has no price; None for one that failed before it used anything."""
        run = current()
        amount, source, version = self._cost, "provider", None
        if (
            amount is None
            and self._whole
            and self._usage is not None
            and (found := self._estimate(self._usage)) is not None
        ):
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


def _tokens(said: object) -> int | None:
    """A number of tokens; None for what is none, so that it costs the call nothing else."""
    try:
        tokens = -1 if said is None else int(cast("int", said))
    except Exception:  # noqa: BLE001 - whatever the host passed: the call counts without it
        return None
    return tokens if 0 <= tokens < _MOST_TOKENS else None


def _dollars(said: object) -> float | None:
    try:
        amount = math.nan if said is None else float(cast("float", said))
    except Exception:  # noqa: BLE001 - as above
        return None
    return amount if 0 <= amount < math.inf else None


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
    no_function(model, "llm_call", "the model")
    return Hook(lambda: LlmCall(model, provider=provider, operation=operation))
