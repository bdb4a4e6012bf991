"""The decoder: follows the WAL, and turns what was acked into files that count. `python -m` runs it."""

from __future__ import annotations

import argparse
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tachograph.errors import UsageError
from tachograph_analytics.lifeline import follow
from tachograph_analytics.store.attempt import begun
from tachograph_analytics.store.decode import decode
from tachograph_analytics.store.durable import write_durably
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.lock import sole
from tachograph_analytics.store.manifest import Manifest, Position, Quarantined, open_manifest
from tachograph_analytics.store.parquet import write_rows
from tachograph_analytics.store.schema import TABLES, Row
from tachograph_analytics.store.segment import Damage, Entry, Record, scan, segment_path, segments

if TYPE_CHECKING:
    from pathlib import Path

# A batch is one file a table and one commit: as many bodies as come within the linger, up to these bounds.
MAX_BODIES = 40
MAX_ROWS = 20_000
LINGER_S = 0.5
# A batch that ended the process is tried again body by body; a body that did so this often is set aside unread. More
# than once, since a process can be killed for reasons of its own.
MAX_DEATHS = 5
_POLL_S = 0.05


@dataclass(slots=True)
class Batch:
    """What is decoded and not committed yet; `start` and `end` are its place in the WAL."""

    start: Position
    end: Position
    bodies: int = 0
    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: list[Row]() for table in TABLES})
    refused: list[tuple[Position, Damage | Record, str]] = field(
        default_factory=list[tuple[Position, "Damage | Record", str]]
    )

    @property
    def full(self) -> bool:
        """Whether it is time to commit it."""
        return self.bodies >= MAX_BODIES or sum(map(len, self.rows.values())) >= MAX_ROWS

    def add(self, entry: Entry, refusal: str | None = None) -> None:
        """Decodes one entry; one that cannot be decoded, or with a `refusal`, is set aside whole."""
        found, self.end = entry.found, entry.end
        if found is None:
            return
        self.bodies += 1
        if isinstance(found, Damage):
            self.refused.append((entry.end, found, "the WAL is damaged here"))
            return
        if refusal is not None:
            self.refused.append((entry.end, found, refusal))
            return
        try:
            decoded = decode(found)
        except Exception as error:  # noqa: BLE001 - whatever a body does to the decoder, its neighbours go on
            self.refused.append((entry.end, found, f"{type(error).__name__}: {error}"))
            return
        for table, rows in decoded.rows.items():
            self.rows[table].extend(rows)
        if decoded.aside is not None:
            self.refused.append((entry.end, *decoded.aside))


class Decoder:
    """Works on one home; the caller holds the home's lock."""

    def __init__(self, home: Home, manifest: Manifest) -> None:
        self._home = home
        self._manifest = manifest
        self._position = manifest.position()
        self._singly = 0  # bodies that are still to be taken one by one, after a batch that could not be stored
        sweep(home, manifest)

    def step(self, linger_s: float = 0.0) -> bool:
        """Decodes and commits one batch; False if there was nothing to do."""
        if next(scan(self._home.wal, self._position), None) is None:
            return False
        with begun(self._home.run / "decoding", self._position) as deaths:
            if deaths:
                self._singly = MAX_BODIES
            if deaths >= MAX_DEATHS:
                self._commit(self._next_body(f"the decoder died {deaths} times while it worked on this body"))
            else:
                self._store(self._next_body() if self._singly else self._collect(linger_s))
            self._singly = max(0, self._singly - 1)
        return True

    def _collect(self, linger_s: float) -> Batch:
        batch = Batch(self._position, self._position)
        deadline = time.monotonic() + linger_s
        while True:
            for entry in scan(self._home.wal, batch.end):
                batch.add(entry)
                if batch.full:
                    return batch
            if not batch.bodies or time.monotonic() >= deadline:
                return batch
            time.sleep(_POLL_S)

    def _next_body(self, refusal: str | None = None) -> Batch:
        """A batch of the next body alone."""
        batch = Batch(self._position, self._position)
        for entry in scan(self._home.wal, self._position):
            batch.add(entry, refusal)
            if batch.bodies:
                break
        return batch

    def _store(self, batch: Batch) -> None:
        """Commits the batch; if its rows fit no file, its bodies are tried one by one and the culprit is set aside."""
        try:
            self._commit(batch)
        except (OSError, sqlite3.Error):  # the disk's: to be tried again as it is
            raise
        except Exception as error:  # noqa: BLE001 - whatever a body does to the files, its neighbours go on
            sweep(self._home, self._manifest)
            if batch.bodies > 1:
                self._singly = batch.bodies + 1  # this step counts as one
            else:
                self._commit(self._next_body(f"{type(error).__name__}: {error}"))

    def _commit(self, batch: Batch) -> None:
        files = [write_rows(self._home, table, rows, batch.start) for table, rows in batch.rows.items() if rows]
        aside = [_set_aside(self._home, *refused) for refused in batch.refused]
        self._manifest.commit(files, aside, batch.end)
        self._position = batch.end
        for number in segments(self._home.wal):
            if number < batch.end.segment:
                segment_path(self._home.wal, number).unlink(missing_ok=True)


def sweep(home: Home, manifest: Manifest) -> None:
    """Deletes what the manifest does not know: the files of a batch that was never committed."""
    known = {home.path / f.path for f in manifest.files()} | {home.path / q.path for q in manifest.quarantined()}
    for folder in (home.quarantine, *(home.table(table) for table in TABLES)):
        for path in folder.iterdir():
            if path not in known:
                path.unlink()


def _set_aside(home: Home, end: Position, found: Damage | Record, reason: str) -> Quarantined:
    """Keeps a body that cannot be decoded, as it was sent."""
    record = found.record if isinstance(found, Damage) else found
    raw = found.raw if isinstance(found, Damage) else found.body
    path = home.quarantine / f"{end.segment:010d}-{end.offset:012d}.bin"
    write_durably(path, lambda partial: _write_bytes(partial, raw))
    received = datetime.fromtimestamp(record.received_ns / 1e9, UTC) if record else datetime.now(UTC)
    return Quarantined(
        path=str(path.relative_to(home.path)),
        signal=record.signal.label if record else "unknown",
        reason=reason,
        bytes=len(raw),
        received_at=received.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def _write_bytes(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)


def work(home: Home, *, once: bool = False, stop: threading.Event | None = None) -> None:
    """Decodes until `stop` is set, or with `once` until nothing is left; UsageError if another decoder does."""
    stop = stop or threading.Event()
    with sole(home.create(), "decoder"), open_manifest(home) as manifest:
        decoder = Decoder(home, manifest)
        while not stop.is_set():
            if not decoder.step(0.0 if once else LINGER_S):
                if once:
                    return
                stop.wait(_POLL_S)


def main() -> int:
    """The process: 2 for what the user can mend, 1 when the disk refuses."""
    parser = argparse.ArgumentParser(prog="tachograph_analytics.store.decoder", description=__doc__)
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--parent", type=int, help="stop when this process is no longer the parent")
    parser.add_argument("--once", action="store_true", help="decode what is there and stop")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    follow(arguments.parent)
    sys.meta_path.insert(0, _NoPandas)
    try:
        work(Home.at(arguments.home), once=arguments.once, stop=stop)
    except UsageError as error:
        sys.stderr.write(f"decoder: {error}\n")
        return 2
    except (OSError, sqlite3.OperationalError) as error:
        sys.stderr.write(f"decoder: the disk refuses, nothing is lost, start it again: {error}\n")
        return 1
    return 0


class _NoPandas:
    """Lets pandas be absent: pyarrow imports it with its first array, 1.5 s of CPU and 60 MB of no use in here."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Refuses pandas and leaves everything else to the next finder."""
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


if __name__ == "__main__":
    sys.exit(main())
