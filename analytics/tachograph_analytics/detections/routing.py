"""P06: choices without alternatives, and models that choose freely."""

from __future__ import annotations

from tachograph_analytics.detections.tables import Rows, findings, view


def route_no_candidates() -> Rows:
    """Routing decisions that do not say what they could choose from."""
    routes = view("routes")
    named = routes.candidates.length().fill_null(0)
    blind = routes.filter((routes.candidate_count.fill_null(named) < 1) | (named < 1))
    return findings(
        blind,
        "route_no_candidates",
        "the router {router} chose {selected:nothing} and does not say what it could choose from",
    )


def route_llm_unconstrained() -> Rows:
    """Routing decisions of a model whose choice no code limited."""
    routes = view("routes")
    free = routes.filter((routes.method == "llm") & ~routes.constrained.fill_null(False))
    return findings(
        free,
        "route_llm_unconstrained",
        "a model chose {selected:nothing} for the router {router} and no code limited its choice",
    )
