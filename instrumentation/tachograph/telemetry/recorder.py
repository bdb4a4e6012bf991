"""What the hooks write to: spans, events and metrics of one instrumented process."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber

from tachograph.privacy.identity import identifier, spelled
from tachograph.privacy.identity import name as redacted
from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.run import current
from tachograph.telemetry.attributes import emit, plain, put
from tachograph.telemetry.fingerprint import fingerprint
from tachograph.telemetry.guard import guarded
from tachograph.telemetry.lock import BriefLock

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.trace import Span

    from tachograph.audit.writer import Writer
    from tachograph.config import BaggageMode, Capture
    from tachograph.metrics.metrics import Metrics
    from tachograph.telemetry.spans import Spans

_log = logging.getLogger("tachograph")

Clock = Callable[[], int]
Ids = Callable[[], str]

_KNOWN_KEYS = 10_000  # bound of memory: the idempotency keys that a process remembers
_AGENTS = 200  # bound of memory: the agents whose hooks a process remembers, each with some hundred series at 0


_random = random.Random()  # noqa: S311 - ids, no secrets; of our own, for a host that seeds the common one repeats itself
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def random_id() -> str:
    """16 random hex digits, also after a fork; without a system call, which may take longer than all else in a hook."""
    return f"{_random.getrandbits(64):016x}"


@dataclass(slots=True)
class LimiterState:
    """Calls inside and before one limiter, and the limit when it was last asked."""

    in_use: int = 0
    queue: int = 0
    limit: int | None = None
    saturated: bool = False
    lock: BriefLock = field(default_factory=BriefLock)


def _unsampled() -> None:
    """What there is to do about a trace that is kept anyhow."""


@dataclass(slots=True)
class Recorder:
    """The telemetry of one instrumented process.

    `clock` gives nanoseconds since 1970, `ids` 16 hex digits; both can be replaced for tests and simulations.
    `notice` says that the current trace must be kept for something that no attribute tells.
    """

    spans: Spans
    logger: Logger
    metrics: Metrics
    default_agent: str
    clock: Clock = time.time_ns
    ids: Ids = random_id
    hash_key: bytes | None = None
    tenant_hashed: bool = False
    capture: Capture = "off"
    baggage: BaggageMode = "send"
    audit: Writer | None = None
    sample_rate: float | None = 1.0
    notice: Callable[[], None] = _unsampled
    release: str | None = None
    track: str | None = None
    policies: dict[str, str] = field(default_factory=dict[str, str])
    _coverage: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _listed: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    _armed: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    _unarmed: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])  # with how many hooks
    _keys: dict[str, int] = field(default_factory=dict[str, int])
    _limits: dict[str, LimiterState] = field(default_factory=dict[str, LimiterState])
    _lock: BriefLock = field(default_factory=BriefLock)
    _many: bool = False

    # -- names and ids
    def agent(self) -> str:
        """The agent of the current run, or of the process."""
        run = current()
        return run.agent if run is not None else self.default_agent

    def new_id(self, kind: str) -> str:
        """A fresh id that says what it is: call_…, approval_…."""
        return f"{kind}_{self.ids()}"

    def hashed(self, value: object) -> str | None:
        """16 hex digits that stand for a value, keyed when the process has a key; None for what cannot be hashed."""
        return fingerprint(value, self.hash_key)

    def tenant(self, tenant: object) -> str | None:
        """The tenant as it is recorded: plain, or hashed where the process asks for that."""
        text = spelled(tenant)
        if text is None:
            return None
        return self.hashed(text) if self.tenant_hashed else identifier(text, self.hash_key)

    def common(self) -> dict[str, object]:
        """The attributes that every span and event carries, in a dict of the caller's own."""
        run = current()
        return self.with_common({}) if run is None else run.common.copy()

    def with_common(self, attributes: Mapping[str, object]) -> dict[str, object]:
        """`attributes`, behind those that every span and event carries."""
        run = current()
        if run is not None:
            return {**run.common, **attributes}
        process = {n.GEN_AI_AGENT_NAME: self.default_agent, n.RELEASE_ID: self.release, n.RELEASE_TRACK: self.track}
        return {**plain(process), **attributes}

    # -- spans and events
    def span(self, name: str, start: int, client: bool, *attributes: Mapping[str, object]) -> Span:
        """Starts a span of ours below the current one; its step writes the attributes when it ends.

        They are on it from the start only if the provider's sampler may want to decide by them.
        """
        kind = trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL
        seen = plain(*attributes) if self.sample_rate is None else None
        return self.spans.start(redacted(name), kind, start, seen)

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        """Emits an event: a log record with an event name, correlated by trace and span id."""
        severity = n.EVENT_SEVERITY[name]
        now = self.clock()
        record = LogRecord(
            timestamp=now,
            observed_timestamp=now,
            severity_number=SeverityNumber[severity],
            severity_text=severity,
            event_name=name,
        )
        everything = self.common()
        everything[n.LOG_RECORD_UID] = self.ids() + self.ids()
        emit(self.logger, record, put(everything, attributes))

    # -- coverage and detections
    def cover(self, hook: str, agent: str | None = None) -> None:
        """Notes that `hook` is installed for the agent; the first time also as a metric."""
        name = agent or self.agent()
        if hook not in self._coverage.get(name, ()):
            self.cover_all((hook,), name)

    def cover_all(self, hooks: Iterable[str], agent: str | None = None) -> None:
        """Notes that each of `hooks` is installed for the agent; of agents beyond the first 200 nothing is noted."""
        name = agent or self.agent()
        known = self._coverage.get(name)
        if known is None:
            if len(self._coverage) >= _AGENTS:
                self._note_many()
                return
            known = self._coverage.setdefault(name, set())
            self.metrics.born(name)
        for hook in hooks:
            if hook not in known:
                known.add(hook)
                self.metrics.record(instruments.COVERAGE, 1, {n.GEN_AI_AGENT_NAME: name, n.HOOK: hook})

    def _note_many(self) -> None:
        if not self._many:
            self._many = True
            _log.warning(
                "tachograph: this process has more than %d agents: of further ones no hook is noted and no detection "
                "made. Is an id part of the agent's name?",
                _AGENTS,
            )

    def hooks(self, agent: str) -> tuple[str, ...]:
        """The hooks known to be installed for an agent, sorted."""
        known = self._coverage.get(agent, ())
        listed = self._listed.get(agent, ())
        if len(listed) != len(known):  # hooks are never taken back
            listed = self._listed[agent] = tuple(sorted(known))
        return listed

    def detect(self, rule: str, agent: str | None = None) -> None:
        """Counts a detection where it happens; silent where a hook it needs is not installed for the agent."""
        agent = agent or self.agent()
        if agent not in self._coverage and len(self._coverage) >= _AGENTS:
            return
        known = len(self._coverage.get(agent, ()))
        if self._unarmed.get((agent, rule)) == known:
            return
        if (agent, rule) not in self._armed and not self._arm(agent, rule):
            self._unarmed[agent, rule] = known
            return
        self.metrics.record(instruments.DETECTIONS, 1, {n.GEN_AI_AGENT_NAME: agent, n.DETECTION_RULE: rule})
        self.notice()

    def _arm(self, agent: str, rule: str) -> bool:
        """Whether every hook that the rule needs is there; that stays so, as hooks are never taken back."""
        known = tuple(self._coverage.get(agent, ()))
        if all(need in known or any(hook.startswith(need + ".") for hook in known) for need in n.DETECTIONS[rule]):
            self._armed.add((agent, rule))
            return True
        return False

    def executed_before(self, key: str) -> bool:
        """Whether this process executed the idempotency key before; remembers the newest 10,000."""
        with self._lock.held():
            seen = key in self._keys
            self._keys[key] = self._keys.pop(key, 0) + 1
            if len(self._keys) > _KNOWN_KEYS:
                del self._keys[next(iter(self._keys))]
        return seen

    def limiter(self, name: str) -> LimiterState:
        """The process-wide state of one limiter."""
        with self._lock.held():
            return self._limits.setdefault(name, LimiterState())

    def forget_limiters(self) -> None:
        """Begins anew in a forked child, which has none of the calls that are inside of the parent's limiters."""
        self._limits = {}


_active: Recorder | None = None


def active() -> Recorder | None:
    """The recorder of this process; None before instrument() and after uninstrument()."""
    return _active


def covering(hook: str) -> Recorder | None:
    """The recorder of this process, with `hook` noted as installed for the current agent."""
    if _active is not None:
        _active.cover(hook)
    return _active


@guarded("limiter", None)
def _after_fork() -> None:
    if _active is not None:
        _active.forget_limiters()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def activate(recorder: Recorder | None) -> None:
    """Makes `recorder` the one that hooks write to."""
    global _active  # noqa: PLW0603 - one process has one recorder, as it has one tracer provider
    _active = recorder


__all__ = ["Clock", "Ids", "LimiterState", "Recorder", "activate", "active", "covering", "random_id"]
