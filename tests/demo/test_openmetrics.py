"""Eight days of metrics as text with times: what stands in it, and that Prometheus answers over it."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from demo.played import UNTIL, query
from demo.prometheus import ask, prometheus_over
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from tachograph.demo.openmetrics import write
from tachograph.demo.tape import DAYS, STEP_S, STEPS, Tape
from tachograph.metrics.endpoint import PrometheusReader

if TYPE_CHECKING:
    from pathlib import Path

END = datetime.fromisoformat(UNTIL)
LINE = re.compile(r'(\w+)\{(?:le="(.+)",)?job="agents",instance="desk"\} (\S+) (\d+)')
BEGIN = END.timestamp() - DAYS * 86_400


def recorded(folder: Path) -> dict[str, dict[int, float]]:
    """The value of each series at each step of a text about two runs, one before the eight days and one within."""
    reader = PrometheusReader()
    meter = MeterProvider([reader], Resource({}), shutdown_on_exit=False).get_meter("test")
    runs, failures = meter.create_counter("runs"), meter.create_counter("failures")
    took = meter.create_histogram("took", explicit_bucket_boundaries_advisory=[1, 2, 4, 8])
    tape = Tape(reader, END.timestamp())
    failures.add(0)
    for at, seconds in ((BEGIN - 7, 3.0), (BEGIN + 100 * STEP_S + 1, 5.0)):
        tape.run_to(at)
        runs.add(1)
        took.record(seconds)
    tape.run_to(END.timestamp())
    tape.write(folder / "tape")
    write(folder / "text", {"desk": folder / "tape"}, END.timestamp())
    *lines, end = (folder / "text").read_text("utf-8").splitlines()
    assert end == "# EOF"
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for name, bound, value, at in (LINE.fullmatch(line).groups() for line in lines if line[0] != "#"):
        found[name + (bound or "")][round((float(at) - BEGIN) / STEP_S)] = float(value)
    return found


def test_a_counter_that_moves_stands_at_every_step_as_of_the_historys_beginning(tmp_path):
    runs = recorded(tmp_path)["runs_total"]
    assert list(runs) == list(range(STEPS + 1))
    assert [runs[step] for step in (0, 100, 101, STEPS)] == [1, 1, 2, 2]


def test_what_stands_still_has_a_sample_an_hour(tmp_path):
    failures = recorded(tmp_path)["failures_total"]
    assert list(failures) == list(range(0, STEPS + 1, 12))
    assert set(failures.values()) == {0}


def test_a_histogram_stands_where_it_moves_and_before_and_each_hour(tmp_path):
    found = recorded(tmp_path)
    hours = set(range(0, STEPS + 1, 12))
    for part in ("bucket2.0", "bucket4.0", "bucket8.0", "bucket+Inf", "sum", "count"):
        assert set(found[f"took_{part}"]) == hours | {100, 101}, part
    assert set(found["took_bucket1.0"]) == hours, "no quantile needs it"
    at = {part: (found[f"took_{part}"][100], found[f"took_{part}"][101]) for part in ("bucket4.0", "bucket8.0", "sum")}
    assert at == {"bucket4.0": (1, 1), "bucket8.0": (1, 2), "sum": (3, 8)}


@pytest.mark.slow
@pytest.mark.debian("prometheus", "promtool")
def test_prometheus_counts_the_runs_of_a_day_as_the_store_does(played, tmp_path):
    with prometheus_over(played.openmetrics, tmp_path) as url:
        for days in range(DAYS - 1):
            until = END - timedelta(days=days)
            assert counted(url, until) == stored(played.home, until), until


def counted(url: str, until: datetime) -> dict[str, int]:
    expression = "sum by (instance) (increase(tachograph_runs_total[1d])) > 0"
    found = ask(url, expression, until)
    return {series["metric"]["instance"]: round(float(series["value"][1])) for series in found}


def stored(home: Path, until: datetime) -> dict[str, int]:
    since, end = (
        at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ") for at in (until - timedelta(days=1), until)
    )
    rows = query(
        home,
        f"SELECT agent, count(*) AS n FROM runs WHERE ts >= '{since}' AND ts < '{end}' GROUP BY agent",  # noqa: S608 - times
    )
    return {row["agent"]: row["n"] for row in rows}
