"""Work that may take longer than its caller can wait: the caller goes on when its time is up."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable


def left(deadline: float) -> float:
    """Seconds until `deadline` on the monotonic clock, as many as a thread can wait for."""
    return min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)


def within(deadline: float, work: Callable[[], None]) -> bool:
    """Does `work` on a thread of its own; True when it was over by `deadline`. It goes on behind the caller's back.

    Whoever interrupts the caller may call this too: no lock that `work` takes is the caller's. Where no thread is to be
    had, at the end of an interpreter or beyond the system's limit, `work` is done here. What it raises is counted.
    """
    thread = threading.Thread(target=guarded("export", None)(work), name="tachograph-deadline", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        guarded("export", None)(work)()
        return time.monotonic() <= deadline
    thread.join(left(deadline))
    return not thread.is_alive()
