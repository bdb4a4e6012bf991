"""No hook waits: whichever lock of ours another thread holds, for good, the agent goes on."""

from __future__ import annotations

import gc
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from instrumentation.faults import byhand, decorated, plain, traffic
from instrumentation.faults.surroundings import Log

from tachograph.export.batch import BatchProcessor, Limits
from tachograph.plain.install import install
from tachograph.telemetry import lock as locks_module
from tachograph.telemetry.lock import BriefLock
from tachograph.testing import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

_KINDS = (type(threading.Lock()), type(threading.RLock()))


def locks() -> dict[str, list[Any]]:
    """The locks that objects of ours hold, by class and attribute: there is no list to keep."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for each in gc.get_objects():
        kind = type(each)
        if str(getattr(kind, "__module__", "")).startswith("tachograph."):
            slots = [name for cls in kind.__mro__ for name in vars(cls).get("__slots__", ())]
            for name in {*getattr(each, "__dict__", {}), *slots}:
                value = getattr(each, name, None)
                if type(value) in _KINDS:
                    found[f"{kind.__name__}.{name}"].append(value)
    return found


class Held:
    """Locks that another thread holds while the block runs."""

    def __init__(self, held: Sequence[Any]) -> None:
        self._held, self._taken, self._enough = held, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        for each in self._held:
            each.acquire()
        self._taken.set()
        self._enough.wait(30)
        for each in self._held:
            each.release()

    def __enter__(self) -> None:
        self._thread.start()
        assert self._taken.wait(5)

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()


def goes_on(play: Callable[[], object]) -> object:
    """What `play` gives, in a thread that is not waited for longer than ten seconds."""
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(play()), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "the agent waits"
    return got[0]


def everything() -> object:
    return [part() for part in (*decorated.PARTS, *byhand.PARTS, traffic.steps, traffic.tools, traffic.caches)]


def test_the_agent_goes_on_whoever_holds_our_locks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks_module, "PATIENCE_S", 0.001)
    expected = everything()
    installed = install(plain)
    try:
        with recording(audit_log=Log()) as recorded:
            assert goes_on(everything) == expected
            found = locks()
            assert {"Ledger._lock", "BriefLock._lock", "Writer._lock"} <= found.keys()
            with Held([each for kind in found.values() for each in kind]):
                assert goes_on(everything) == expected
        assert recorded.spans()
    finally:
        installed.undo()


def test_a_full_queue_drops_whoever_counts():
    class Sink:
        lost = 0

        def export(self, batch: Sequence[Any]) -> bool:
            return True

        def drain(self, deadline: float) -> None: ...
        def shutdown(self, timeout_s: float = 0.0) -> None: ...
        def after_fork(self) -> None: ...

    batch = BatchProcessor("traces", Sink(), lambda *_: None, Limits(queue=0))
    with Held([batch._drop_lock._lock]):
        goes_on(lambda: batch._take("span"))
    batch.shutdown()
    assert batch.lost == 1


def test_a_brief_lock_is_given_up_when_its_holder_is_gone_and_may_be_held_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks_module, "PATIENCE_S", 0.001)
    lock = BriefLock()
    with lock.held(), lock.held():
        pass
    first = lock._lock
    with Held([first]):
        with lock.held():
            assert lock._lock is not first
        with lock.held():
            pass
