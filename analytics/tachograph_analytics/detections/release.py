"""P10: release gates that let pass what they had not seen."""

from __future__ import annotations

from tachograph.registry import load
from tachograph_analytics.detections.tables import Column, Rows, findings, view


def _passed() -> Rows:
    gates = view("gates")
    return gates.filter((gates.verdict == "pass") | (gates.decision == "promote"))


def _seen(gates: Rows) -> Column:
    return (gates.samples.fill_null(0) > 0) & gates.observed.notnull()


def gate_no_data() -> Rows:
    """Gates that passed or promoted on no samples, or on no observed value."""
    gates = _passed()
    blind = gates.filter(~_seen(gates))
    blind = blind.mutate(unobserved=blind.observed.isnull().ifelse(" and no observed value", ""))
    return findings(
        blind,
        "gate_no_data",
        "the gate {gate} said {verdict} ({decision}) on {samples:0} samples{unobserved}",
    )


def gate_stale() -> Rows:
    """Gates that passed or promoted on data older than the threshold."""
    threshold = load().detections["gate_stale"].threshold or 0.0
    gates = _passed()
    stale = gates.filter(_seen(gates) & (gates.data_age_s > threshold))
    stale = stale.mutate(hours=(stale.data_age_s / 3600).round().cast("int64"))
    return findings(stale, "gate_stale", "the gate {gate} said {verdict} ({decision}) on data that was {hours} h old")
