"""Ids for tests: they count."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.id_generator import IdGenerator
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class CountingIds:
    """Ids that count: 0000000000000001, 0000000000000002, …."""

    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __call__(self) -> str:
        """The next id."""
        return f"{next(self.counter):016x}"


class CountingIdGenerator(IdGenerator):
    """Trace and span ids that count."""

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)

    @override
    def generate_trace_id(self) -> int:
        return next(self._traces)

    @override
    def generate_span_id(self) -> int:
        return next(self._spans)
