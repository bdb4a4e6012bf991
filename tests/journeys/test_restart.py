# ruff: noqa: S608 - the SQL is the test's own
"""An approval that waits over a restart: two processes that know of each other by what the host kept, and one run."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from analytics.services import DEADLINE_S, decode_all, home_at, receiving, wait_for
from instrumentation.plain.agents import payer

from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from tachograph_analytics.store.home import Home

pytestmark = [pytest.mark.slow]

WAITS_S = 3.0
AGENT = Path(payer.__file__)

# The first process asks, keeps what it must in the host's own record, and is killed while it waits.
ASKS = """
import json, os, pathlib, signal, sys, time
import tachograph

url, record = sys.argv[1], pathlib.Path(sys.argv[2])
tachograph.instrument(service_name="desk", endpoint=url, metrics="none", frameworks=())
arguments = {"booking": "K13", "amount": 117}
with tachograph.run("desk", workflow="refund", tier=1, tenant="acme") as run:
    with tachograph.turn(), tachograph.llm_call("house-model") as call:
        call.usage(input_tokens=1013, output_tokens=17, cost=0.25)
    with tachograph.checkpoint("policy", stage="pre_tool", tool="refund"):
        pass
    with tachograph.approval("refund", arguments=arguments) as ask:
        asked = time.time()
    waiting = run.suspend()
record.write_text(json.dumps({"asked": asked, "waiting": waiting, "run": run.id, "ask": ask.id}))
assert tachograph.flush(30)
os.kill(os.getpid(), signal.SIGKILL)
"""

# The second one finds the host's record and the decision, and does what was decided.
DECIDES = """
import json, pathlib, sys, time
import tachograph

url, record, keeps = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
tachograph.instrument(service_name="desk", endpoint=url, metrics="none", frameworks=())
kept = json.loads(record.read_text())
arguments = {"booking": "K13", "amount": 117}
resumed = {"resume": kept["waiting"]} if keeps == "string" else {"id": kept["run"]}
asked = {} if keeps == "string" else {"id": kept["ask"]}
with tachograph.run("desk", workflow="refund", tier=1, tenant="acme", **resumed):
    with tachograph.approval("refund", arguments=arguments, **asked) as ask:
        ask.shown("booking K13: paid 117 USD -> 0 USD")
        ask.approve("clerk-17", role="clerk")
        decided = time.time()
    with tachograph.turn(), tachograph.llm_call("house-model") as call:
        call.usage(input_tokens=11, output_tokens=13, cost=0.5)
    how = {"effect": "write", "arguments": arguments, "idempotency_key": "refund-K13", "authz": "allow"}
    with tachograph.tool("refund", **how) as call:
        call.output_valid(True)
record.write_text(json.dumps({**kept, "decided": decided}))
assert tachograph.flush(30)
"""


# The same with an agent that knows nothing of us: it keeps a request of its own.
AGENT_ASKS = """
import os, pathlib, pickle, signal, sys
import payer, tachograph

url, record = sys.argv[1], pathlib.Path(sys.argv[2])
tachograph.instrument(payer, service_name="desk", endpoint=url, metrics="none", frameworks=())
record.write_bytes(pickle.dumps(payer.Payer().handle(payer.Mail("mail-13", 117))))
assert tachograph.flush(30)
os.kill(os.getpid(), signal.SIGKILL)
"""
AGENT_GOES_ON = """
import pathlib, pickle, sys, time
import payer, tachograph

url, record, answer = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
tachograph.instrument(payer, service_name="desk", endpoint=url, metrics="none", frameworks=())
pending = pickle.loads(record.read_bytes())
decided = time.time()
payer.Payer().resume(pending, payer.Decision(answer, "eve"))
record.with_suffix(".decided").write_text(str(decided))
assert tachograph.flush(30)
"""


def process(program: str, *arguments: str) -> int:
    command = [sys.executable, "-c", program, *arguments]
    where = os.environ | {"PYTHONPATH": str(AGENT.parent)}
    return subprocess.run(command, env=where, timeout=DEADLINE_S, check=False).returncode


def ask(home: Home, sql: str) -> list[tuple[Any, ...]]:
    with connect(home) as connection:
        return connection.execute(sql).fetchall()


def traced(home: Home, run_id: str) -> list[str]:
    words = [sys.executable, "-m", "tachograph", "trace", run_id, "--home", str(home.path)]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=DEADLINE_S).stdout.splitlines()


def over_a_restart(tmp_path: Path, first: str, second: str, argument: str) -> tuple[Home, Path]:
    """The store, and what the host kept, after both processes."""
    home, record = home_at(tmp_path), tmp_path / "request"
    with receiving(home) as (url, _):
        assert process(first, url, str(record)) == -signal.SIGKILL
        killed = time.time()
        wait_for(lambda: time.time() - killed >= WAITS_S)
        assert process(second, url, str(record), argument) == 0
    decode_all(home)
    return home, record


@pytest.mark.parametrize("keeps", ["string", "ids"])
def test_an_approval_that_waits_over_a_restart_is_one_run_and_one_request(tmp_path, keeps):
    home, record = over_a_restart(tmp_path, ASKS, DECIDES, keeps)
    kept = json.loads(record.read_text())
    about = "run_id, workflow, tenant, outcome, stop_reason, tier, turns, llm_calls, tool_calls, input_tokens, cost"
    facts = (kept["run"], "refund", "acme", "success", "completed", 1, 2, 2, 1, 1024, 0.75)
    assert ask(home, f"SELECT {about} FROM runs") == [facts]
    assert ask(home, "SELECT approval_id, status FROM approvals") == [(kept["ask"], "approved")]
    ((wait, worked_ms),) = ask(home, "SELECT wait_s, runs.duration_ms FROM approvals JOIN runs USING (run_id)")
    assert worked_ms < 1000 * wait  # the time in which it waited is not the run's
    assert abs(wait - (kept["decided"] - kept["asked"])) < 1.0
    assert ask(home, "SELECT name FROM spans WHERE status_code = 'error'") == []
    linked = ask(home, "SELECT kind, links LIKE '%' || trace_id || '%' FROM spans WHERE links IS NOT NULL ORDER BY 1")
    assert len(linked) == (2 if keeps == "string" else 0)
    assert not any(same for _, same in linked)  # to the other trace
    lines = traced(home, kept["run"])
    assert lines[0].startswith(f"run {kept['run']} · agent desk · workflow refund · tenant acme · trace ")
    assert lines[1].endswith("no findings")
    assert [line.split("  ")[0] for line in lines if line.startswith("▣")] == ["▣ run desk", "▣ run desk"]


def test_an_agent_that_knows_nothing_of_us_is_joined_by_what_it_keeps_itself(tmp_path):
    home, record = over_a_restart(tmp_path, AGENT_ASKS, AGENT_GOES_ON, "expired")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "payer", payer)
        asked = pickle.loads(record.read_bytes()).requested_at  # noqa: S301 - our own
    decided = float(record.with_suffix(".decided").read_text())
    assert ask(home, "SELECT agent, workflow, outcome, error_type FROM runs") == [
        ("desk", "invoice", "escalated", None)
    ]
    ((status, wait),) = ask(home, "SELECT status, wait_s FROM approvals")
    assert (status, abs(wait - (decided - asked)) < 1.0) == ("expired", True)
    assert ask(home, "SELECT name FROM spans WHERE status_code = 'error'") == []
    assert ask(home, "SELECT count(DISTINCT trace_id), count(DISTINCT run_id) FROM spans") == [(2, 1)]
