"""Entries and writers for the tests of the audit log, with ids and times that count."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags

from tachograph.audit.entry import Entry
from tachograph.audit.writer import Writer
from tachograph.registry import names as n
from tachograph.telemetry.recorder import random_id
from tachograph.testing import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SPAN = SpanContext(0x11, 0x13, is_remote=False, trace_flags=TraceFlags(1))


def entry(number: int, action: Any = "write", span: SpanContext = INVALID_SPAN_CONTEXT, **attributes: object) -> Entry:
    about = {n.GEN_AI_AGENT_NAME: "desk", n.RUN_ID: f"run_{number % 3}", n.GEN_AI_TOOL_NAME: "refund"}
    return Entry(f"audit_{number}", action, "desk", EPOCH + number * 10**9, {**about, **_dotted(attributes)}, span)


def _dotted(attributes: Mapping[str, object]) -> dict[str, object]:
    return {getattr(n, name): value for name, value in attributes.items()}


@dataclass
class Settled:
    """What became of each entry, in order."""

    entries: list[tuple[str, Mapping[str, Any] | None]] = field(default_factory=list)

    def __call__(self, entry: Entry, record: Mapping[str, Any] | None) -> None:
        self.entries.append((entry.id, record))

    def recorded(self) -> list[str]:
        return [each for each, record in self.entries if record is not None]

    def failed(self) -> list[str]:
        return [each for each, record in self.entries if record is None]


def writer(settled: Settled, folder: Path | None = None, **settings: Any) -> Writer:
    settings = {"threaded": False, "ids": random_id, **settings}
    return Writer("desk", settled, folder=folder, **settings)


def written(folder: Path, count: int, **settings: Any) -> Path:
    """An audit file of so many entries, 1, 2, 3, …; entry n stands in line n + 1."""
    before = set(folder.glob("*.jsonl"))
    made = writer(Settled(), folder, **settings)
    for number in range(1, count + 1):
        made.put(entry(number))
    made.close(time.monotonic() + 2)
    (path,) = set(folder.glob("*.jsonl")) - before
    return path


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
