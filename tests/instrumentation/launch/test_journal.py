"""The journal knows which runs were handed on, and the summary says so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from instrumentation.launch.programs import child, end, start, write

from tachograph.launch.journal import Journal, RunEntry, read
from tachograph.launch.summary import lines

if TYPE_CHECKING:
    from pathlib import Path

FORKING = """
import os
def handle(x): return x
handle(11)
if os.fork() == 0:
    handle(13)
    handle(17)
    os._exit(0)
os.wait()
"""


def runs_of(folder: Path, endpoint: str) -> tuple[RunEntry, ...]:
    write(folder, {"agent.py": FORKING})
    assert end(start(child([sys.executable, "agent.py"], folder, endpoint), folder)).code == 0
    return read(folder.with_name(f"{folder.name}.journal")).runs


@pytest.mark.slow
def test_runs_of_a_forked_process_are_sent_as_they_end(endpoint: str, tmp_path: Path):
    assert [run.sent for run in runs_of(tmp_path / "program", endpoint)] == [True, True, True]


@pytest.mark.slow
def test_runs_of_a_forked_process_that_nothing_took_are_known(tmp_path: Path):
    assert [run.sent for run in runs_of(tmp_path / "program", "http://127.0.0.1:9")] == [True, False, False]


def run(number: int, *, sent: bool) -> RunEntry:
    return RunEntry(f"run_{number}", "desk", "success", 0.13, 1.7, sent)


def test_runs_that_may_not_have_arrived_are_counted_and_not_linked():
    journal = Journal(begun=True, runs=(run(11, sent=True), run(13, sent=False), run(17, sent=False)))
    said = list(lines(journal, "desk", None, "http://127.0.0.1:4318", queryable=True))
    assert said == [
        "tachograph: 3 runs of desk recorded",
        "  2 of them in forked processes, which may not all have arrived",
        "  run_11  success  $0.1300  1.70 s",
        "  run_13  success  $0.1300  1.70 s",
        "  run_17  success  $0.1300  1.70 s",
        "  sent to http://127.0.0.1:4318; with its store: tachograph trace run_11",
    ]


def test_the_last_run_is_linked_where_all_were_sent():
    journal = Journal(begun=True, runs=(run(11, sent=True), run(13, sent=True)))
    said = list(lines(journal, "desk", None, "http://127.0.0.1:4318", queryable=True))
    assert said[1:] == [
        "  run_11  success  $0.1300  1.70 s",
        "  run_13  success  $0.1300  1.70 s",
        "  sent to http://127.0.0.1:4318; with its store: tachograph trace run_13",
    ]
