from __future__ import annotations

import dataclasses

import pytest
from promql import references

from tachograph.errors import UsageError
from tachograph.registry import load as registry
from tachograph_alerts.catalogue import Links, load
from tachograph_alerts.rules import described, rule, rule_groups

REGISTRY = registry()
CATALOGUE = load(REGISTRY)
RULES = {rule["alert"]: rule for group in rule_groups(REGISTRY, CATALOGUE)["groups"] for rule in group["rules"]}


def test_a_rule_as_a_whole():
    links = Links(app="http://app", grafana="http://grafana", runbooks="http://books")
    assert rule(REGISTRY, CATALOGUE.alerts["TachographFallbackSilent"], links) == {
        "alert": "TachographFallbackSilent",
        "expr": "sum by (gen_ai_agent_name) "
        '(increase(tachograph_detections_total{tachograph_detection_rule="fallback_silent"}[10m])) > 0\n'
        'or sum by (gen_ai_agent_name) (tachograph_detections_total{tachograph_detection_rule="fallback_silent"} '
        'unless tachograph_detections_total{tachograph_detection_rule="fallback_silent"} offset 10m) > 0',
        "keep_firing_for": "72h",
        "labels": {"severity": "page", "pattern": "P09"},
        "annotations": {
            "summary": "The agent answered in a degraded mode and did not tell the user.",
            "description": "{{ $labels.gen_ai_agent_name }} did this at least once within 10m: "
            "the findings of fallback_silent name the runs.",
            "runbook_url": "http://books/TachographFallbackSilent.md",
            "dashboard_url": "http://grafana/d/tachograph-overview?from=now-1h&to=now"
            "&var-agent={{ urlquery $labels.gen_ai_agent_name }}",
            "investigate_url": "http://app/?alert=TachographFallbackSilent"
            "&agent={{ urlquery $labels.gen_ai_agent_name }}&rule=fallback_silent",
        },
    }


def test_a_rule_holds_as_long_as_its_number_says():
    assert {name: rule.get("for") for name, rule in RULES.items() if "for" in rule} == {
        "TachographRunFailureRatioHigh": "5m",
        "TachographCostSpike": "10m",
        "TachographCanaryCostHigh": "30m",
        "TachographTelemetryAbsent": "10m",
    }


def test_only_what_pauses_or_is_found_days_later_goes_on_firing():
    assert {name: rule["keep_firing_for"] for name, rule in RULES.items() if "keep_firing_for" in rule} == {
        "TachographCanaryCostHigh": "6h",
        "TachographFallbackSilent": "72h",
    }


@pytest.mark.parametrize("name", RULES)
def test_a_rule_uses_names_of_the_registry(name):
    known = {m.prometheus: {REGISTRY.attributes[a].column for a in m.labels} for m in REGISTRY.metrics.values()}
    used = references(RULES[name]["expr"])
    assert set(used) <= set(known)
    assert not {label for metric, labels in used.items() for label in labels - known[metric]}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_whom_and_where(name):
    annotations = RULES[name]["annotations"]
    assert list(annotations) == ["summary", "description", "runbook_url", "dashboard_url", "investigate_url"]
    assert annotations["summary"].endswith(".")
    assert "{{" not in annotations["summary"]
    # An increase() is extrapolated: shown raw, one event would read 1.006.
    assert "$value" not in annotations["description"] or "| " in annotations["description"]


def test_a_counter_of_what_must_never_happen_is_born_at_zero():
    metrics = {alert.metric for alert in CATALOGUE.alerts.values() if alert.condition == "detection"}
    assert {name: REGISTRY.metrics[name].zero for name in metrics if name} == {
        "tachograph.detections": ("tachograph.detection.rule",)
    }


def test_a_percentage_of_a_description_is_written_as_one():
    alert = CATALOGUE.alerts["TachographRunFailureRatioHigh"]
    assert described(alert, "the desk") == (
        "{{ $value | humanizePercentage }} of the runs of the desk failed within 30m; more than 20% is too many."
    )


@pytest.mark.parametrize("name", ["tachograph.detections", "tachograph.runs", "tachograph.cost", "tachograph.coverage"])
def test_a_renamed_metric_breaks_the_build(name):
    metrics = {(key + ".other" if key == name else key): metric for key, metric in REGISTRY.metrics.items()}
    with pytest.raises(UsageError, match=f"'{name}', which the registry does not have"):
        rule_groups(dataclasses.replace(REGISTRY, metrics=metrics), CATALOGUE)


def test_tracks_need_a_metric_that_their_cost_is_divided_by():
    alert = dataclasses.replace(CATALOGUE.alerts["TachographCanaryCostHigh"], per=None)
    with pytest.raises(UsageError, match="condition 'tracks' and needs per, a metric"):
        rule(REGISTRY, alert, CATALOGUE.links)


def test_a_renamed_track_breaks_the_build():
    track = REGISTRY.attributes["tachograph.release.track"]
    renamed = dataclasses.replace(track, values=("stable", "experiment"))
    registry = dataclasses.replace(REGISTRY, attributes=REGISTRY.attributes | {track.name: renamed})
    with pytest.raises(UsageError, match=r"asks for tachograph\.release\.track = 'canary'"):
        rule_groups(registry, CATALOGUE)


def test_a_label_and_a_value_that_the_registry_does_not_have_are_refused():
    alert = CATALOGUE.alerts["TachographRunFailureRatioHigh"]
    for bad, sentence in (
        ({"gen_ai.tool.name": ("x",)}, "asks for the label 'gen_ai.tool.name' of 'tachograph.runs'"),
        ({"tachograph.run.outcome": ("stopped",)}, "asks for tachograph.run.outcome = 'stopped'"),
    ):
        with pytest.raises(UsageError, match=sentence):
            rule(REGISTRY, dataclasses.replace(alert, bad=bad), CATALOGUE.links)
