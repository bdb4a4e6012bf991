"""The metrics of one agent as they were at each step of the simulated time: only what changed is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from tachograph.demo.arrivals import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tachograph.metrics.endpoint import PrometheusReader

STEP_S: Final = 300
"""Between two steps: what Prometheus looks back for a sample."""
DAYS: Final = 8
"""The length of a tape: a week, and the day that its first hours are compared with."""
STEPS: Final = DAYS * DAY_S // STEP_S

# What was 0 before it was first seen: without that sample no increase has its first event.
_FROM_ZERO: Final = frozenset({"counter", "histogram"})


@dataclass(frozen=True, slots=True)
class Series:
    """One series; `values` holds each step at which it changed, and what it has been from then on."""

    family: str
    kind: str
    help: str
    name: str
    labels: dict[str, str]
    values: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])


class Tape:
    """Notes all series of a reader at every `STEP_S` of the `DAYS` before `until`, seconds since 1970.

    Step 0 is at the beginning, step `STEPS` at the end. Memory grows with what changes, not with the steps.
    """

    def __init__(self, reader: PrometheusReader, until: float) -> None:
        self._reader = reader
        self._begin = until - DAYS * DAY_S
        self._step = 0
        self._series: dict[tuple[str, tuple[str, ...]], Series] = {}

    def run_to(self, at: float) -> None:
        """Notes the series as they are for all steps up to `at`; what happens at `at` comes later."""
        step = min(STEPS, int((at - self._begin) // STEP_S)) if at >= self._begin else -1
        if step >= self._step:
            self._note(self._step)
            self._step = step + 1

    def _note(self, step: int) -> None:
        for family in self._reader.families():
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.values()))
                series = self._series.get(key)
                if series is None:
                    series = Series(family.name, family.type, family.documentation, sample.name, dict(sample.labels))
                    self._series[key] = series
                    if step and family.type in _FROM_ZERO:
                        series.values.append((step - 1, 0))
                if not series.values or series.values[-1][1] != sample.value:
                    series.values.append((step, sample.value))

    def write(self, path: Path) -> None:
        """One series a line, as JSON."""
        with path.open("w", encoding="utf-8") as file:
            for series in self._series.values():
                file.write(json.dumps(asdict(series)) + "\n")


def read(path: Path) -> Iterator[Series]:
    """The series of a tape that was written."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            said = json.loads(line)
            yield Series(**said | {"values": [(step, value) for step, value in said["values"]]})
