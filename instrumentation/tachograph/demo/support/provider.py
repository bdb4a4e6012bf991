"""The model providers: what their models say, how long that takes, and when they do not answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from tachograph.demo.support.model import OverloadedError, RateLimitError, Reply, Usage
from tachograph.demo.support.tools import ToolRequest
from tachograph.demo.tokens import draw

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock
    from tachograph.demo.support.model import Model, Prompt

_LIMITED: Final = 0.006  # of calls are too many
_DOWN: Final = 0.007  # of requests find the first provider down
_NOT_CACHED: Final = 0.3  # of first calls find the system prompt no longer cached
_FOR_A_PERSON: Final = 0.045  # of final answers
_FIRST_TOKEN_S: Final = (0.2, 0.6)
_READING_S: Final = 6e-6  # per token of the prompt, mostly cached
_TOKENS_PER_S: Final = (140.0, 240.0)
_REFUSED_S: Final = 0.3
_FIELD: Final = re.compile(r"My (\S+) is now (.+)\.")
_NUMBER: Final = re.compile(r"[A-Z]{3}-\d{3}")


@dataclass(slots=True)
class Providers:
    """All providers at once, for one visit after the other."""

    clock: Clock
    fate: Random = field(default_factory=Random)
    _calls: int = 0
    _is_down: bool = False

    def begin(self, fate: Random) -> None:
        """Begins a visit, whose chance is `fate`."""
        self.fate, self._calls, self._is_down = fate, 0, fate.random() < _DOWN

    def send(self, model: Model, prompt: Prompt) -> Reply:
        """A message: first of all a tool is asked for, and again while it fails; then there is an answer."""
        if model.provider != "openai":
            self._stumble()
        usage = self._usage(prompt)
        took = usage.input_tokens * _READING_S + usage.output_tokens / self.fate.uniform(*_TOKENS_PER_S)
        self.clock.sleep(self.fate.uniform(*_FIRST_TOKEN_S) + took)
        self._calls += 1
        chosen = prompt.choices[prompt.choices.index("technical")] if prompt.choices else ""
        if prompt.tools and (len(prompt.messages) == 1 or prompt.messages[-1].endswith(" failed")):
            call = ToolRequest(f"call-{self._calls}", prompt.tools[0], _arguments(prompt.messages[0]))
            return Reply("", call, model.name, model.provider, usage)
        gives_up = not chosen and self.fate.random() < _FOR_A_PERSON
        return Reply(chosen or "This is how it is.", None, model.name, model.provider, usage, for_a_person=gives_up)

    def _stumble(self) -> None:
        limited = self.fate.random() < _LIMITED
        if limited or self._is_down:
            self.clock.sleep(_REFUSED_S)
            raise RateLimitError if limited else OverloadedError

    def _usage(self, prompt: Prompt) -> Usage:
        tokens, warm = draw("conversation", self.fate), self.fate.random() >= _NOT_CACHED
        cached = prompt.system.tokens if warm or self._calls else 0
        return Usage(prompt.system.tokens + tokens.input, tokens.output, cached)


def _arguments(text: str) -> dict[str, object]:
    change, number = _FIELD.search(text), _NUMBER.search(text)
    if change is not None:
        return {"field": change[1], "value": change[2]}
    return {"order": number[0]} if number is not None else {"query": text}
