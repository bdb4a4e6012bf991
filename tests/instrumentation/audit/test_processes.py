"""Whole agent processes that keep an audit log: side by side, killed, and exiting in time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from instrumentation.audit.entries import records, until

from tachograph.audit.verify import verify
from tachograph.registry import names as n

if TYPE_CHECKING:
    from pathlib import Path

AGENT = """
import json, sys, time, tachograph
report = tachograph.instrument(service_name="desk", metrics="none", endpoint="http://127.0.0.1:9")

def pay(number):
    with tachograph.run(workflow="refund", tier=1):
        with tachograph.approval("pay", arguments={"card": "4111 1111 1111 1111"}) as ask:
            ask.shown("to jane@example.com")
            ask.approve("jane@example.com", role="clerk")
        with tachograph.tool("pay", effect="write", arguments={"card": "4111 1111 1111 1111"},
                             idempotency_key=f"k-{number}"):
            pass
"""


def start(code: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "TACHOGRAPH_AUDIT_DIR": str(folder), **env}
    command = [sys.executable, "-W", "error", "-c", AGENT + textwrap.dedent(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.slow
def test_three_processes_under_load_and_one_killed_leave_whole_files(tmp_path):
    load = """
    for number in range(1_000_000 if sys.argv[-1] == "forever" else 60):
        pay(number)
    """
    done = [start(load, tmp_path) for _ in range(2)]
    killed = start(load.replace('sys.argv[-1] == "forever"', "True"), tmp_path)

    def its_file() -> Path | None:
        return next((p for p in tmp_path.glob("*.jsonl") if begun_by(p) == killed.pid), None)

    assert until(lambda: (path := its_file()) is not None and path.stat().st_size > 30_000, 30)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    for process in done:
        finished(process)
    checked = {begun_by(path): verify(path, None) for path in tmp_path.glob("*.jsonl")}
    assert sorted(checked) == sorted(process.pid for process in (*done, killed))
    assert all(each.whole for each in checked.values())
    assert [checked[process.pid].entries for process in done] == [120, 120]
    assert checked[killed.pid].entries > 30


def begun_by(path: Path) -> int | None:
    first = path.read_bytes().partition(b"\n")[0]
    try:
        return json.loads(first)["process.pid"]
    except ValueError:  # is being written now
        return None


def test_no_argument_diff_or_person_is_in_the_file(tmp_path):
    out, _ = finished(start("pay(13)\nprint(report)\nprint(tachograph.flush(0.5))", tmp_path))
    assert f"audit: entries are chained in a file of {tmp_path}" in out
    (path,) = tmp_path.glob("*.jsonl")
    text = path.read_text()
    assert [secret for secret in ("4111", "1111", "jane", "example.com") if secret in text] == []
    approval, write = records(path)[1:]
    assert approval[n.TOOL_ARGUMENTS_HASH] == write[n.TOOL_ARGUMENTS_HASH]
    kept = (n.APPROVAL_STATUS, n.APPROVAL_APPROVER_ROLE, n.TOOL_TIER, n.APPROVAL_DIFF_PRESENTED)
    assert [approval[name] for name in kept] == ["approved", "clerk", 1, True]
    assert len(approval[n.APPROVAL_APPROVER_HASH]) == len(approval[n.APPROVAL_DIFF_HASH]) == 16
    assert approval[n.RUN_ID] == write[n.RUN_ID]
    assert approval[n.GEN_AI_TOOL_CALL_ID] == write[n.GEN_AI_TOOL_CALL_ID]
    assert approval["trace_id"] == write["trace_id"]


def test_a_key_of_the_environment_keys_the_chain(tmp_path):
    finished(start("pay(13)", tmp_path, TACHOGRAPH_HASH_KEY="hashes", TACHOGRAPH_AUDIT_KEY="audit"))
    (path,) = tmp_path.glob("*.jsonl")
    assert verify(path, b"audit").whole
    assert not verify(path, b"hashes").whole


@pytest.mark.parametrize("how", ["file", "missing rights"])
def test_a_folder_that_takes_nothing_changes_nothing_for_the_agent(tmp_path, how):
    folder = tmp_path / "audit"
    if how == "file":
        folder.write_text("in the way")
    elif os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    else:
        folder.mkdir(mode=0o500)
    code = """
    pay(13)
    pay(17)
    print(json.dumps({"notes": [note for note in report.notes if note.startswith("audit")]}))
    """
    out, err = finished(start(code, folder))
    (note,) = json.loads(out.splitlines()[-1])["notes"]
    assert "no entry will be on record" in note
    lines = [line for line in err.splitlines() if "audit" in line]
    assert len(lines) == 1
    assert str(folder) in lines[0]


def test_a_stuck_log_of_the_hosts_delays_the_exit_by_two_seconds_at_most(tmp_path):
    code = """
    tachograph.uninstrument()
    class Stuck:
        def append(self, entry):
            time.sleep(60)
    tachograph.instrument(metrics="none", endpoint="http://127.0.0.1:9", audit_log=Stuck())
    pay(13)
    began = time.monotonic()
    tachograph.uninstrument()
    print(time.monotonic() - began)
    """
    out, _ = finished(start(code, tmp_path))
    assert float(out) < 2.3  # 2 s, and what a loaded machine adds
