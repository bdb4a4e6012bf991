"""Children that do not outlive their parent, not even one that was killed outright."""

from __future__ import annotations

import os
import signal
import threading
import time

_POLL_S = 0.2
_GRACE_S = 10.0


def follow(parent: int | None) -> None:
    """From now on this process stops when the process `parent` is no longer its parent; None: it goes on alone."""
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)
