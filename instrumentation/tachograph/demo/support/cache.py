"""Answers that are given again: those of a tenant to its own customers, and an old cache that knows no tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tachograph.demo.clock import Clock

Scope = Literal["tenant", "user"]


@dataclass(frozen=True, slots=True)
class _Entry:
    answer: str
    at: float


class AnswerCache:
    """Answers by tenant and question; `ttl` in seconds. Old entries stay: some day there may be nothing better."""

    def __init__(self, name: str, clock: Clock, *, ttl: float, scope: Scope = "tenant") -> None:
        self.name, self.scope, self._clock, self._ttl = name, scope, clock, ttl
        self._entries: dict[tuple[str, str], _Entry] = {}

    def get(self, tenant: str, question: str, *, ttl: float | None = None) -> str | None:
        """The answer that is younger than `ttl` seconds, by default the cache's own; None without one."""
        entry = self._entries.get((tenant, question))
        oldest = self._clock.now() - (self._ttl if ttl is None else ttl)
        return entry.answer if entry is not None and entry.at >= oldest else None

    def set(self, tenant: str, question: str, answer: str) -> None:
        """Keeps an answer."""
        self._entries[tenant, question] = _Entry(answer, self._clock.now())


class FaqCache:
    """Answers by question alone, from the time of the first tenant; the old chat widget still reads it."""

    def __init__(self) -> None:
        self.name, self.scope = "faq", "tenant"
        self._entries: dict[str, str] = {}

    def get(self, question: str) -> str | None:
        """The answer to a question, whoever asked it first; None without one."""
        return self._entries.get(question)

    def set(self, question: str, answer: str) -> None:
        """Keeps an answer."""
        self._entries[question] = answer
