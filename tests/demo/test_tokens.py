"""How many tokens a model call takes."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from statistics import median, quantiles

import pytest

from tachograph.demo import tokens

TRACES = Path(__file__).parents[2] / ".." / "shared" / "data" / "azure-llm-2023"


def test_many_draws_have_the_distribution_of_the_table():
    source = random.Random(7)
    drawn = [tokens.draw("conversation", source) for _ in range(20_000)]
    assert median(one.input for one in drawn) == pytest.approx(1_020, rel=0.03)
    assert median(one.output for one in drawn) == pytest.approx(129, rel=0.05)
    assert max(one.input for one in drawn) <= 14_050
    assert min(one.output for one in drawn) >= 7


@pytest.mark.skipif(not TRACES.is_dir(), reason="the traces behind the table are not beside this checkout")
@pytest.mark.parametrize(("workload", "file"), [("code", "code"), ("conversation", "conv")])
def test_the_table_is_that_of_the_traces(workload, file):
    with (TRACES / f"AzureLLMInferenceTrace_{file}.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    for column, kind in (("ContextTokens", "input"), ("GeneratedTokens", "output")):
        expected = quantiles([int(row[column]) for row in rows], n=100, method="inclusive")
        assert tokens._table()[workload][kind][1:-1] == [round(value) for value in expected]
