"""What the agent asks of a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

Task = Literal["read", "judge"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, and who counted them."""

    input_tokens: int
    output_tokens: int
    source: str = "provider"


@dataclass(frozen=True, slots=True)
class Reply:
    """The model's structured answer."""

    content: Mapping[str, object]
    model: str
    provider: str
    usage: Usage


class Model(Protocol):
    """A model that reads an invoice, or judges what was found out about it."""

    def tell(self, task: Task, prompt: str) -> Reply:
        """The model's answer."""
        ...
