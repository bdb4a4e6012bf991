"""What the agent asks of a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English text; an estimate, and recorded as one
TOKENS_PER_MESSAGE = 4  # role and separators of a chat message, same source


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call that the model asks for; `id` is fresh for each."""

    id: str
    name: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, and who counted them."""

    input_tokens: int
    output_tokens: int
    source: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The model's message: text, a tool call, or both."""

    text: str
    tool_calls: tuple[ToolRequest, ...]
    model: str
    provider: str
    usage: Usage


class Model(Protocol):
    """A chat model."""

    def reply(self, messages: list[Message]) -> Reply:
        """The model's next message."""
        ...


def estimated_tokens(text: str) -> int:
    """About how many tokens a message takes."""
    return TOKENS_PER_MESSAGE + -(-len(text) // CHARACTERS_PER_TOKEN)
