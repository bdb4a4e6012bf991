"""P06: choices without alternatives, and models that choose freely."""

from __future__ import annotations

from tachograph_analytics.detections.tables import Rows, findings, view


def route_no_candidates() -> Rows:
    """Routing decisions that could choose from nothing; null candidates are unknown to us, not to the router."""
    routes = view("routes")
    blind = routes.filter(routes.candidate_count == 0)
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
