"""The decoder: from the WAL to files that count, exactly once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from analytics.otlp import AnEvent, ASpan, logs, packed, span_id, traces
from analytics.services import decode_all, home_at, run_to_end, start_decoder, wait_for

from tachograph_analytics.receiver.wal import Wal
from tachograph_analytics.store import attempt, decoder
from tachograph_analytics.store.decoder import MAX_BODIES, MAX_DEATHS, Decoder, work
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.lock import sole
from tachograph_analytics.store.manifest import Position, Quarantined, open_manifest
from tachograph_analytics.store.segment import ContentType, Encoding, Record, Signal, backlog, segment_path, segments
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tachograph_analytics.store.decode import Decoded


@pytest.fixture
def home(tmp_path) -> Home:
    return home_at(tmp_path)


def a_body(*spans: int) -> Record:
    return Record(
        Signal.TRACES, Encoding.GZIP, ContentType.PROTOBUF, 11_000, packed(traces([ASpan(11, span) for span in spans]))
    )


def write(home: Home, *records: Record) -> None:
    wal = Wal(home.wal)
    for future in [wal.append(record) for record in records]:
        future.result(10)
    wal.close()


def stored(home: Home) -> list[str]:
    return [row[0] for row in connect(home).execute("SELECT span_id FROM stored_spans ORDER BY 1").fetchall()]


def ids(*numbers: int) -> list[str]:
    return [span_id(number) for number in numbers]


def test_each_signal_goes_to_its_table(home):
    notification = {
        "version": "4",
        "alerts": [{"fingerprint": "f11", "status": "firing", "labels": {"alertname": "A"}}],
    }
    write(
        home,
        a_body(13),
        Record(Signal.LOGS, Encoding.GZIP, ContentType.PROTOBUF, 11, packed(logs([AnEvent("e")]))),
        Record(Signal.ALERTS, Encoding.IDENTITY, ContentType.JSON, 11, json.dumps(notification).encode()),
    )
    decode_all(home)
    with open_manifest(home) as manifest:
        assert [(f.table, f.rows) for f in manifest.files()] == [("alerts", 1), ("events", 1), ("spans", 1)]
        assert backlog(home.wal, manifest.position()) == 0


def test_a_body_that_does_not_decode_is_set_aside_whole_and_its_neighbours_go_on(home):
    bad = Record(Signal.TRACES, Encoding.IDENTITY, ContentType.PROTOBUF, 1_795_521_611_000_000_000, b"\x0a\xff")
    write(home, a_body(19), bad, a_body(23))
    work(home, once=True)
    assert ids(19, 23) == stored(home)
    (kept,) = quarantined(home)
    assert bad.body == (home.path / kept.path).read_bytes()
    assert ("traces", len(bad.body), "2026-11-24T12:00:11.000Z") == (kept.signal, kept.bytes, kept.received_at)
    assert kept.reason.startswith("DecodeError: ")


def test_a_span_without_an_id_is_set_aside_alone_at_its_place_in_the_wal(home):
    request = traces([ASpan(11, 13), ASpan(11, 17)])
    request.resource_spans[0].scope_spans[0].spans[1].span_id = b"short"
    body = request.SerializeToString()
    write(home, a_body(19), Record(Signal.TRACES, Encoding.IDENTITY, ContentType.PROTOBUF, 11, body))
    end = segment_path(home.wal, 1).stat().st_size
    work(home, once=True)
    assert ids(13, 19) == stored(home)
    (kept,) = quarantined(home)
    assert kept.reason == "1 spans without a valid trace and span id: number 1 of the request"
    assert kept.path == f"quarantine/0000000001-{end:012d}.bin"


def quarantined(home: Home) -> list[Quarantined]:
    with open_manifest(home) as manifest:
        return manifest.quarantined()


def test_half_a_surrogate_pair_in_an_alert_is_stored_and_what_follows_goes_on(home):
    write(home, an_alert(rb"\ud800"), a_body(13))
    work(home, once=True)
    assert connect(home).execute("SELECT fingerprint, name FROM stored_alerts").fetchall() == [("f11", "\ufffd")]
    assert (ids(13), []) == (stored(home), quarantined(home))


def an_alert(name: bytes) -> Record:
    body = b'{"version":"4","alerts":[{"fingerprint":"f11","status":"firing","labels":{"alertname":"' + name + b'"}}]}'
    return Record(Signal.ALERTS, Encoding.IDENTITY, ContentType.JSON, 11, body)


def test_a_body_whose_rows_fit_no_file_is_set_aside_and_its_neighbours_go_on(home, monkeypatch):
    """A value that the decoder lets through and Arrow does not: a number where text is due."""
    good = decoder.decode

    def decode(record: Record) -> Decoded:
        decoded = good(record)
        for row in decoded.rows["spans"]:
            if row["span_id"] == span_id(17):
                row["name"] = 17
        return decoded

    monkeypatch.setattr(decoder, "decode", decode)
    bad = a_body(17, 19)
    write(home, a_body(13), bad, a_body(23), a_body(29))
    work(home, once=True)
    assert ids(13, 23, 29) == stored(home)
    (kept,) = quarantined(home)
    assert kept.reason.startswith("ArrowTypeError: ")
    assert (home.path / kept.path).read_bytes() == bad.body
    with open_manifest(home) as manifest:
        assert backlog(home.wal, manifest.position()) == 0
        assert sorted(home.path / file.path for file in manifest.files()) == sorted(home.table("spans").iterdir())


def test_a_disk_that_refuses_sets_nothing_aside(home, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write(home, a_body(13), a_body(17))
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "write_rows", full)
        for _ in range(MAX_DEATHS + 2):
            with pytest.raises(OSError, match="No space"):
                work(home, once=True)
    work(home, once=True)
    assert (ids(13, 17), []) == (stored(home), quarantined(home))


def test_a_body_that_ends_the_process_time_and_again_is_set_aside_unread(home, monkeypatch):
    """As a body does that is too large for the memory: the process is killed, and started again."""
    good, deadly = decoder.decode, a_body(17)
    left_open: list[object] = []

    class Killed(BaseException):
        pass

    @contextmanager
    def begun(note: Path, position: Position) -> Iterator[int]:
        whole = attempt.begun(note, position)
        left_open.append(whole)
        yield whole.__enter__()
        whole.__exit__(None, None, None)  # a killed process does not come here

    def decode(record: Record) -> Decoded:
        if record == deadly:
            raise Killed
        return good(record)

    monkeypatch.setattr(decoder, "begun", begun)
    monkeypatch.setattr(decoder, "decode", decode)
    write(home, a_body(13), deadly, a_body(23))
    deaths = 0
    while stored(home) != ids(13, 23):
        try:
            work(home, once=True)
        except Killed:
            deaths += 1
            assert deaths <= 2 * MAX_DEATHS
    assert deaths == MAX_DEATHS + 1  # once with its neighbours, then alone
    (kept,) = quarantined(home)
    assert kept.reason == f"the decoder died {MAX_DEATHS} times while it worked on this body"
    assert (home.path / kept.path).read_bytes() == deadly.body
    assert list(home.run.glob("decoding")) == []


def test_all_that_is_kept_is_for_its_owner_alone(tmp_path):
    before = os.umask(0o022)
    try:
        home = Home(tmp_path / "deep" / "home").create()
        write(home, a_body(13), Record(Signal.TRACES, Encoding.IDENTITY, ContentType.PROTOBUF, 11, b"\x0a\xff"))
        work(home, once=True)
        with open_manifest(home):
            found = {path: stat.S_IMODE(path.stat().st_mode) for path in (home.path, *home.path.rglob("*"))}
    finally:
        os.umask(before)
    assert {path.name: oct(mode) for path, mode in found.items() if path.is_dir() and mode != 0o700} == {}
    assert {path.name: oct(mode) for path, mode in found.items() if path.is_file() and mode != 0o600} == {}
    assert {path.suffix for path in found if path.is_file()} >= {".parquet", ".wal", ".sqlite", ".bin"}


def test_damage_in_the_wal_is_set_aside_and_what_follows_goes_on(home):
    write(home, a_body(13), a_body(17))
    path = segment_path(home.wal, 1)
    data = bytearray(path.read_bytes())
    data[40] ^= 0xFF
    path.write_bytes(data)
    work(home, once=True)
    assert ids(17) == stored(home)
    with open_manifest(home) as manifest:
        assert [kept.reason for kept in manifest.quarantined()] == ["the WAL is damaged here"]


def test_a_batch_ends_at_its_bound_of_bodies(home):
    write(home, *(a_body(number) for number in range(1, MAX_BODIES + 4)))
    work(home, once=True)
    with open_manifest(home) as manifest:
        assert [file.rows for file in manifest.files()] == [MAX_BODIES, 3]


def test_decoded_segments_are_deleted_but_not_the_newest(home):
    write(home, a_body(13))
    write(home, a_body(17))
    write(home)
    assert segments(home.wal) == [1, 2, 3]
    work(home, once=True)
    assert segments(home.wal) == [3]
    with open_manifest(home) as manifest:
        assert Position(3, 0) == manifest.position()
    assert ids(13, 17) == stored(home)


def test_it_goes_on_where_it_ended(home):
    write(home, a_body(13))
    work(home, once=True)
    write(home, a_body(17))
    work(home, once=True)
    work(home, once=True)
    assert ids(13, 17) == stored(home)


def test_files_of_a_batch_that_was_never_committed_are_deleted_and_made_again(home):
    write(home, a_body(13))
    work(home, once=True)
    for stray in ("spans/0000000001-000000000999.parquet", "events/x.parquet.partial", "quarantine/y.bin"):
        (home.path / stray).write_bytes(b"half")
    with open_manifest(home) as manifest:
        known = [file.path for file in manifest.files()]
        Decoder(home, manifest)
    left = [
        str(path.relative_to(home.path))
        for name in ("spans", "events", "quarantine")
        for path in (home.path / name).iterdir()
    ]
    assert known == left


def test_a_home_has_one_decoder(home):
    with sole(home, "decoder"):
        code, errors = run_to_end(start_decoder(home, "--once"))
    assert (code, errors.count("\n")) == (2, 1)
    assert "another decoder already works on" in errors


def test_a_decoder_killed_between_its_files_and_its_commit_loses_and_doubles_nothing(home):
    write(home, a_body(13), a_body(17))
    with open_manifest(home):
        pass
    other = sqlite3.connect(home.manifest, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # the decoder's commit waits for this one
    process = start_decoder(home)
    wait_for(lambda: [path for path in home.table("spans").iterdir() if path.suffix == ".parquet"])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    other.execute("ROLLBACK")
    other.close()
    assert stored(home) == []
    decode_all(home)
    assert ids(13, 17) == stored(home)
    with open_manifest(home) as manifest:
        assert [home.path / file.path for file in manifest.files()] == sorted(home.table("spans").iterdir())
