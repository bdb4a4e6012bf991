from __future__ import annotations

import pytest

from tachograph.errors import UsageError
from tachograph.registry import load
from tachograph_dashboards.queries import Scope, gained, now, quantile, rate, share

SCOPE = Scope(load(), {"gen_ai.agent.name": "agent", "tachograph.workflow": "workflow"})


def test_a_rate_is_narrowed_by_the_variables_whose_labels_the_metric_has():
    assert rate(SCOPE, "tachograph.llm.calls", ("gen_ai.request.model",)) == (
        "sum by (gen_ai_request_model) "
        '(rate(tachograph_llm_calls_total{gen_ai_agent_name=~"$agent"}[$__rate_interval]))'
    )


def test_a_gain_over_the_picked_time_selects_label_values():
    assert gained(SCOPE, "tachograph.internal.errors", where={"tachograph.hook": ("tool", "run")}) == (
        'sum(increase(tachograph_internal_errors_total{tachograph_hook=~"tool|run"}[$__range]))'
    )


def test_a_share_keeps_its_denominator_when_nothing_has_the_value():
    whole = 'sum(increase(tachograph_runs_total{gen_ai_agent_name=~"$agent",tachograph_workflow=~"$workflow"}[1h]))'
    part = (
        'sum(increase(tachograph_runs_total{tachograph_run_outcome="failed",gen_ai_agent_name=~"$agent",'
        'tachograph_workflow=~"$workflow"}[1h]))'
    )
    found = share(SCOPE, "tachograph.runs", {"tachograph.run.outcome": ("failed",)}, window="1h")
    assert found == f"({part} or 0 * {whole}) / ({whole} > 0)"


def test_a_quantile_reads_the_buckets():
    assert quantile(SCOPE, 0.95, "tachograph.limiter.wait.duration", ("tachograph.limiter.name",)) == (
        "histogram_quantile(0.95, sum by (tachograph_limiter_name, le) "
        '(rate(tachograph_limiter_wait_duration_seconds_bucket{gen_ai_agent_name=~"$agent"}[$__rate_interval])))'
    )


def test_the_present_value_of_an_up_down_counter_has_no_rate():
    assert now(SCOPE, "tachograph.approval.pending") == (
        'sum(tachograph_approval_pending{gen_ai_agent_name=~"$agent"})'
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: rate(SCOPE, "tachograph.rnus"), "draws 'tachograph.rnus', which the registry does not have"),
        (lambda: rate(SCOPE, "tachograph.coverage"), "takes 'tachograph.coverage' for a counter; it is a gauge"),
        (lambda: now(SCOPE, "tachograph.runs"), "takes 'tachograph.runs' for a updowncounter; it is a counter"),
        (lambda: quantile(SCOPE, 0.5, "tachograph.runs"), "takes 'tachograph.runs' for a histogram"),
        (lambda: rate(SCOPE, "tachograph.runs", ("gen_ai.tool.name",)), "asks for 'gen_ai.tool.name' of"),
        (
            lambda: gained(SCOPE, "tachograph.runs", where={"tachograph.run.outcome": ("failed", "stopped")}),
            "tachograph.run.outcome = 'stopped'; the registry allows success, degraded",
        ),
    ],
)
def test_what_the_registry_does_not_have_is_refused(wrong, sentence):
    with pytest.raises(UsageError) as error:
        wrong()
    assert sentence in str(error.value)
