# ruff: noqa: DTZ001 - the store's times are UTC without a zone
"""Alertmanager's webhook as alerts."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tachograph_analytics.receiver.alerts import Alert, parse


def a_notification(**alert) -> bytes:
    whole = {"fingerprint": "f11", "status": "firing", "labels": {"alertname": "A"}, "annotations": {}, **alert}
    return json.dumps({"version": "4", "status": "firing", "alerts": [whole]}).encode()


def test_a_firing_alert_has_no_end():
    body = a_notification(
        startsAt="2026-11-24T12:00:00.123456789+01:00",
        endsAt="0001-01-01T00:00:00Z",
        generatorURL="http://prometheus/graph",
        annotations={"summary": "it burns"},
    )
    assert [
        Alert(
            fingerprint="f11",
            status="firing",
            labels={"alertname": "A"},
            annotations={"summary": "it burns"},
            starts_at=datetime(2026, 11, 24, 11, 0, 0, 123456),
            ends_at=None,
            generator_url="http://prometheus/graph",
        )
    ] == parse(body)


def test_a_resolved_alert_says_when_it_ended():
    (alert,) = parse(a_notification(status="resolved", endsAt="2026-11-24T12:13:00Z"))
    assert ("resolved", datetime(2026, 11, 24, 12, 13)) == (alert.status, alert.ends_at)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"version": "4"}',
        b'{"version": "4", "alerts": [11]}',
        a_notification(status="pending"),
        a_notification(startsAt="noon"),
        a_notification(startsAt="9999-12-31T23:59:59-14:00"),
        a_notification(labels=["A"]),
    ],
    ids=["empty", "array", "deep", "no-alerts", "no-object", "status", "time", "beyond-the-calendar", "labels"],
)
def test_anything_else_is_a_value_error(body):
    with pytest.raises(ValueError, match=r"."):
        parse(body)


def test_half_a_surrogate_pair_is_replaced_wherever_it_stands_and_a_whole_one_is_its_sign():
    half, whole = "\ud800", "\U0001f525"
    (alert,) = parse(
        a_notification(
            fingerprint=half,
            labels={"alertname": half, half: "x", "fire": whole},
            annotations={half: half},
            generatorURL=half,
        )
    )
    assert (
        Alert(
            fingerprint="\ufffd",
            status="firing",
            labels={"alertname": "\ufffd", "\ufffd": "x", "fire": whole},
            annotations={"\ufffd": "\ufffd"},
            starts_at=None,
            ends_at=None,
            generator_url="\ufffd",
        )
        == alert
    )
