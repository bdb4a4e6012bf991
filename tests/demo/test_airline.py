"""The airline agent replays recordings; store, /metrics and the recording agree to the last unit, also after kills."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from analytics.services import get, status, wait_for
from demo.played import assert_metrics_equal_store, assert_one_trace_and_run_id_each, command, query, requests_answered

from tachograph.demo import airline
from tachograph.demo.airline.replay import Recording, read
from tachograph.demo.airline.tools import TOOLS
from tachograph_analytics.listen import free_port

SCENARIO = Path(airline.__file__).with_name("scenario.json")
TRAJECTORIES = Path(__file__).parents[3] / "shared" / "data" / "airline-trajectories" / "gpt-4o.json.gz"
recorded_runs = pytest.mark.skipif(not TRAJECTORIES.exists(), reason=f"no recorded runs at {TRAJECTORIES}")
YES = re.compile(r"\byes\b", re.IGNORECASE)


def facts_of(recordings: list[Recording]) -> dict[str, Any]:
    """What a replay must show, counted from the recordings without any code of ours."""
    facts: Counter[str] = Counter(runs=len(recordings))
    unapproved_runs: set[str] = set()
    for recording in recordings:
        facts["success"] += recording.reward == 1
        latest = ""
        for message in recording.messages:
            facts["llm_calls"] += message["role"] == "assistant"
            latest = message["content"] if message["role"] == "user" else latest
            facts["errors"] += message["role"] == "tool" and message["content"].startswith("Error")
            for call in message.get("tool_calls") or ():
                name = call["function"]["name"]
                facts["tool_calls"] += 1
                facts["handoffs"] += name == "transfer_to_human_agents"
                if TOOLS[name].effect == "write":
                    facts["writes"] += 1
                    if not YES.search(latest):
                        facts["unapproved"] += 1
                        unapproved_runs.add(recording.session)
    return {**facts, "unapproved_runs": len(unapproved_runs)}


def store_facts(home: Path) -> dict[str, Any]:
    (runs,) = query(home, "SELECT count(*) AS runs, count(*) FILTER (outcome = 'success') AS success FROM runs")
    (llm,) = query(home, "SELECT count(*) AS llm_calls FROM llm_calls")
    (tools,) = query(
        home,
        "SELECT count(*) AS tool_calls, count(*) FILTER (effect = 'write') AS writes,"
        " count(*) FILTER (outcome = 'error') AS errors,"
        " count(*) FILTER (tool_name = 'transfer_to_human_agents') AS handoffs FROM tool_calls",
    )
    found = json.loads(command("detect", "--home", str(home), "--json", "--rule", "write_unapproved"))
    spans, in_runs = {finding["span_id"] for finding in found}, {finding["run_id"] for finding in found}
    return {**runs, **llm, **tools, "unapproved": len(spans), "unapproved_runs": len(in_runs)}


def play(tmp_path: Path, *arguments: str) -> tuple[Path, Path]:
    home, metrics = tmp_path / "home", tmp_path / "metrics.txt"
    command(
        "demo", "--headless", "--only", "airline", "--port", str(free_port()),
        "--home", str(home), "--metrics-out", str(metrics), *arguments,
    )  # fmt: skip
    return home, metrics


def test_the_scenario_that_comes_along_is_seen_whole(tmp_path):
    home, metrics = play(tmp_path, "--trajectories", str(SCENARIO))
    assert store_facts(home) == facts_of(read(None))
    assert_metrics_equal_store(metrics, home)
    assert_one_trace_and_run_id_each(home, 12)


@recorded_runs
@pytest.mark.slow
def test_two_hundred_recorded_runs_are_seen_whole(tmp_path):
    expected = {
        "runs": 200, "success": 84, "llm_calls": 2454, "tool_calls": 1164, "writes": 250, "errors": 73, "handoffs": 48,
        "unapproved": 87, "unapproved_runs": 43,
    }  # fmt: skip
    assert facts_of(read(TRAJECTORIES)) == expected
    home, metrics = play(tmp_path, "--trajectories", str(TRAJECTORIES))
    assert store_facts(home) == expected
    assert_metrics_equal_store(metrics, home)
    assert_one_trace_and_run_id_each(home, 200)


@recorded_runs
@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_receiver_and_decoder_are_killed_twice_each(tmp_path):
    home, metrics, port = tmp_path / "home", tmp_path / "metrics.txt", free_port()
    url = f"http://127.0.0.1:{port}"
    up = [sys.executable, "-m", "tachograph", "up", "--no-app", "--home", str(home), "--port", str(port)]
    demo = [
        sys.executable, "-m", "tachograph", "demo", "--headless", "--only", "airline", "--endpoint", url,
        "--trajectories", str(TRAJECTORIES), "--metrics-out", str(metrics),
    ]  # fmt: skip
    with subprocess.Popen(up, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: answers(url))
            with subprocess.Popen(demo, stdout=subprocess.DEVNULL) as client:
                for victim in ("receiver", "decoder", "receiver", "decoder"):
                    before = requests_answered(url)
                    wait_for(lambda before=before: requests_answered(url) > before)
                    os.kill(int((home / "run" / f"{victim}.pid").read_text()), signal.SIGKILL)
                    assert client.poll() is None, "killed in the middle"
                assert client.wait(180) == 0
            wait_for(lambda: status(url)["backlog_bytes"] == 0)
        finally:
            server.terminate()
    assert store_facts(home) == facts_of(read(TRAJECTORIES))
    assert_metrics_equal_store(metrics, home)
    assert_one_trace_and_run_id_each(home, 200)


def answers(url: str) -> bool:
    try:
        return get(f"{url}/readyz").status == 200
    except OSError:
        return False


wrong = [
    (("--trajectories", "nowhere.json"), "cannot be read"),
    (("--trajectories", __file__), "no recorded runs"),
    (("--endpoint", "127.0.0.1:1"), "no URL"),
    (("--endpoint", "http://127.0.0.1:1"), "nothing answers"),
    (("--metrics-out", "/nowhere/at/all.txt"), "no folder"),
    (("--only", "invoice", "--trajectories", str(SCENARIO)), "leave --only invoice out"),
    (("--trajectories", str(SCENARIO), "--openmetrics-out", "8-days.txt"), "leave one of them out"),
    (("--openmetrics-out", "/nowhere/at/all.txt"), "no folder"),
]


@pytest.mark.parametrize(("arguments", "sentence"), wrong)
def test_what_cannot_be_meant_is_one_sentence_and_exit_code_2(arguments, sentence):
    done = subprocess.run(
        [sys.executable, "-m", "tachograph", "demo", "--headless", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_the_demo_ends_when_it_is_told_to_while_it_plays(tmp_path, number, code):
    port = free_port()
    arguments = ["demo", "--headless", "--trajectories", str(SCENARIO), "--pace", "600"]
    arguments += ["--home", str(tmp_path), "--port", str(port)]
    command_ = [sys.executable, "-m", "tachograph", *arguments]
    with subprocess.Popen(command_, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        wait_for(lambda: requests_answered(f"http://127.0.0.1:{port}") > 0)
        demo.send_signal(number)
        assert demo.wait(20) in {0, code}
    wait_for(lambda: not answers(f"http://127.0.0.1:{port}"))
