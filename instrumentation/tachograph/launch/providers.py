"""The global providers of OpenTelemetry, which the program may still want to set."""

from __future__ import annotations

import importlib
from typing import Any

# Set once means: whoever comes later is told off and passed over (read in the installed source, 1.45).
_ONCE = (
    ("opentelemetry.trace", "_TRACER_PROVIDER_SET_ONCE"),
    ("opentelemetry.metrics._internal", "_METER_PROVIDER_SET_ONCE"),
    ("opentelemetry._logs._internal", "_LOGGER_PROVIDER_SET_ONCE"),
)


def leave_settable() -> None:
    """Lets the program set providers of its own after ours: it gets them, and we go on with those we have."""
    for module, name in _ONCE:
        once: Any = getattr(importlib.import_module(module), name, None)
        if hasattr(once, "_done"):
            once._done = False  # noqa: SLF001 - the API has no public way, and a program must not find its providers refused
