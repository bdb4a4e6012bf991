"""What the agents reach, and what of an outcome is not as it must be, whatever fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from instrumentation.faults.outcome import outcome
from instrumentation.faults.watch import Fault, Reached

if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrumentation.faults.outcome import Outcome, Scenario

CARD = "4111 1111 1111 1111"

# Points whose failure is not to be counted, and why.
_FORK = "Python itself says what a fork handler raises, and goes on"
SILENT = {
    "audit.writer:Writer.__init__.<locals>.<lambda>": _FORK,
    "export.batch:BatchProcessor.__init__.<locals>.<lambda>": _FORK,
    "metrics.ledger:Ledger.__init__.<locals>.<lambda>": _FORK,
    "metrics.metrics:Metrics.__init__.<locals>.<lambda>": _FORK,
    "sampling.sampler:TailSampler.__init__.<locals>.<lambda>": _FORK,
    "sampling.sampler:TailSampler._after_fork": _FORK,
    "telemetry.fingerprint:": "what cannot be read has no hash: the host's value may be what fails",
    "export.outgoing:outgoing_labels": "of /metrics: a metric that cannot be shown is left out there",
    "export.outgoing:_each": "as outgoing_labels",
    "privacy.identity:_identifier": "as outgoing_labels",
    "export.otlp:_Session": "a failed attempt: counted as tachograph.export.failures",
    "export.otlp:_AnsweringSession": "as _Session",
    "export.otlp:_seconds": "as _Session",
    "telemetry.providers:Signal.get": "the environment may name a provider that is not there: the report says so",
}
# What all hooks go through: there one failure, after which all is well again, may leave something behind too.
SHARED = ("recording:", "run:", "telemetry.recorder:", "audit.record:", "metrics.metrics:", "metrics.ledger:")
# Points that take back what is current or hooked: where they fail each time, it stays.
TAKING_BACK = (
    "recording:Recording.detach",
    "recording:Recording.restore",
    "telemetry.correlation:correlate.<locals>.stop",
    "telemetry.threads:carry.<locals>.stop",
)


def failure() -> RuntimeError:
    return RuntimeError(f"broken on purpose: {CARD}")


@dataclass(frozen=True)
class Reaching:
    """A scenario that calls a point, on one of our own threads or on the host's."""

    scenario: Scenario
    own: bool


@dataclass(frozen=True)
class Broken:
    """One play with one point broken: how many of its calls failed, and what was wrong then."""

    scenario: str
    calls: int
    findings: list[str]


class Played:
    """The scenarios without us, `expected`, and with us and no fault, and what reaches each point."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self.expected: dict[str, object] = {}
        self.with_us: dict[str, Outcome] = {}
        self._reaching: dict[str, list[Reaching]] = {}
        for scenario in scenarios:
            self.expected[scenario.name] = scenario.play()
            with_us = Reached()
            self.with_us[scenario.name] = outcome(scenario, with_us)
            for points, own in ((with_us.points, False), (with_us.own, True)):
                for point in tuple(points):
                    self._reaching.setdefault(point, []).append(Reaching(scenario, own))

    def reaches(self, point: str) -> bool:
        """Whether some scenario calls it."""
        return point in self._reaching

    def missing(self, points: Sequence[str]) -> list[str]:
        """The points that no scenario calls."""
        return [point for point in points if not self.reaches(point)]

    def broken(self, point: str) -> list[Broken]:
        """Breaks a point on the host's threads and on ours, wherever it is called.

        The first scenario in which it is called tells. Which of our threads calls what may be a matter of chance, so
        there a later scenario may be the first.
        """
        plays: list[Broken] = []
        for own in (False, True):
            for scenario in (each.scenario for each in self._reaching.get(point, ()) if each.own == own):
                plays.append(self._play(scenario, Fault(point, failure, again=True, own=own)))
                if plays[-1].calls:
                    if point.startswith(SHARED):
                        plays.append(self._play(scenario, Fault(point, failure, own=own)))
                    break
        return plays

    def _play(self, scenario: Scenario, fault: Fault) -> Broken:
        found = outcome(scenario, fault)
        return Broken(scenario.name, fault.calls, wrong(fault, found, self.expected[scenario.name]))


def wrong(fault: Fault, found: Outcome, expected: object) -> list[str]:
    """What is not as it must be, whatever fails."""
    failures, causes = dict(found.failures), found.causes()
    silent = fault.point.startswith(tuple(SILENT))
    findings = {
        f"the agent's results changed: {found.result}": found.result != expected,
        f"{fault.calls} calls failed, counted: {failures}": sum(failures.values()) > fault.calls
        or (sum(failures.values()) < fault.calls and not silent),
        f"not one line a cause: {causes}": len(causes) != len(failures),
        f"counted {failures}, as a metric {found.counted}": not fault.again and found.counted not in (None, failures),
        "the log holds content": any(CARD in line for line in found.lines),
        f"left: {found.left}": bool(found.left) and not (fault.again and fault.point in TAKING_BACK),
    }
    return [finding for finding, is_so in findings.items() if is_so]
