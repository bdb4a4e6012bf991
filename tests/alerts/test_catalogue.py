from __future__ import annotations

import dataclasses

import pytest

from tachograph.errors import UsageError
from tachograph.registry import load as registry
from tachograph_alerts.catalogue import load

REGISTRY = registry()
ALERTS = load(REGISTRY).alerts


def test_the_alerts_and_what_they_weigh():
    assert {name: (alert.condition, alert.pattern, alert.severity) for name, alert in ALERTS.items()} == {
        "TachographWriteUnapproved": ("detection", "P02", "page"),
        "TachographFallbackSilent": ("detection", "P09", "page"),
        "TachographRunFailureRatioHigh": ("ratio", "run", "ticket"),
        "TachographCostSpike": ("spike", "cost", "ticket"),
        "TachographCanaryCostHigh": ("tracks", "P10", "ticket"),
        "TachographTelemetryAbsent": ("absent", "pipeline", "page"),
        "TachographWatchdog": ("heartbeat", "pipeline", "none"),
    }


def test_a_detections_alert_takes_its_summary_from_the_registry():
    assert ALERTS["TachographWriteUnapproved"].summary == REGISTRY.detections["write_unapproved"].brief


def test_every_number_says_why():
    numbers = [(alert.name, name, number) for alert in ALERTS.values() for name, number in alert.numbers.items()]
    assert len(numbers) == 19
    assert [(alert, name) for alert, name, number in numbers if len(number.why) < 20] == []


def test_a_detection_that_the_registry_does_not_have_is_refused():
    without = {name: detection for name, detection in REGISTRY.detections.items() if name != "fallback_silent"}
    with pytest.raises(UsageError, match="TachographFallbackSilent is on the detection 'fallback_silent'"):
        load(dataclasses.replace(REGISTRY, detections=without))


def test_a_missing_number_is_named():
    with pytest.raises(UsageError, match=r"condition 'detection' and needs numbers\.threshold"):
        ALERTS["TachographWriteUnapproved"].number("threshold")
