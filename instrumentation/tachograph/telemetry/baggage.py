"""The run's id in W3C baggage, so that a service which the agent calls records its part as the same run's.

The host's own instrumentation of HTTP or queues sends baggage along and takes it in; here the id is only put into the
context and read from it. Nothing but the id: baggage reaches whoever the host calls.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opentelemetry import baggage
from opentelemetry import context as otel_context

from tachograph.registry import names as n
from tachograph.run import RunContext

if TYPE_CHECKING:
    from opentelemetry.context import Context

# What may be an id: it comes from a header that anybody can write, and ends in queries, addresses and log lines.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_OURS: Final = otel_context.create_key("tachograph-run")  # not sent: tells this process's runs from those of others


def with_run(run: RunContext, context: Context) -> Context:
    """`context` with the run's id beside the host's own baggage; as it is where others would not take the id."""
    if _ID.fullmatch(run.id) is None:
        return context
    return otel_context.set_value(_OURS, run, baggage.set_baggage(n.RUN_ID, run.id, context))


def run_of_caller() -> str | None:
    """The id of the run that the current context's baggage says this is a part of; None without a usable one.

    A run of this process that has ended is nobody's caller any more: what it left behind, in a thread say, goes on.
    """
    found = baggage.get_baggage(n.RUN_ID)
    if not isinstance(found, str) or _ID.fullmatch(found) is None:
        return None
    ours = otel_context.get_value(_OURS)
    return None if isinstance(ours, RunContext) and ours.id == found and ours.ended else found
