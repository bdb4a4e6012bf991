"""What the start of an agent costs: `import tachograph` and instrument(), beside importing the SDK and its exporter.

Each is timed in a fresh interpreter, which is up already and has its bytecode compiled; rounds alternate.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

from report import Figure, main

if TYPE_CHECKING:
    from collections.abc import Iterable

SDK = "import OpenTelemetry SDK + OTLP exporter"
START = "import tachograph; tachograph.instrument(service_name='agent', {})"
CODE = {
    SDK: """
import opentelemetry.sdk.trace, opentelemetry.sdk.trace.export, opentelemetry.sdk.metrics
import opentelemetry.exporter.otlp.proto.http.trace_exporter
""",
    "import tachograph": "import tachograph",
    "import tachograph + instrument()": START.format("metrics_port=0"),
    "import tachograph + instrument(), no /metrics": START.format("metrics='none'"),
}
TIMED = """
import time
began, used = time.perf_counter(), time.process_time()
{code}
print((time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000)
"""


def measure(quick: bool) -> Iterable[Figure]:
    """Milliseconds of each kind of start: by the clock, and of the CPU."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CODE}
    for number in range(1 + (3 if quick else 21)):
        for name, code in CODE.items():
            once = _once(code)
            if number:  # the first round compiles bytecode
                taken[name].append(once)
    for place, suffix in enumerate(("", ", CPU")):
        for name, times in taken.items():
            value = statistics.median(each[place] for each in times)
            yield Figure(name + suffix, value, "ms", None if name == SDK else SDK + suffix)


def _once(code: str) -> tuple[float, float]:
    command = [sys.executable, "-c", TIMED.format(code=code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - the code above
    clock, cpu = done.stdout.split()
    return float(clock), float(cpu)


if __name__ == "__main__":
    main(__doc__, measure)
