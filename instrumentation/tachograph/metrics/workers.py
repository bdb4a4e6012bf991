"""/metrics of all processes of one service: whoever has the port asks the others, and shows one page.

Each process is a worker: it keeps an entry in the service's roster and tells its numbers on a loopback port of its own
to whoever knows the entry's secret. One of them has the port of /metrics; when it goes, another takes the port over.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import Metric as Family

from tachograph.errors import UsageError
from tachograph.metrics.endpoint import POLL_S, Server, page_app, serve
from tachograph.metrics.families import labels_of
from tachograph.metrics.merge import Merger, page_of
from tachograph.metrics.peers import LOOPBACK, ask, vacant, wake
from tachograph.metrics.roster import Entry, Roster, place
from tachograph.registry.instruments import WORKERS
from tachograph.registry.names import WORKER_STATE
from tachograph.telemetry import guard
from tachograph.telemetry.deadline import left, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tachograph.metrics.endpoint import PrometheusReader
    from tachograph.metrics.merge import Page

LOOK_S: Final = 0.5  # between two looks at whether the port is free, when nobody says so
KEEP_S: Final = 5.0  # what a process that is killed may lose of its counts
CLOSE_S: Final = 1.0  # for the last numbers, when the caller names no time
_TELL_S: Final = 10.0  # for whoever tells the numbers before: Prometheus waits no longer
_LAST_LOOK_S: Final = 0.1  # for the roster's lock when this process ends
_REJOIN_S: Final = 1.0  # between two tries of a forked child to join


@dataclass(frozen=True, slots=True)
class Address:
    """Where /metrics is, and whose: agents of other names that are set to the same port are none of ours."""

    service: str
    host: str
    port: int
    token: str | None = None
    directory: str | None = None


class Workers:
    """This process as one of the workers of its service.

    Forked children join by themselves. Raises UsageError when a stranger has the port of /metrics, or the address is
    open to others and no token is set. Where no roster can be kept the process is alone, and `note` says why.
    """

    def __init__(self, reader: PrometheusReader, address: Address, waiting: Callable[[], bool] = lambda: False) -> None:
        """`waiting` says whether there are numbers that nobody has read; they are written down every 5 s."""
        self._reader = reader
        self._address = address
        self._waiting = waiting
        self._exemplars: dict[tuple[str, tuple[tuple[str, str], ...]], Any] = {}
        self._roster: Roster | None = None
        self._begin()
        self.port = address.port
        if address.port == 0:
            self._front = self._listen()
            self.port = self._front.port if self._front else 0
        self.note = self._join()
        if hasattr(os, "register_at_fork"):
            weak = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (again := weak()) and again())
        _close_with_multiprocessing(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()  # held to join, to take the port over and to leave; never by the agent's steps
        self._telling = threading.Lock()
        self._id = f"{os.getpid()}-{time.time_ns():x}-{secrets.token_hex(4)}"
        self._front: Server | None = None
        self._back: Server | None = None
        self._fd: int | None = None
        self._closed = False
        self._left = False
        self._others = False
        self._ticked_at = self._looked_at = self._kept_at = time.monotonic()

    @property
    def url(self) -> str:
        """Where to scrape."""
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        return f"http://{host}:{self.port}/metrics"

    # -- joining and leaving
    def _join(self) -> str:
        at = self._address
        try:
            self._roster = Roster(place(at.directory, at.service, at.host, self.port))
            with self._roster.locked():
                living = self._roster.living()
                if not living:
                    self._roster.begin()
                if self._front is None:
                    self._front = self._listen(taken_by_us=bool(living))
                self._enter(self._roster)
        except OSError as error:
            self._roster = None
            self._front = self._front or self._listen()
            return f"/metrics on {self.url}, this process alone: {error}"
        return f"/metrics on {self.url}" + ("" if self._front else ", which another process of this service serves")

    def _listen(self, *, taken_by_us: bool = False) -> Server | None:
        """The port of /metrics; None when another worker has it."""
        at = self._address
        try:
            return serve(page_app(self.families), at.host, self.port, at.token)
        except UsageError:
            if taken_by_us:
                return None
            raise

    def _enter(self, roster: Roster) -> None:
        """Becomes visible to the other workers; under the roster's lock."""
        roster.tidy()
        secret = secrets.token_urlsafe(24)
        self._back = serve(self._tell, LOOPBACK, 0, secret, tick=guard.guarded("export", None)(self._tick))
        self._fd = roster.enter(Entry(self._id, self._back.port, secret))

    def _tick(self) -> None:
        """Takes the port over when nobody has it, and writes down now and then what a crash would take along."""
        now = time.monotonic()
        woken = now - self._ticked_at < POLL_S * 0.9  # by a connection: others may have left
        self._ticked_at = now
        with self._lock:
            if self._closed:
                return
            look = woken or now - self._looked_at > LOOK_S
            if look:
                self._looked_at = now
            if look and self._front is None and vacant(self._address.host, self.port):
                with suppress(UsageError):
                    self._front = self._listen()
        if now - self._kept_at > KEEP_S:
            self._kept_at = now
            if self._waiting():
                self.keep(now)  # by a thread of its own: a slow callback of the host's must not hold this one

    def close(self, deadline: float | None = None) -> None:
        """Leaves: frees the port and lets the last numbers stay for the others to show. A second call does nothing.

        Numbers that are not there by `deadline` on the monotonic clock are not waited for: the earlier ones stay.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            front, self._front = self._front, None
            back, self._back = self._back, None
            fd, self._fd = self._fd, None
        self.keep(time.monotonic() + CLOSE_S if deadline is None else deadline)
        self._left = True
        if front is not None:
            front.close()
            self._wake_the_others()
        if back is not None:
            back.close()
        if fd is not None and self._roster is not None:
            self._roster.leave(fd)
            with suppress(OSError), self._roster.locked(_LAST_LOOK_S):
                self._roster.end(for_good=self._address.port == 0)

    def keep(self, deadline: float) -> bool:
        """Writes the numbers down as they are now: all that stays of a process that ends without `close`.

        True when that is done by `deadline` on the monotonic clock: the host's own callbacks are asked too.
        """
        roster = self._roster
        kept = threading.Event()
        return roster is None or (within(deadline, lambda: self._keep(roster, deadline, kept)) and kept.is_set())

    def _keep(self, roster: Roster, deadline: float, kept: threading.Event) -> None:
        try:
            self._own(left(deadline))
            with self._lock:
                if self._fd is None and not self._left:  # a forked child whose thread has not come to it yet
                    self._appear(roster)
            kept.set()
        except TimeoutError:  # another thread is at it
            guard.count("export")
        except Exception as error:  # noqa: BLE001 - a full disk is no concern of the agent's
            kept.set()
            guard.failed("export", error)

    def _appear(self, roster: Roster) -> None:
        """Makes the kept numbers count: as a worker's or, when this one has closed, as those of an ended one."""
        if not self._closed:
            with roster.locked():
                self._enter(roster)
        elif not roster.has(self._id):
            roster.leave(roster.enter(Entry(self._id, 0, "")))

    def _wake_the_others(self) -> None:
        """A connection makes a worker look at once whether the port is free."""
        with suppress(OSError):
            wake(self._living())

    # -- fork
    def _after_fork(self) -> None:
        """In a forked child: it is a worker of its own as soon as a thread of its own has seen to that."""
        if self._roster is None or self._closed:
            return
        self._inherited = (self._front, self._back)  # these close their sockets themselves
        self._roster.after_fork()
        self._exemplars = {}
        self._begin()
        _close_with_multiprocessing(self)
        try:
            threading.Thread(target=self._join_again, name="tachograph-metrics-join", daemon=True).start()
        except RuntimeError as error:  # no thread to be had: the numbers are kept at the end
            guard.failed("export", error)

    def _join_again(self) -> None:
        while True:
            with self._lock:
                if self._closed or self._roster is None or self._fd is not None:
                    return
                try:
                    with self._roster.locked():
                        self._enter(self._roster)
                except Exception as error:  # noqa: BLE001 - of a thread nobody sees
                    guard.failed("export", error)
                else:
                    return
            time.sleep(_REJOIN_S)

    # -- numbers
    def families(self) -> Iterable[Family]:
        """The page: all workers', living and ended. Raises OSError when only a part of it could be had."""
        roster = self._roster
        if roster is None:
            return self._reader.families()
        own = self._own()
        try:
            with roster.locked():
                living = [entry for entry in roster.living() if entry.id != self._id]
                ended = roster.ended()
        except OSError:
            if self._others:
                raise
            return self._reader.families()
        self._others = self._others or bool(living) or bool(ended.count)
        merger = Merger()
        merger.add(own)
        merger.add(ended.page, ended=True)
        states = {"answered": 1, "silent": 0, "ended": ended.count}
        for entry, page in ask(living):
            states["silent" if page is None else "answered"] += 1
            merger.add(roster.kept(entry.id) if page is None else page)
        return [*merger.families(), _workers(states)]

    def _own(self, patience_s: float = _TELL_S) -> Page:
        """This process's numbers, which are kept as they are told: what was once shown is never taken back.

        Raises TimeoutError where somebody else is at it for longer than that.
        """
        telling = self._telling
        if not telling.acquire(timeout=patience_s):
            raise TimeoutError("the numbers of this process are still being collected")
        try:
            page = page_of(self._reader.families(), self._reader.summed)
            self._with_exemplars(page)
            if self._roster is not None and not self._left:  # who has left is summed up by the others
                self._roster.keep(self._id, json.dumps(page).encode())
            return page
        finally:
            telling.release()

    def _with_exemplars(self, page: Page) -> None:
        """Shows each exemplar until there is a newer one: the SDK hands it out once, to whoever reads first."""
        for family in page:
            if family["kind"] == "gauge":
                continue
            for sample in family["samples"]:
                series = sample[0], tuple(sample[1].items())
                if sample[3] is not None:
                    self._exemplars[series] = sample[3]
                else:
                    sample[3] = self._exemplars.get(series)

    def _tell(self, _: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers the worker that is scraped."""
        body = json.dumps(self._own()).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _living(self) -> list[Entry]:
        if self._roster is None:
            return []
        with self._roster.locked(_LAST_LOOK_S):
            return [entry for entry in self._roster.living() if entry.id != self._id]


def _close_with_multiprocessing(workers: Workers) -> None:
    """Leaves at the end of a child of multiprocessing, which ends without atexit.

    A child calls us again as it begins, for it forgets first what is to be done at its end.
    """
    util: Any = sys.modules.get("multiprocessing.util")
    process: Any = sys.modules.get("multiprocessing.process")
    if util is None or process is None:
        return
    if process.parent_process() is not None:
        util.Finalize(None, workers.close, exitpriority=0)
    util.register_after_fork(workers, _close_with_multiprocessing)


def _workers(states: dict[str, int]) -> Family:
    family = Family(WORKERS.name.replace(".", "_"), WORKERS.brief, "gauge")
    for state, count in states.items():
        family.add_sample(family.name, labels_of({WORKER_STATE: state}), count)
    return family
