"""Whatever the registry names is emitted: by the hooks as they are written by hand, and by a plain agent's functions.

The names come from the registry. A new one that nothing emits fails here, unless it stands below with its reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from instrumentation.registry import plain_agent, spoken
from opentelemetry import baggage, context

from tachograph.plain.install import install
from tachograph.registry import load
from tachograph.registry.lint import lint
from tachograph.registry.recorded import Recorded as Telemetry
from tachograph.registry.recorded import SeriesRecord, from_sdk, from_sdk_log
from tachograph.telemetry import event_loop
from tachograph.testing import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tachograph.testing import Recorded

ADAPTER = "a client's own attempts are seen by the adapters of clients only"
PIPELINE = "counted where telemetry is sent, sampled or kept, with no hook: see tests/instrumentation/export"
BY_HAND = "no name of the convention stands for it: it is said by hand"

NOT_BY_HAND: dict[str, str] = {
    "span wire": ADAPTER,
    "metric tachograph.internal.errors": PIPELINE,
    "metric tachograph.telemetry.dropped": PIPELINE,
    "metric tachograph.export.failures": PIPELINE,
    "metric tachograph.sampling.decisions": PIPELINE,
    "metric tachograph.metrics.overflows": PIPELINE,
}
NOT_IN_PLAIN: dict[str, str] = {
    **NOT_BY_HAND,
    "event tachograph.audit.recorded tachograph.policy.name": BY_HAND,
    "event tachograph.audit.recorded tachograph.policy.version": BY_HAND,
    "event tachograph.audit.recorded tachograph.policy.versions": BY_HAND,
    "event tachograph.release.assigned": "the release of a run is read off its request, and then on the run itself",
    "span cache tachograph.cache.saved": "what a lookup spared is no fact that a cache keeps",
    "span tool tachograph.cost.amount": "a `cost` in a tool's result is mostly the price of what was looked up",
    "span tool tachograph.cost.source": "as its amount",
}


def wanted() -> set[str]:
    """Every fact that the registry names of the agent's side: `span tool gen_ai.tool.name`, `metric x y` …."""
    registry = load()
    found: set[str] = set()
    for span in registry.spans.values():
        found |= {f"span {span.kind}", *(f"span {span.kind} {name}" for name in (*span.required, *span.recommended))}
    for event in registry.events.values():
        found |= {
            f"event {event.name}",
            *(f"event {event.name} {name}" for name in (*event.required, *event.recommended)),
        }
    for metric in registry.metrics.values():
        if metric.emitter == "agent":
            found |= {f"metric {metric.name}", *(f"metric {metric.name} {label}" for label in metric.labels)}
    return found | {f"common {name}" for name in registry.common}


def emitted(recorded: Recorded) -> set[str]:
    """Every fact that was emitted; a metric that was only born at 0 was not."""
    found: set[str] = set()
    for span in recorded.sdk_spans():
        attributes = dict(span.attributes or {})
        kind = attributes["tachograph.span.kind"]
        found |= {f"span {kind}", *(f"span {kind} {name}" for name in attributes), *_common(attributes)}
    for data in recorded._logs.get_finished_logs():
        attributes = dict(data.log_record.attributes or {})
        name = data.log_record.event_name
        found |= {f"event {name}", *(f"event {name} {each}" for each in attributes), *_common(attributes)}
    for name, metric in load().metrics.items():
        labels = {label.replace(".", "_"): label for label in metric.labels}
        for series, value in recorded.series(name).items():
            if value or metric.instrument == "updowncounter":  # which is back at 0 when all is over
                found |= {f"metric {name}", *(f"metric {name} {labels[label]}" for label, _ in series)}
    return found


def _common(attributes: dict[str, Any]) -> Iterator[str]:
    return (f"common {name}" for name in attributes)


def excused(missing: str, reasons: dict[str, str]) -> bool:
    """Whether a reason stands for a fact, or for the span, event or metric that it belongs to."""
    words = missing.split(" ")
    return any(" ".join(words[:length]) in reasons for length in (2, 3))


def telemetry(recorded: Recorded) -> Telemetry:
    return Telemetry(
        tuple(from_sdk(span) for span in recorded.sdk_spans()),
        tuple(from_sdk_log(log) for log in recorded._logs.get_finished_logs()),
        tuple(SeriesRecord(name, dict(series)) for name in load().metrics for series in recorded.series(name)),
    )


async def by_name() -> None:
    """All ways through the plain agent."""
    about = {"tenant": "acme", "session": "session-13", "user": "user-17", "workflow": "refund"}
    await plain_agent.handle("hello", **about, release="desk-13", track="canary", tier=2)
    with contextlib.suppress(plain_agent.GoneError):
        await plain_agent.ask("canary")
    await plain_agent.respond("refund", "canary")


def part_by_name() -> None:
    """Looked up when it is called, as only then it is hooked."""
    plain_agent.reply()


def joined(part: Callable[[], Any]) -> None:
    """Has `part` happen within the run of a caller in another process."""
    token = context.attach(baggage.set_baggage("tachograph.run.id", "run-17"))
    try:
        part()
    finally:
        context.detach(token)


@pytest.mark.parametrize(
    ("agent", "part", "hooked", "reasons"),
    [
        (spoken.everything, spoken.part, None, NOT_BY_HAND),
        (by_name, part_by_name, plain_agent, NOT_IN_PLAIN),
    ],
    ids=["by hand", "plain"],
)
def test_whatever_the_registry_names_is_emitted(
    agent: Callable[[], Any],
    part: Callable[[], Any],
    hooked: object,
    reasons: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(event_loop, "INTERVAL", 0.001)
    with contextlib.ExitStack() as stack:
        if hooked is not None:
            stack.callback(install(hooked).undo)
        recorded = stack.enter_context(recording("desk", capture="redacted"))
        recorded.recorder.baggage = "on"
        asyncio.run(agent())
        joined(part)
        shown = emitted(recorded)
    missing = sorted(wanted() - shown)
    assert [fact for fact in missing if not excused(fact, reasons)] == []
    assert [reason for reason in reasons if not any(excused(fact, {reason: ""}) for fact in missing)] == []
    assert lint(telemetry(recorded)) == []
