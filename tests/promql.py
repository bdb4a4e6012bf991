"""What PromQL expressions refer to, read from their syntax trees."""

from __future__ import annotations

from collections import defaultdict

import promql_parser

# What Grafana puts in before Prometheus sees a query, as literals that parse.
_GRAFANA = {"$__rate_interval": "1m", "$__range": "6h", "$agent": "a", "$workflow": "w", "$track": "t"}


def plain(expression: str) -> str:
    """A panel's expression with Grafana's variables filled in."""
    for variable, literal in _GRAFANA.items():
        expression = expression.replace(variable, literal)
    return expression


def references(expression: str) -> dict[str, set[str]]:
    """Every metric of an expression with the labels that are matched on it or grouped by above it."""
    found: dict[str, set[str]] = defaultdict(set)
    grouped: list[set[str]] = []

    def enter(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            grouped.append(set(node.modifier.labels) if node.modifier else set())
        if isinstance(node, promql_parser.VectorSelector):
            found[node.name].update(matcher.name for matcher in node.matchers.matchers)
            found[node.name].update(*grouped)

    def leave(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            grouped.pop()

    promql_parser.walk(promql_parser.parse(expression), enter, leave)
    return dict(found)
