"""One process at a time for a role in a home; the lock goes with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator

    from tachograph_analytics.store.home import Home


@contextmanager
def sole(home: Home, role: str) -> Generator[None]:
    """Holds the home's lock for `role`; UsageError if another process has it."""
    handle = os.open(home.run / f"{role}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UsageError(
            f"another {role} already works on {home.path}: stop that one first, or name another home with --home"
        ) from error
    try:
        yield
    finally:
        os.close(handle)
