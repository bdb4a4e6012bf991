"""The writer: the agent's thread only appends to a queue, and nothing that is refused is told as recorded."""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
import time

import pytest
from instrumentation.audit.entries import SPAN, Settled, entry, records, until, writer, written
from opentelemetry.trace import get_current_span

from tachograph.audit import writer as writer_module
from tachograph.audit.file import AuditFile, prepare
from tachograph.audit.verify import verify
from tachograph.registry import names as n
from tachograph.telemetry import guard

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def threaded():
    made = []

    def make(settled, folder=None, **settings):
        made.append(writer(settled, folder, threaded=True, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close(time.monotonic() + 2)


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "tachograph"]


def test_entries_are_chained_in_a_file_for_its_owner_alone(tmp_path):
    path = written(tmp_path / "deep" / "audit", 3)
    assert [record[n.AUDIT_SEQUENCE] for record in records(path)] == [0, 1, 2, 3]
    assert records(path)[2] == {
        "gen_ai.agent.name": "desk",
        "gen_ai.tool.name": "refund",
        "tachograph.audit.action": "write",
        "tachograph.audit.chain": path.stem,
        "tachograph.audit.hash": records(path)[3]["tachograph.audit.previous"],
        "tachograph.audit.id": "audit_2",
        "tachograph.audit.previous": records(path)[1]["tachograph.audit.hash"],
        "tachograph.audit.sequence": 2,
        "tachograph.run.id": "run_2",
        "time": "2026-01-01T00:00:02.000000000Z",
    }
    first = records(path)[0]
    assert (first["gen_ai.agent.name"], first["process.pid"], first["keyed"]) == ("desk", os.getpid(), False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_entry_keeps_its_span_and_what_json_cannot_say(tmp_path):
    settled = Settled()
    made = writer(settled, tmp_path)
    made.put(entry(1, span=SPAN, GATE_OBSERVED=float("nan"), APPROVAL_APPROVERS=["a", "b"], ACTOR_ROLE=object()))
    (record,) = [record for _, record in settled.entries]
    assert (record["trace_id"], record["span_id"]) == ("0" * 30 + "11", "0" * 14 + "13")
    assert (record[n.GATE_OBSERVED], tuple(record[n.APPROVAL_APPROVERS]), n.ACTOR_ROLE in record) == (
        "nan",
        ("a", "b"),
        False,
    )
    assert verify(next(tmp_path.glob("*.jsonl")), None).whole


def test_what_looks_like_a_secret_is_redacted_before_it_is_written(tmp_path):
    made = writer(Settled(), tmp_path)
    made.put(entry(1, GEN_AI_TOOL_NAME="refund 4111 1111 1111 1111", ACTOR_ROLE="jane@example.com"))
    (path,) = tmp_path.glob("*.jsonl")
    assert b"4111" not in path.read_bytes()
    assert b"jane" not in path.read_bytes()
    assert verify(path, None).whole


def test_the_host_gets_each_record_after_the_file_and_before_it_is_told(tmp_path):
    seen = []

    class Host:
        def append(self, entry):
            (path,) = tmp_path.glob("*.jsonl")
            seen.append((entry[n.AUDIT_ID], records(path)[-1] == entry, get_current_span().get_span_context().span_id))

    settled = Settled()
    made = writer(settled, tmp_path, audit_log=Host(), threaded=True)
    made.put(entry(1, span=SPAN))
    made.close(time.monotonic() + 5)
    assert seen == [("audit_1", True, SPAN.span_id)]
    assert settled.recorded() == ["audit_1"]


# -- the agent's thread
def test_a_hook_returns_while_the_disk_hangs(tmp_path, threaded, monkeypatch):
    hangs, released, real = threading.Event(), threading.Event(), os.fsync

    def fsync(file):
        hangs.set()
        assert released.wait(20)
        real(file)

    def forbidden(*_):
        raise AssertionError("this thread must not write")

    monkeypatch.setattr(os, "fsync", fsync)
    settled = Settled()
    made = threaded(settled, tmp_path)
    made.put(entry(1))
    assert hangs.wait(10)
    began = time.perf_counter()
    for number in range(2, 1002):
        made.put(entry(number))
    took = time.perf_counter() - began
    assert settled.entries == []
    assert made.flush(time.monotonic() + 0.05) is False
    released.set()
    assert made.flush(time.monotonic() + 10)
    assert took < 1  # a thousand hooks, each an append
    assert settled.recorded() == [f"audit_{number}" for number in range(1, 1002)]


def test_putting_an_entry_opens_writes_and_syncs_nothing_itself(tmp_path, threaded, monkeypatch):
    here, used = threading.get_ident(), []

    def watched(real):
        def call(*arguments, **settings):
            if threading.get_ident() == here:
                used.append(real.__name__)
            return real(*arguments, **settings)

        return call

    made = threaded(Settled(), tmp_path)
    for name in ("open", "write", "fsync"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    for number in range(17):
        made.put(entry(number))
    assert made.flush(time.monotonic() + 10)
    monkeypatch.undo()
    assert used == []
    assert len(records(next(tmp_path.glob("*.jsonl")))) == 18


def test_a_full_queue_refuses_the_newest_and_says_so_once(threaded, caplog):
    entered, released = threading.Event(), threading.Event()

    class Slow:
        def append(self, entry):
            entered.set()
            assert released.wait(20)

    settled = Settled()
    made = threaded(settled, audit_log=Slow(), queue=3)
    made.put(entry(1))
    assert entered.wait(10)
    for number in range(2, 8):
        made.put(entry(number))
    assert settled.failed() == ["audit_5", "audit_6", "audit_7"]
    released.set()
    assert made.flush(time.monotonic() + 10)
    assert settled.recorded() == ["audit_1", "audit_2", "audit_3", "audit_4"]
    assert len(said(caplog)) == 1


# -- what refuses an entry
class Refusing:
    """A host's log that refuses some entries."""

    def __init__(self, *refused):
        self.refused, self.taken = refused, []

    def append(self, entry):
        if entry[n.AUDIT_ID] in self.refused:
            raise ConnectionError("the archive of Jane Doe does not answer")
        self.taken.append(entry[n.AUDIT_ID])


def test_what_the_hosts_log_refuses_is_not_told_as_recorded_and_the_file_goes_on(tmp_path, caplog):
    settled, before = Settled(), guard.failures["audit"]
    made = writer(settled, tmp_path, audit_log=Refusing("audit_2", "audit_3"))
    for number in range(1, 5):
        made.put(entry(number))
    assert (settled.recorded(), settled.failed()) == (["audit_1", "audit_4"], ["audit_2", "audit_3"])
    (line,) = said(caplog)
    assert "ConnectionError" in line
    assert "Jane" not in line
    assert guard.failures["audit"] == before + 2
    checked = verify(next(tmp_path.glob("*.jsonl")), None)
    assert (checked.whole, checked.entries) == (True, 4)
    guard.forget_causes()


def test_a_full_disk_refuses_entries_and_leaves_no_half_line(tmp_path, monkeypatch, caplog):
    settled, real, full = Settled(), os.write, []

    def write(file, data):
        if not full:
            return real(file, data)
        if len(full) == 1:
            full.append(True)
            return real(file, bytes(data)[:17])
        raise NO_SPACE

    monkeypatch.setattr(os, "write", write)
    before = guard.failures["audit"]
    made = writer(settled, tmp_path)
    made.put(entry(1))
    full.append(True)
    made.put(entry(2))
    made.put(entry(3))
    full.clear()
    made.put(entry(4))
    assert (settled.recorded(), settled.failed()) == (["audit_1", "audit_4"], ["audit_2", "audit_3"])
    (line,) = said(caplog)
    assert f"{tmp_path}: {os.strerror(errno.ENOSPC)}" in line
    assert guard.failures["audit"] == before + 2
    checked = verify(next(tmp_path.glob("*.jsonl")), None)
    assert (checked.whole, checked.torn, checked.entries) == (True, None, 2)


def test_a_folder_that_cannot_be_made_refuses_entries_until_it_can(tmp_path, caplog):
    (tmp_path / "audit").write_text("a file is in the way")
    settled = Settled()
    made = writer(settled, tmp_path / "audit")
    made.put(entry(1))
    made.put(entry(2))
    assert (settled.recorded(), settled.failed()) == ([], ["audit_1", "audit_2"])
    assert len(said(caplog)) == 1
    (tmp_path / "audit").unlink()
    made.put(entry(3))
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    assert [record.get(n.AUDIT_ID) for record in records(path)] == [None, "audit_3"]


def test_a_disk_that_cannot_even_be_cut_back_gets_a_new_file(tmp_path, monkeypatch, caplog):
    settled = Settled()
    made = writer(settled, tmp_path)
    made.put(entry(1))
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", _raise)
        broken.setattr(os, "ftruncate", _raise)
        made.put(entry(2))
    made.put(entry(3))
    assert (settled.recorded(), settled.failed()) == (["audit_1", "audit_3"], ["audit_2"])
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert "a new audit chain begins" in said(caplog)[-1]


def _raise(*_):
    raise NO_SPACE


def test_a_removed_file_is_no_record_so_a_new_chain_begins(tmp_path, caplog):
    made = writer(Settled(), tmp_path)
    made.put(entry(1))
    (first,) = tmp_path.glob("*.jsonl")
    first.unlink()
    made.put(entry(2))
    (second,) = tmp_path.glob("*.jsonl")
    assert second != first
    assert [record.get(n.AUDIT_ID) for record in records(second)] == [None, "audit_2"]
    assert verify(second, None).whole
    assert str(first) in said(caplog)[0]


def test_a_link_in_the_files_place_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "audit_1.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError):
        AuditFile(tmp_path / "audit_1.jsonl")
    assert (tmp_path / "target").read_text() == "precious"


def test_whoever_is_told_and_fails_does_not_keep_the_next():
    told = []

    def settled(entry, _):
        told.append(entry.id)
        if entry.id == "audit_1":
            raise ValueError

    made = writer(settled)
    made.put(entry(1))
    made.put(entry(2))
    assert told == ["audit_1", "audit_2"]
    guard.forget_causes()


def test_the_folder_is_looked_at_before_the_first_entry(tmp_path):
    assert prepare(tmp_path / "audit") == f"audit: entries are chained in a file of {tmp_path / 'audit'}"
    (tmp_path / "file").write_text("")
    assert "takes no file (" in prepare(tmp_path / "file" / "audit")


# -- where the system gives no thread
def test_without_a_thread_entries_are_put_on_record_where_they_are_made(tmp_path, monkeypatch):
    def no_thread(_):
        raise RuntimeError("can't start new thread")

    settled = Settled()
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", no_thread)
        made = writer(settled, tmp_path, threaded=True)
    for number in range(1, 4):
        made.put(entry(number))
    assert settled.recorded() == ["audit_1", "audit_2", "audit_3"]
    assert made.flush(time.monotonic()) is True
    made.close(time.monotonic() + 2)
    assert verify(next(tmp_path.glob("*.jsonl")), None).entries == 3
    guard.forget_causes()


def test_a_log_of_the_hosts_that_closes_the_writer_does_not_wait_for_itself(threaded):
    settled = Settled()

    class Closing:
        def append(self, entry):
            made.close(time.monotonic() + 20)

    made = threaded(settled, audit_log=Closing())
    made.put(entry(1))
    assert until(lambda: settled.entries, 10)
    assert settled.recorded() == ["audit_1"]


# -- the end
def test_closing_settles_what_waits(tmp_path, threaded):
    settled = Settled()
    made = threaded(settled, tmp_path)
    for number in range(300):
        made.put(entry(number))
    made.close(time.monotonic() + 10)
    assert len(settled.recorded()) == 300
    made.put(entry(301))
    assert settled.failed() == ["audit_301"]


def test_a_thread_that_begins_to_wait_after_the_end_ends_too(threaded, monkeypatch):
    late, real = threading.Event(), writer_module._batch

    def batch(*given):
        late.wait(20)
        return real(*given)

    monkeypatch.setattr(writer_module, "_batch", batch)
    made = threaded(Settled())
    made.close(time.monotonic() + 0.01)
    late.set()
    made._thread.join(5)
    assert not made._thread.is_alive()


def test_closing_waits_no_longer_than_it_may_and_says_what_is_lost(threaded, caplog):
    entered, released = threading.Event(), threading.Event()

    class Stuck:
        def append(self, entry):
            entered.set()
            assert released.wait(20)

    settled = Settled()
    made = threaded(settled, audit_log=Stuck())
    made.put(entry(1))
    assert entered.wait(10)
    for number in range(2, 5):
        made.put(entry(number))
    began = time.monotonic()
    made.close(began + 0.2)
    assert time.monotonic() - began < 2
    assert settled.failed() == ["audit_2", "audit_3", "audit_4"]
    assert said(caplog) == ["tachograph: 3 audit entries are on no record: the process ended before they were taken"]
    released.set()


def test_entries_of_many_threads_make_one_whole_chain(tmp_path, threaded):
    settled = Settled()
    for made in (threaded(settled, tmp_path), writer(settled, tmp_path)):
        threads = [
            threading.Thread(target=lambda made=made, begin=begin: [made.put(entry(begin + i)) for i in range(50)])
            for begin in range(0, 400, 50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made.flush(time.monotonic() + 10)
    assert [verify(path, None).entries for path in tmp_path.glob("*.jsonl")] == [400, 400]
    assert all(verify(path, None).whole for path in tmp_path.glob("*.jsonl"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking with threads is the point
@pytest.mark.parametrize("in_a_thread", [True, False])
def test_a_forked_child_begins_a_chain_of_its_own(tmp_path, in_a_thread):
    made = writer(Settled(), tmp_path, threaded=in_a_thread)
    made.put(entry(1))
    assert made.flush(time.monotonic() + 10)
    (parents,) = tmp_path.glob("*.jsonl")
    child = os.fork()
    if child == 0:
        made.put(entry(11))
        os._exit(0 if made.flush(time.monotonic() + 10) else 1)
    assert os.waitpid(child, 0)[1] == 0
    made.put(entry(2))
    made.close(time.monotonic() + 10)
    (childs,) = set(tmp_path.glob("*.jsonl")) - {parents}
    ids = [[record.get(n.AUDIT_ID) for record in records(path)] for path in (parents, childs)]
    assert ids == [[None, "audit_1", "audit_2"], [None, "audit_11"]]
    assert (verify(parents, None).whole, verify(childs, None).whole) == (True, True)
    assert records(childs)[0]["process.pid"] == child


def test_the_log_stays_quiet_when_all_is_well(tmp_path, caplog, threaded):
    caplog.set_level(logging.DEBUG, "tachograph")
    made = threaded(Settled(), tmp_path)
    made.put(entry(1))
    assert until(lambda: made.flush(time.monotonic() + 1))
    assert said(caplog) == []
