"""What the store takes in: the real receiver and decoder, gzipped requests of 512 spans, each synced before its ack.

Baselines: the same bytes written to the same disk with one fdatasync each, and the same requests parsed and forgotten.
"""

from __future__ import annotations

import gzip
import http.client
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from report import Figure, main
from workload import SPANS, Workload, workload

from tachograph_analytics.listen import free_port
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.manifest import open_manifest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

CLIENTS = 16  # connections that send at once: enough company for one fdatasync
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
DEADLINE_S = 60.0

SYNCED, SYNCED_P99 = "raw fdatasync, one a request", "raw fdatasync, p99"
PARSED, SENT = "protobuf parse only", "bytes a span, as sent"


@dataclass(frozen=True, slots=True)
class Sent:
    """Requests that were acked within `seconds`, and each one's wait in seconds."""

    seconds: float
    waits: list[float]

    @property
    def spans_per_s(self) -> float:
        """Spans acked a second."""
        return SPANS * len(self.waits) / self.seconds

    @property
    def p99_ms(self) -> float:
        """99 of 100 requests waited at most this long."""
        return statistics.quantiles(self.waits, n=100)[98] * 1000


def measure(quick: bool) -> Iterable[Figure]:
    """Acks, decoding and size."""
    load = workload(16 if quick else 128)
    requests = 128 if quick else 4096
    with tempfile.TemporaryDirectory() as folder:
        synced = _synced(Path(folder) / "raw", load, requests)
        acked = _acked(Home(Path(folder) / "acks").create(), load, requests)
        decoded, stored = _decoded(Home(Path(folder) / "decode").create(), load)
    return (
        Figure(SYNCED, synced.spans_per_s, "spans/s"),
        Figure("acked", acked.spans_per_s, "spans/s", SYNCED),
        Figure(SYNCED_P99, synced.p99_ms, "ms"),
        Figure(f"ack, p99 of {CLIENTS} clients", acked.p99_ms, "ms", SYNCED_P99),
        Figure(PARSED, _parsed(load), "spans/CPU s"),
        Figure("decoded into Parquet", decoded, "spans/CPU s", PARSED),
        Figure(SENT, load.packed / load.spans, "B"),
        Figure("bytes a span, as protobuf", load.unpacked / load.spans, "B", SENT),
        Figure("bytes a span, stored", stored, "B", SENT),
    )


def _synced(path: Path, load: Workload, requests: int) -> Sent:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    waits: list[float] = []
    began = time.perf_counter()
    for number in range(requests):
        asked = time.perf_counter()
        os.write(file, load.bodies[number % len(load.bodies)])
        os.fdatasync(file)
        waits.append(time.perf_counter() - asked)
    seconds = time.perf_counter() - began
    os.close(file)
    return Sent(seconds, waits)


def _acked(home: Home, load: Workload, requests: int) -> Sent:
    with _receiver(home) as port:
        _send(port, load, 2 * CLIENTS)  # connections and caches are warm when it counts
        return _send(port, load, requests)


def _send(port: int, load: Workload, requests: int) -> Sent:
    """Sends the requests over and over from all clients; raises RuntimeError for the first that is not acked."""
    turns, waits, errors = count(), list[float](), list[str]()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        while (number := next(turns)) < requests and not errors:
            asked = time.perf_counter()
            connection.request("POST", "/v1/traces", load.bodies[number % len(load.bodies)], HEADERS)
            answer = connection.getresponse()
            answer.read()
            waits.append(time.perf_counter() - asked)
            if answer.status != http.client.OK:
                errors.append(f"{answer.status} {answer.reason}")
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"the receiver answered {errors[0]}")
    return Sent(time.perf_counter() - began, waits)


def _decoded(home: Home, load: Workload) -> tuple[float, float]:
    """Spans a CPU second of the decoder, without its start; and bytes a span of its Parquet files."""
    started = _decoder_cpu_s(Home(home.path / "empty").create())
    with _receiver(home) as port:
        _send(port, load, len(load.bodies))
    worked = _decoder_cpu_s(home)
    with open_manifest(home) as manifest:
        files = [home.path / file.path for file in manifest.files("spans")]
    return load.spans / (worked - started), sum(file.stat().st_size for file in files) / load.spans


def _decoder_cpu_s(home: Home) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "tachograph_analytics.store.decoder", "--home", str(home.path), "--once"]
    subprocess.run(command, check=True)  # noqa: S603 - our own decoder
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _parsed(load: Workload) -> float:
    began = time.process_time()
    for body in load.bodies:
        ExportTraceServiceRequest().ParseFromString(gzip.decompress(body))
    return load.spans / (time.process_time() - began)


@contextmanager
def _receiver(home: Home) -> Generator[int]:
    """The port of a receiver that answers, ended with the block."""
    port = free_port()
    command = [sys.executable, "-m", "tachograph_analytics.receiver", "--home", str(home.path), "--port", str(port)]
    process = subprocess.Popen(command)  # noqa: S603 - our own receiver
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def _wait(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()


if __name__ == "__main__":
    main(__doc__, measure)
