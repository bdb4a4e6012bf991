"""A forked child's metrics begin at 0: what the parent had counted before the fork is the parent's to tell."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics._internal.metric_reader_storage import MetricReaderStorage

from tachograph.telemetry import guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader


def begin_at_zero(meters: MeterProvider, reader: MetricReader) -> None:
    """Sees to it that `reader` reads, in children forked from now on, only what they count themselves.

    The SDK hands its sums down to a child, so parent and children would each tell those of before the fork. A reader
    has sums of its own in its provider; the child gets new ones. Readers of the application stay as they are.
    """
    if not hasattr(os, "register_at_fork"):
        return
    # The reader keeps its consumer alive, which does the provider's work; the provider itself may be gone.
    consumer: Any = getattr(meters, "_measurement_consumer", None)
    ours = weakref.ref(reader)
    theirs: Callable[[], Any] = weakref.ref(consumer) if consumer is not None else lambda: None

    def after_in_child() -> None:
        if (reading := ours()) is not None:
            _begin_anew(theirs(), reading)

    os.register_at_fork(after_in_child=guard.guarded("export", None)(after_in_child))


def _begin_anew(consumer: Any, reader: Any) -> None:
    """Replaces the reader's sums, without a lock: some thread of the parent's may hold it, and never lets it go."""
    try:
        known = consumer._reader_storages  # noqa: SLF001 - removing and adding a reader takes locks
        if reader not in known:
            return
        consumer._lock = threading.Lock()  # noqa: SLF001
        consumer._reader_storages = {  # noqa: SLF001
            **known,
            reader: MetricReaderStorage(
                consumer._sdk_config,  # noqa: SLF001
                reader._instrument_class_temporality,  # noqa: SLF001
                reader._instrument_class_aggregation,  # noqa: SLF001
                reader._instrument_class_cardinality_limit,  # noqa: SLF001
            ),
        }
    except Exception as error:  # noqa: BLE001 - a later SDK may look otherwise: then no numbers rather than wrong ones
        guard.failed("export", error)
        reader._set_collect_callback(None)  # noqa: SLF001
