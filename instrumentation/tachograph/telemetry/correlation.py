"""The run id on the host's own log records, so that a line in a log file leads to its run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tachograph.run import run_id

if TYPE_CHECKING:
    from collections.abc import Callable


def correlate() -> Callable[[], None]:
    """Adds `tachograph_run_id` to every log record that is made inside a run; the returned function stops that."""
    original = logging.getLogRecordFactory()
    on = True

    def factory(*args: object, **kwargs: object) -> logging.LogRecord:
        record = original(*args, **kwargs)
        run = run_id() if on else None
        if run is not None:
            record.tachograph_run_id = run
        return record

    def stop() -> None:
        nonlocal on
        on = False  # somebody may have wrapped ours: then it stays below theirs and does nothing
        if logging.getLogRecordFactory() is factory:
            logging.setLogRecordFactory(original)

    logging.setLogRecordFactory(factory)
    return stop
