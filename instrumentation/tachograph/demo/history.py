"""Five weeks of one agent in a minute: its requests, the nights of its release pipeline, its metrics step by step."""

from __future__ import annotations

import gc
import heapq
import logging
import random
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import SERVICE_NAME, Resource

from tachograph.demo.arrivals import DAY_S, DAYS, arrivals
from tachograph.demo.clock import SimulatedClock
from tachograph.demo.faq import Faq
from tachograph.demo.invoice.archive import AuditArchive
from tachograph.demo.releases import nightly
from tachograph.demo.stage import FLUSH_EVERY, deliver, headers, recorded, tell
from tachograph.demo.tape import Tape
from tachograph.demo.traffic import traffic
from tachograph.metrics.endpoint import PrometheusReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tachograph.demo.arrivals import Arrival
    from tachograph.demo.part import Part

Moment = tuple[float, "Callable[[], None]"]
"""When, in seconds since 1970, and what happens then."""

PLATFORM: Final = "support"
"""The agent that has a release pipeline and an old service beside it."""

AUDITED: Final = "invoice"
"""The agent whose approvals also go to an archive of the company's own."""

_YOUNG_OBJECTS: Final = 50_000  # else the collector looks again and again at spans that only wait for their export


def play_history(part: Part) -> None:
    """Plays the requests of `part` at their simulated times and writes the files that it asks for."""
    gc.set_threshold(_YOUNG_OBJECTS)
    agent, clock = traffic(part.agent), SimulatedClock()
    clock.jump(part.until - DAYS * DAY_S)
    reader = _reader(part.agent) if part.metrics or part.tape else None
    ids = random.Random(f"{part.seed} {part.agent} ids")
    settings: dict[str, Any] = {"metrics": "none", "clock": clock, "ids": lambda: f"{ids.getrandbits(64):016x}"}
    if part.agent == AUDITED:
        settings["audit_log"] = AuditArchive(clock, part.until)
        logging.getLogger("tachograph").addFilter(_unlike_the_archive)
    with recorded(part, agent.MODULES, **settings):
        tape = Tape(reader, part.until) if reader and part.tape else None
        after = Faq(part.endpoint, headers()).after if part.agent == PLATFORM else None
        requests = _requests(part, agent.player(clock, part.seed), after)
        nights = _nights(part, clock) if part.agent == PLATFORM else iter(())
        for at, happen in heapq.merge(nights, requests, key=itemgetter(0)):
            if tape:
                tape.run_to(at)
            clock.jump(at)
            happen()
        deliver()
        if reader and part.metrics:
            Path(part.metrics).write_bytes(reader.exposition())
        if tape and part.tape:
            tape.run_to(part.until)
            tape.write(Path(part.tape))


def _unlike_the_archive(record: logging.LogRecord) -> bool:
    """Leaves out that the archive failed: this is part of the story, and no news for who watches the demo."""
    return ConnectionError.__name__ not in record.getMessage() or "archive" not in record.getMessage()


def _reader(agent: str) -> PrometheusReader:
    """Metrics that can be read and are served nowhere: a scrape now would see times that have not come.

    No exemplars: they would have the times of the machine.
    """
    reader = PrometheusReader()
    resource = Resource.create({SERVICE_NAME: agent})
    metrics.set_meter_provider(MeterProvider([reader], resource, exemplar_filter=AlwaysOffExemplarFilter()))
    return reader


def _requests(part: Part, play: Callable[[Arrival], None], after: Callable[[int], None] | None) -> Iterator[Moment]:
    def happen(arrival: Arrival) -> None:
        play(arrival)
        if after is not None:
            after(arrival.number)
        if arrival.number % FLUSH_EVERY == FLUSH_EVERY - 1:
            deliver()
        tell(played=1)

    for arrival in arrivals(part.agent, part.runs, seed=part.seed, until=part.until):
        yield arrival.at, partial(happen, arrival)


def _nights(part: Part, clock: SimulatedClock) -> Iterator[Moment]:
    """Each midnight (UTC) of the history: the release pipeline runs."""
    begin = part.until - DAYS * DAY_S
    midnight = begin - begin % DAY_S + DAY_S
    while midnight < part.until:
        source = random.Random(f"{part.seed} night {midnight}")
        yield midnight, partial(nightly, (part.until - midnight) / DAY_S, source, clock)
        midnight += DAY_S
