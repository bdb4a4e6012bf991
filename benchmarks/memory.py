"""What the agent's memory does while it runs on: the resident set after so many runs, and after twice as many.

A run holds a checkpoint, a tool call, a model call and a cache lookup, each with arguments of its own. Nothing listens
at the endpoint, so the queue is full and spans are dropped; /metrics is there, and nobody scrapes it.
"""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from report import Figure, main

import tachograph

if TYPE_CHECKING:
    from collections.abc import Iterable

WARM = "resident set after {:,} runs"


def measure(quick: bool) -> Iterable[Figure]:
    """Megabytes in the middle and at the end of the runs."""
    runs = 2_000 if quick else 100_000
    logging.getLogger("tachograph").setLevel(logging.ERROR)  # that nothing takes the spans is the point
    tachograph.instrument(service_name="benchmark", endpoint="http://127.0.0.1:9", metrics_port=0)
    middle = 0.0
    for number in range(runs):
        _run(number)
        if number + 1 == runs // 2:
            middle = _resident()
    end = _resident()
    tachograph.uninstrument()
    yield Figure(WARM.format(runs // 2), middle, "MB")
    yield Figure(WARM.format(runs), end, "MB", WARM.format(runs // 2))


def _run(number: int) -> None:
    with tachograph.run(workflow="refund", tier=1, tenant=f"tenant-{number % 17}", session=f"session-{number}"):
        with tachograph.checkpoint("amount_limit", stage="pre_tool", tool="refund") as check:
            check.decide("allow", rule="amount")
        with tachograph.tool("refund", effect="write", arguments={"booking": number}, idempotency_key=f"{number}"):
            pass
        with tachograph.llm_call("gpt-4o", provider="openai") as call:
            call.usage(input_tokens=number % 1711, output_tokens=131)
        with tachograph.cache("answers", key=number, parts=("tenant", "question")) as cache:
            cache.result("miss")


def _resident() -> float:
    """This process's resident set in megabytes, of what the collector leaves."""
    gc.collect()
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(__doc__, measure)
