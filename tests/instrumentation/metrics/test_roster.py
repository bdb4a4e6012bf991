"""Who is alive and what the ended ones counted, without any process but this one."""

from __future__ import annotations

import json
import os

import pytest

from tachograph.metrics.roster import Ended, Entry, Roster, place

ONE, OTHER = Entry("11-a", 4711, "s1"), Entry("13-b", 4713, "s2")


@pytest.fixture
def roster(tmp_path):
    return Roster(place(str(tmp_path / "run"), "desk", "127.0.0.1", 9464))


def page(count):
    sample = ["calls_total", {}, count, None]
    return [{"name": "calls", "brief": "", "kind": "counter", "sums": True, "samples": [sample]}]


def enter(roster, entry, count=None):
    with roster.locked():
        fd = roster.enter(entry)
    if count is not None:
        roster.keep(entry.id, json.dumps(page(count)).encode())
    return fd


def seen(roster):
    with roster.locked():
        return roster.living(), roster.ended()


def test_who_has_entered_is_alive_until_it_leaves(roster):
    fds = [enter(roster, ONE, 11), enter(roster, OTHER, 13)]
    assert seen(roster) == ([ONE, OTHER], Ended(0, []))
    roster.leave(fds[0])
    assert seen(roster) == ([OTHER], Ended(1, page(11)))
    roster.leave(fds[1])
    assert seen(roster) == ([], Ended(2, page(24)))
    assert seen(roster) == ([], Ended(2, page(24)))


def test_the_files_of_the_ended_become_one(roster, tmp_path):
    for number in range(17):
        roster.leave(enter(roster, Entry(f"{number}-x", 1, "s"), number))
    assert seen(roster) == ([], Ended(17, page(sum(range(17)))))
    (directory,) = (tmp_path / "run").iterdir()
    assert sorted(path.name for path in directory.iterdir()) == ["ended", "lock"]


def test_a_crash_between_summing_up_and_tidying_counts_nobody_twice(roster, tmp_path):
    roster.leave(enter(roster, ONE, 11))
    (directory,) = (tmp_path / "run").iterdir()
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert seen(roster) == ([], Ended(1, page(11)))
    for name, text in files.items():
        (directory / name).write_bytes(text)  # as if they had never been taken away
    roster.leave(enter(roster, OTHER, 13))
    assert seen(roster) == ([], Ended(2, page(24)))


def test_who_ended_without_numbers_counts_as_ended(roster):
    roster.leave(enter(roster, ONE))
    assert seen(roster) == ([], Ended(1, []))


def test_a_new_beginning_is_at_zero(roster, monkeypatch):
    monkeypatch.setattr("tachograph.metrics.roster._supervisor", lambda: "")
    roster.leave(enter(roster, ONE, 11))
    seen(roster)
    roster.leave(enter(roster, OTHER, 13))
    with roster.locked():
        roster.begin()
    assert seen(roster) == ([], Ended(0, []))


def test_workers_of_the_same_supervisor_go_on_where_the_last_ones_ended(roster, monkeypatch):
    for supervisor, expected in (("17 100", 0), ("17 100", 1), ("17 101", 0)):
        monkeypatch.setattr("tachograph.metrics.roster._supervisor", lambda said=supervisor: said)
        with roster.locked():
            roster.begin()
        assert seen(roster)[1].count == expected
        roster.leave(enter(roster, Entry(f"1-{supervisor[-1]}{expected}", 1, "s"), 3))


def test_a_lock_that_another_holds_is_waited_for_and_then_given_up(roster):
    with roster.locked(), pytest.raises(TimeoutError, match="is locked by another process"):
        with roster.locked(patience_s=0.05):
            pass
    with roster.locked(patience_s=0.05):
        pass


def test_many_ended_processes_are_summed_up_though_nobody_asks(roster, tmp_path):
    for number in range(70):
        roster.leave(enter(roster, Entry(f"{number}-x", 1, "s"), number))
    with roster.locked():
        roster.tidy()
    (directory,) = (tmp_path / "run").iterdir()
    assert sorted(path.name for path in directory.iterdir()) == ["ended", "lock"]
    assert seen(roster) == ([], Ended(70, page(sum(range(70)))))


@pytest.mark.parametrize(
    ("supervisor", "for_good", "left"), [("", False, 0), ("17 100", False, 1), ("17 100", True, 0)]
)
def test_the_last_one_takes_the_directory_away(roster, monkeypatch, supervisor, for_good, left):
    monkeypatch.setattr("tachograph.metrics.roster._supervisor", lambda: supervisor)
    fds = [enter(roster, ONE, 11), enter(roster, OTHER, 13)]
    for fd, expected in zip(fds, (1, left), strict=True):
        roster.leave(fd)
        with roster.locked():
            roster.end(for_good=for_good)
        assert roster._path.exists() == bool(expected)


def test_whoever_waited_for_a_lock_that_was_taken_away_gets_the_new_one(roster, tmp_path):
    with roster.locked():
        (directory,) = (tmp_path / "run").iterdir()
        (directory / "lock").unlink()
        with roster.locked(patience_s=1.0):
            roster.leave(roster.enter(ONE))
    assert seen(roster) == ([], Ended(1, []))


def test_services_ports_and_addresses_have_places_of_their_own(tmp_path):
    asked = [("desk", "127.0.0.1", 9464), ("till", "127.0.0.1", 9464), ("desk", "::1", 9464), ("desk", "127.0.0.1", 1)]
    places = [place(str(tmp_path / "run"), *one) for one in asked]
    assert len(set(places)) == 4
    assert {path.stat().st_mode & 0o777 for path in places} == {0o700}


def test_a_directory_that_others_may_read_is_refused(tmp_path):
    tmp_path.chmod(0o755)
    with pytest.raises(PermissionError, match="is not a directory of this user alone"):
        place(str(tmp_path), "desk", "127.0.0.1", 9464)


def test_a_link_in_the_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError, match="is not a directory of this user alone"):
        place(str(tmp_path / "run"), "desk", "127.0.0.1", 9464)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child does nothing but wait
@pytest.mark.parametrize("killed", [False, True], ids=["leaves", "killed"])
def test_a_forked_child_does_not_keep_its_parent_alive(roster, killed):
    """The parent stands for itself: its file is closed, as at its death, or left."""
    fd = enter(roster, ONE, 11)
    reading, writing = os.pipe()
    ready, said = os.pipe()
    child = os.fork()
    if child == 0:
        roster.after_fork()
        os.write(said, b".")
        os.read(reading, 1)
        os._exit(0)
    try:
        os.read(ready, 1)
        if killed:
            os.close(fd)
        else:
            roster.leave(fd)
        assert seen(roster) == ([], Ended(1, page(11)))
    finally:
        os.write(writing, b".")
        os.waitpid(child, 0)
        for one in (reading, writing, ready, said):
            os.close(one)
