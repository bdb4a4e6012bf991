"""P09: degraded answers that the user took for whole ones."""

from __future__ import annotations

from tachograph_analytics.detections.tables import Rows, findings, view


def fallback_silent() -> Rows:
    """Stays in a degraded mode that ended and of which the user was not told."""
    stays = view("degradations")
    silent = stays.filter(~stays.disclosed)  # null while the stay lasts
    return findings(
        silent,
        "fallback_silent",
        "the agent went into {mode} ({trigger}, {component:no component}) and did not tell the user",
    )
