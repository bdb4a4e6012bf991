"""`tachograph demo` as a process, and what its store and its metrics say."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from analytics.services import get
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from pathlib import Path

UNTIL = "2026-11-24T09:00Z"  # a Tuesday


def command(*arguments: str, timeout: float = 180) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tachograph", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def query(home: Path, sql: str) -> list[dict[str, Any]]:
    return json.loads(command("query", "--home", str(home), "--json", sql))


def findings(home: Path) -> list[dict[str, Any]]:
    return json.loads(command("detect", "--home", str(home), "--json"))


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
    for row in query(home, "SELECT agent, outcome, count(*) AS n FROM runs GROUP BY ALL"):
        labels = {"gen_ai_agent_name": row["agent"], "tachograph_run_outcome": row["outcome"]}
        assert series(metrics, "tachograph_runs_total", **labels) == row["n"]
    calls = "SELECT agent, tool_name, effect, tier, outcome, count(*) AS n FROM tool_calls GROUP BY ALL"
    for row in query(home, calls):
        labels = {
            "gen_ai_agent_name": row["agent"],
            "gen_ai_tool_name": row["tool_name"],
            "tachograph_tool_effect": row["effect"],
            "tachograph_tool_tier": str(row["tier"]),
            "tachograph_tool_outcome": row["outcome"],
        }
        assert series(metrics, "tachograph_tool_executions_total", **labels) == row["n"]
    (llm,) = query(
        home,
        "SELECT count(*) AS calls, sum(input_tokens) AS input, sum(output_tokens) AS output, sum(cost) AS cost,"
        " count(*) FILTER (cost IS NULL AND input_tokens IS NOT NULL) AS unpriced FROM llm_calls",
    )
    assert llm == {
        "calls": series(metrics, "tachograph_llm_calls_total"),
        "input": series(metrics, "gen_ai_client_inference_usage_input_tokens_total"),
        "output": series(metrics, "gen_ai_client_inference_usage_output_tokens_total"),
        "cost": pytest.approx(series(metrics, "tachograph_cost_total"), rel=1e-12),
        "unpriced": series(metrics, "tachograph_cost_unpriced_total"),
    }
    # What an agent's own process cannot see, as it is another's that does it, no metric of it counts.
    found = Counter(finding["rule"] for finding in findings(home) if finding["rule"] != "content_raw")
    counted = Counter[str]()
    for family in text_string_to_metric_families(metrics.read_text("utf-8")):
        for sample in family.samples:
            if sample.name == "tachograph_detections_total" and sample.value:
                counted[sample.labels["tachograph_detection_rule"]] += round(sample.value)
    assert counted == found


def assert_one_trace_and_run_id_each(home: Path, runs: int) -> None:
    (ids,) = query(
        home,
        "SELECT count(DISTINCT run_id) AS runs, count(DISTINCT trace_id) AS traces,"
        " count(DISTINCT (run_id, trace_id)) AS pairs, count(*) FILTER (run_id IS NULL) AS without"
        " FROM (SELECT tachograph_run_id AS run_id, trace_id FROM spans)",
    )
    assert ids == {"runs": runs, "traces": runs, "pairs": runs, "without": 0}


def requests_answered(url: str) -> float:
    """By the receiver as it runs now; -1 while it is being started again."""
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
