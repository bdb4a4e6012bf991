"""The rules over the metrics of the demo's world."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from demo.played import query
from demo.prometheus import ask, prometheus_over

from tachograph.demo.incidents import CANARY_DAYS
from tachograph.demo.tape import DAYS
from tachograph.registry import load as load_registry
from tachograph_alerts.catalogue import load as load_alerts
from tachograph_alerts.rules import rule

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.debian("prometheus", "promtool")
def test_the_rule_of_a_canarys_cost_holds_over_the_platforms_metrics(world, tmp_path):
    """These metrics go eight days back, the canary ten: that it has no series before is asked of the store."""
    registry = load_registry()
    catalogue = load_alerts(registry)
    expression = rule(registry, catalogue.alerts["TachographCanaryCostHigh"], catalogue.links)["expr"]
    with prometheus_over(world.openmetrics, tmp_path) as url:
        (canary,) = ask(url, expression, world.until)
        assert ask(url, expression, world.until - timedelta(days=DAYS) + timedelta(hours=1)) == []
    assert canary["metric"] == {"gen_ai_agent_name": "support"}
    assert float(canary["value"][1]) == pytest.approx(dearer(world.home.path, world.until), rel=0.02)
    begin = (world.until - timedelta(days=CANARY_DAYS)).replace(tzinfo=None)
    (before,) = query(world.home.path, f"SELECT count(*) AS n FROM runs WHERE track = 'canary' AND ts < '{begin}'")  # noqa: S608 - a time
    assert before == {"n": 0}


def dearer(home: Path, end: datetime) -> float:
    """How many times as much a success of the canary cost on the last day, by the store."""
    since = (end - timedelta(days=1)).replace(tzinfo=None)
    rows = query(
        home,
        "SELECT track, sum(cost) / count(*) FILTER (outcome = 'success') AS usd"  # noqa: S608 - a time
        f" FROM runs WHERE agent = 'support' AND ts >= '{since}' GROUP BY track",
    )
    usd = {row["track"]: row["usd"] for row in rows}
    return usd["canary"] / usd["stable"]
