"""Stores for tests: what was recorded goes the whole way, as OTLP through WAL and decoder to the views."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from tachograph_analytics.receiver.wal import Wal
from tachograph_analytics.store.decoder import work
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.segment import ContentType, Encoding, Record, Signal

if TYPE_CHECKING:
    from pathlib import Path

    from tachograph.testing import Recorded

RECEIVED = 1_790_000_000_000_000_000  # Unix nanoseconds


def stored(recorded: Recorded, path: Path) -> Home:
    """A home at `path` that holds the spans and events of `recorded`."""
    home = Home(path).create()
    bodies = {
        Signal.TRACES: encode_spans(recorded.sdk_spans()),
        Signal.LOGS: encode_logs(recorded._logs.get_finished_logs()),
    }
    wal = Wal(home.wal)
    for signal, request in bodies.items():
        body = gzip.compress(request.SerializeToString(), mtime=0)
        wal.append(Record(signal, Encoding.GZIP, ContentType.PROTOBUF, RECEIVED, body)).result(timeout=11)
    wal.close()
    work(home, once=True)
    return home
