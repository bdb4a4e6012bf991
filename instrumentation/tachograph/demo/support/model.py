"""The language models: what is asked of them, what it costs, and what happens when the provider does not answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from tachograph.demo.support.limiter import place

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock
    from tachograph.demo.support.tools import ToolRequest

_TRIES: Final = 2
_BACKOFF_S: Final = 0.8
_NOTICE: Final = "Another model than usual has written this."


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its name, its provider, and what a million tokens cost in US dollars by contract."""

    name: str
    provider: str
    input: float
    cached: float
    output: float


SMALL: Final = Model("claude-haiku-4-5", "anthropic", 1.0, 0.1, 5.0)
LARGE: Final = Model("claude-opus-5", "anthropic", 5.0, 0.5, 25.0)
FALLBACK: Final = Model("gpt-4.1", "openai", 2.0, 0.5, 8.0)

_MODELS: Final = {model.name: model for model in (SMALL, LARGE, FALLBACK)}


@dataclass(frozen=True, slots=True)
class System:
    """A system prompt: the release that it belongs to, and how many tokens it has."""

    release: str
    tokens: int


SYSTEMS: Final = {
    "2.7": System("2.7", 1_800),
    "2.8": System("2.8", 8_900),  # the style guide and all examples came in
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked: the system prompt, what was said, the tools it may ask for, or names to choose from."""

    system: System
    messages: tuple[str, ...]
    tools: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; input includes the cached ones."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    source: str = "provider"


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's message: text or a tool call.

    `for_a_person` says that it gives up, `notice` what to tell the customer about who has written it.
    """

    text: str
    tool: ToolRequest | None
    model: str
    provider: str
    usage: Usage
    for_a_person: bool = False
    notice: str = ""


class RateLimitError(Exception):
    """The provider has had too many requests."""


class OverloadedError(Exception):
    """The provider does not answer."""


class Provider(Protocol):
    """Somebody who runs models. Raises RateLimitError or OverloadedError."""

    def send(self, model: Model, prompt: Prompt) -> Reply:
        """The model's next message."""
        ...


class ModelClient:
    """Asks a model, once more when that fails, and then one of another provider."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._provider, self._clock = provider, clock

    def consult(self, model: Model, prompt: Prompt) -> Reply:
        """The model's message, or that of the fallback model with a notice."""
        error: Exception | None = None
        for _ in range(_TRIES):
            try:
                return self.chat(model, model.provider, prompt)
            except (RateLimitError, OverloadedError, TimeoutError) as failure:
                error = failure
                self._clock.sleep(_BACKOFF_S)
        return self.fallback_model(prompt, component=model.provider, error=error, disclosed=True)

    def chat(self, model: Model, provider: str, prompt: Prompt) -> Reply:  # noqa: ARG002 - the provider is said in case it never answers
        """One message of one model."""
        with place(self._clock):
            return self._provider.send(model, prompt)

    def fallback_model(self, prompt: Prompt, *, component: str, error: Exception | None, disclosed: bool) -> Reply:  # noqa: ARG002 - what is gone and why, for the record
        """The message of another provider's model; the customer is told so."""
        reply = self.chat(FALLBACK, FALLBACK.provider, prompt)
        return replace(reply, notice=_NOTICE if disclosed else "")


def dollars(reply: Reply) -> float:
    """What a message costs by contract."""
    model, usage = _MODELS[reply.model], reply.usage
    fresh = usage.input_tokens - usage.cached_tokens
    return (fresh * model.input + usage.cached_tokens * model.cached + usage.output_tokens * model.output) / 1e6
