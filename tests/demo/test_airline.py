"""The airline agent replays recordings; store, /metrics and the recording agree to the last unit, also after kills."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from analytics.services import get, status, wait_for
from prometheus_client.parser import text_string_to_metric_families

from tachograph.demo.airline.replay import Recording, read
from tachograph.demo.airline.tools import TOOLS
from tachograph_analytics.listen import free_port

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


def command(*arguments: str, timeout: float = 180) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tachograph", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def query(home: Path, sql: str) -> list[dict[str, Any]]:
    return json.loads(command("query", "--home", str(home), "--json", sql))


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


def series(path: Path, name: str, **labels: str) -> float:
    """The sum of a metric's series with these labels in a text exposition."""
    families = text_string_to_metric_families(path.read_text("utf-8"))
    return math.fsum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def assert_metrics_equal_store(metrics: Path, home: Path) -> None:
    for row in query(home, "SELECT outcome, count(*) AS n FROM runs GROUP BY ALL"):
        assert series(metrics, "tachograph_runs_total", tachograph_run_outcome=row["outcome"]) == row["n"]
    calls = "SELECT tool_name, effect, tier, outcome, count(*) AS n FROM tool_calls GROUP BY ALL"
    for row in query(home, calls):
        labels = {
            "gen_ai_tool_name": row["tool_name"],
            "tachograph_tool_effect": row["effect"],
            "tachograph_tool_tier": str(row["tier"]),
            "tachograph_tool_outcome": row["outcome"],
        }
        assert series(metrics, "tachograph_tool_executions_total", **labels) == row["n"]
    (llm,) = query(
        home,
        "SELECT count(*) AS calls, sum(input_tokens) AS input, sum(output_tokens) AS output, sum(cost) AS cost,"
        " count(*) FILTER (cost IS NULL) AS unpriced FROM llm_calls",
    )
    assert llm == {
        "calls": series(metrics, "tachograph_llm_calls_total"),
        "input": series(metrics, "gen_ai_client_inference_usage_input_tokens_total"),
        "output": series(metrics, "gen_ai_client_inference_usage_output_tokens_total"),
        "cost": pytest.approx(series(metrics, "tachograph_cost_total"), rel=1e-12),
        "unpriced": series(metrics, "tachograph_cost_unpriced_total"),
    }
    found = Counter(finding["rule"] for finding in json.loads(command("detect", "--home", str(home), "--json")))
    counted = {
        sample.labels["tachograph_detection_rule"]: sample.value
        for family in text_string_to_metric_families(metrics.read_text("utf-8"))
        for sample in family.samples
        if sample.name == "tachograph_detections_total" and sample.value
    }
    assert counted == found


def assert_one_trace_and_run_id_each(home: Path, runs: int) -> None:
    (ids,) = query(
        home,
        "SELECT count(DISTINCT run_id) AS runs, count(DISTINCT trace_id) AS traces,"
        " count(DISTINCT (run_id, trace_id)) AS pairs, count(*) FILTER (run_id IS NULL) AS without"
        " FROM (SELECT tachograph_run_id AS run_id, trace_id FROM spans)",
    )
    assert ids == {"runs": runs, "traces": runs, "pairs": runs, "without": 0}


def play(tmp_path: Path, *arguments: str) -> tuple[Path, Path]:
    home, metrics = tmp_path / "home", tmp_path / "metrics.txt"
    command(
        "demo", "--headless", "--only", "airline", "--port", str(free_port()),
        "--home", str(home), "--metrics-out", str(metrics), *arguments,
    )  # fmt: skip
    return home, metrics


def test_the_scenario_that_comes_along_is_seen_whole(tmp_path):
    home, metrics = play(tmp_path)
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
                    before = acked(url)
                    wait_for(lambda before=before: acked(url) > before)
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


def acked(url: str) -> float:
    """Requests that the receiver, as it runs now, has answered; -1 while it is being started again."""
    try:
        text = get(f"{url}/metrics").body.decode()
    except OSError:
        time.sleep(0.02)
        return -1
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tachograph_receiver_requests_total"
    )


wrong = [
    (("--trajectories", "nowhere.json"), "cannot be read"),
    (("--trajectories", __file__), "no recorded runs"),
    (("--endpoint", "127.0.0.1:1"), "no URL"),
    (("--endpoint", "http://127.0.0.1:1"), "nothing answers"),
    (("--metrics-out", "/nowhere/at/all.txt"), "no folder"),
    (("--only", "invoice"), "not part of this version"),
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
    arguments = ["demo", "--headless", "--pace", "600", "--home", str(tmp_path), "--port", str(port)]
    command_ = [sys.executable, "-m", "tachograph", *arguments]
    with subprocess.Popen(command_, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        wait_for(lambda: acked(f"http://127.0.0.1:{port}") > 0)
        demo.send_signal(number)
        assert demo.wait(20) in {0, code}
    wait_for(lambda: not answers(f"http://127.0.0.1:{port}"))
