from __future__ import annotations

import subprocess

import pytest
import yaml
from promql import plain

from tachograph.registry import load
from tachograph_dashboards.detections import calm, state
from tachograph_dashboards.queries import Scope

SCOPE = Scope(load(), {"gen_ai.agent.name": "agent"})


def _series(metric: str, values: str, **labels: str) -> dict[str, str]:
    inner = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{metric}{{{inner}}}", "values": values}


def _hook(agent: str, hook: str, values: str) -> dict[str, str]:
    return _series("tachograph_coverage", values, gen_ai_agent_name=agent, tachograph_hook=hook)


def _seen(agent: str, values: str) -> dict[str, str]:
    return _series(
        "tachograph_detections_total",
        values,
        gen_ai_agent_name=agent,
        tachograph_detection_rule="approval_no_diff",
    )


@pytest.mark.debian("promtool")
@pytest.mark.parametrize(
    ("series", "shown"),
    [
        pytest.param([_seen("a", "0x20"), _hook("a", "approval", "1x20")], 0, id="watched and clean"),
        pytest.param([_seen("a", "0x20"), _hook("a", "approval", "0x20")], -1, id="not watched is not clean"),
        pytest.param(
            [
                _seen("a", "0x20"),
                _seen("b", "0x20"),
                _hook("a", "approval", "1x20"),
                _hook("b", "approval", "0x20"),
            ],
            -1,
            id="one of two agents not watched",
        ),
        pytest.param([_seen("a", "0x9 1x10"), _hook("a", "approval", "1x20")], 1, id="the first event"),
        pytest.param(
            [_seen("a", "0x9 1x10"), _seen("b", "0x3 2x16"), _hook("b", "approval", "0x20")], 3, id="events of two"
        ),
        pytest.param([_seen("a", "0x20")], None, id="an agent without coverage shows no number"),
    ],
)
def test_a_tile_shows_events_or_clean_or_not_instrumented(tmp_path, series, shown):
    detection = load().detections["approval_no_diff"]
    expression = plain(state(SCOPE, detection)).replace('=~"a"', '=~"a|b"')
    samples = [] if shown is None else [{"labels": "{}", "value": shown}]
    _evaluates(tmp_path, series, expression, samples)


@pytest.mark.debian("promtool")
def test_a_panel_of_modes_is_neither_empty_nor_calm_where_nothing_is_recorded(tmp_path):
    expression = plain(calm(SCOPE, "degraded", "tachograph.degradation.active", "tachograph.degradation.mode"))
    samples = [
        {"labels": f'{{tachograph_degradation_mode="{name}"}}', "value": 0} for name in ("none", "not instrumented")
    ]
    series = [_hook("a", "degraded", "1x20"), _hook("b", "degraded", "0x20"), _hook("c", "approval", "1x20")]
    _evaluates(tmp_path, series, expression.replace('=~"a"', '=~"a|b"'), samples)
    _evaluates(tmp_path, series, expression, samples[:1])


def _evaluates(folder, series, expression, samples):
    test = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"expr": expression, "eval_time": "19m", "exp_samples": samples}],
    }
    file = folder / "tile.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}), "utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_detection_has_an_expression_over_the_hooks_it_needs():
    detections = load().detections
    assert len(detections) == 23
    for detection in detections.values():
        assert state(SCOPE, detection).count("tachograph_coverage") == len(detection.needs) + 1
