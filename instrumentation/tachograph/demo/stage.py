"""Around a player: its agent recorded, everything delivered, and each run told to whoever started the player."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import tachograph
from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tachograph.demo.part import Part

FLUSH_EVERY: Final = 25
"""Runs: fewer spans than wait in the queue that fleet.py gives a player."""

_DELIVERY_S: Final = 90.0  # for a receiver that is being started again
# What is deployed; the requests of the other agents say themselves which release answers them.
_RELEASES: Final[Mapping[str, str]] = {"airline": "airline-1"}


@contextmanager
def recorded(part: Part, modules: object, **settings: Any) -> Generator[None]:
    """The agent of `part`, recorded for as long as the block runs; all of it has been delivered when the block ends."""
    report = tachograph.instrument(
        modules,
        service_name=part.agent,
        endpoint=part.endpoint,
        headers=headers(),
        protocol="http/protobuf",  # the demo's receiver takes no other, whatever the environment says
        **settings,
    )
    try:
        lines = [str(report).partition("\n")[0]]
        if part.kind != "history":  # where telemetry goes is the same for all, and metrics are served nowhere
            lines += [f"  {note}" for note in report.notes]
        tell(report="\n".join(lines))
        if part.agent in _RELEASES:
            tachograph.release(_RELEASES[part.agent], track="stable")
        yield
        deliver()
    finally:
        tachograph.uninstrument()


def headers() -> dict[str, str] | None:
    """The token, where the receiver asks for one; None leaves headers to OpenTelemetry's own variables."""
    token = os.environ.get("TACHOGRAPH_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token and "OTEL_EXPORTER_OTLP_HEADERS" not in os.environ else None


def deliver() -> None:
    """Waits until everything recorded has arrived; UsageError where some of it is lost."""
    if not tachograph.flush(_DELIVERY_S):
        raise UsageError(
            f"telemetry was lost or not accepted within {_DELIVERY_S:g} s; is the receiver up? Try `tachograph up`."
        )


def tell(**fact: object) -> None:
    """One line of JSON to whoever started the player; BrokenPipeError when nobody listens any more."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()
