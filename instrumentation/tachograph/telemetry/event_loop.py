"""How late event loops are: a timer in each loop that a hook was seen in says by how much it came too late.

A loop that is late is one whose callbacks block it, and what waits in it waits longer than any limiter says.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextvars import Context
from typing import TYPE_CHECKING, Final

from tachograph.registry import instruments
from tachograph.registry import names as n
from tachograph.telemetry import recorder as recorders
from tachograph.telemetry.guard import failed, guarded

if TYPE_CHECKING:
    from tachograph.telemetry.recorder import Recorder

_running = asyncio._get_running_loop  # noqa: SLF001 - the public way raises where no loop runs, in each hook

INTERVAL: Final = 0.5  # seconds between two looks: a stall of the length that people notice meets at least one


class Probe:
    """A timer that comes again and again in one loop, and measures how late it comes.

    The loop holds it and nobody else does: it keeps no loop alive or busy, and goes when the loop is closed. It runs in
    a context of its own, so that nothing of the request that was first seen lives on in it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, agent: str) -> None:
        self.watched = weakref.ref(loop)
        self.running = True
        self._agent = agent
        self._due = float("inf")
        self._late: float | None = None
        # the one way to ask a loop for something that is safe in finalizers and signal handlers too
        loop.call_soon_threadsafe(self._wait, context=Context())

    def lag(self) -> float | None:
        """Seconds by which the loop was late when it was looked at last, or is late by now where that is more.

        None where it was not looked at yet.
        """
        loop = self.watched()
        overdue = loop.time() - self._due if loop is not None else 0.0
        return max(self._late or 0.0, overdue) if overdue > 0 else self._late

    @guarded("limiter", None)
    def _wait(self) -> None:
        loop = self.watched()
        if loop is not None:
            self._due = loop.time() + INTERVAL
            loop.call_at(self._due, self._look, context=Context())

    @guarded("limiter", None)
    def _look(self) -> None:
        loop, recorder = self.watched(), recorders.active()
        if loop is None or recorder is None or _probes.get(loop) is not self:
            self.running = False  # the next hook that is seen in the loop begins anew
            return
        self._late = late = max(0.0, loop.time() - self._due)
        recorder.metrics.record(instruments.EVENT_LOOP_LAG, late, {n.GEN_AI_AGENT_NAME: self._agent})
        self._wait()


class _Here(threading.local):
    """The probe of the loop that this thread ran last: most threads ever run one."""

    probe: Probe | None = None


_here = _Here()
_probes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Probe] = weakref.WeakKeyDictionary()


def watch(recorder: Recorder) -> None:
    """Begins to measure the loop that runs in this thread, if one does and nobody measures it yet; never raises."""
    loop = _running()
    if loop is None:
        return
    probe = _here.probe
    if probe is not None and probe.running and probe.watched() is loop:
        return
    try:
        known = _probes.get(loop)  # where a thread runs one loop after the other, and then the first again
        if known is None or not known.running:
            # no lock: a loop runs in one thread at a time, and of two that a signal handler makes the later one stays
            known = _probes[loop] = Probe(loop, recorder.agent())
        _here.probe = known
    except Exception as error:  # noqa: BLE001 - a loop of another make, without timers or weak references
        failed("limiter", error)


def lag() -> float | None:
    """Seconds by which the loop that runs in this thread is late; None where none runs or nobody has looked yet."""
    loop = _running()
    probe = None if loop is None else _probes.get(loop)
    return None if probe is None else probe.lag()
