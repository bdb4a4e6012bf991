"""The benchmarks run and say what they promise; how fast anything is, is not tested here."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"

# The figures that other documents refer to, by benchmark.
FIGURES = {
    "hooks": {
        "raw SDK span, 10 attributes",
        "run",
        "turn",
        "llm_call",
        "tool",
        "checkpoint",
        "approval",
        "budget (event)",
        "decorated no-op",
        "tool, off",
        "decorated no-op, off",
    },
    "ingest": {"acked", "decoded into Parquet", "bytes a span, stored", "raw fdatasync, one a request"},
    "memory": {"resident set after 1,000 runs", "resident set after 2,000 runs"},
    "startup": {"import tachograph", "import tachograph + instrument()"},
}


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(FOLDER / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_gives_each_figure_beside_its_baseline(name: str):
    figures = json.loads(run(name, "--quick", "--json"))
    assert FIGURES[name] <= set(figures)
    for figure in figures.values():
        assert set(figure) == {"value", "unit", "baseline", "ratio"}
        assert figure["value"] > 0
        assert figure["unit"]
        if figure["baseline"] is None:
            assert figure["ratio"] is None
        else:
            baseline = figures[figure["baseline"]]
            assert baseline["unit"] == figure["unit"]
            assert math.isclose(figure["ratio"], figure["value"] / baseline["value"])


@pytest.mark.slow
def test_prints_a_table_without_json():
    heading, *rows = run("hooks", "--quick").splitlines()
    assert heading.split() == ["figure", "value", "unit", "ratio", "to"]
    assert [row.partition("  ")[0] for row in rows][:4] == [
        "raw SDK span, 10 attributes",
        "raw SDK span, 10 attributes at its start",
        "plain function call",
        "run",
    ]


def test_every_benchmark_is_run_here():
    benchmarks = {path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text("utf-8")}
    assert benchmarks == set(FIGURES)
