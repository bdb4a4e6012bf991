"""grafanalib's JSON, of schema version 12, as Grafana writes it today.

One pass that may be repeated: what it has made it leaves alone. It adds and drops no panel, query, link, annotation
or variable.
"""

from __future__ import annotations

from typing import Any, cast

# What Grafana 12 and 13 write; from here Grafana's own migrations go on.
SCHEMA_VERSION = 42

_BOARD_KEYS = frozenset({
    "annotations", "description", "editable", "graphTooltip", "links", "panels", "refresh", "schemaVersion", "tags",
    "templating", "time", "timepicker", "timezone", "title", "uid",
})  # fmt: skip
_PANEL_KEYS = frozenset({
    "datasource", "description", "fieldConfig", "gridPos", "id", "interval", "links", "options", "repeat",
    "repeatDirection", "targets", "timeFrom", "timeShift", "title", "transformations", "transparent", "type",
})  # fmt: skip
_TARGET_KEYS = frozenset({
    "datasource", "editorMode", "exemplar", "expr", "format", "instant", "interval", "legendFormat", "range", "refId",
})  # fmt: skip
_VARIABLE_KEYS = frozenset({
    "allValue", "current", "datasource", "definition", "hide", "includeAll", "label", "multi", "name", "options",
    "query", "refresh", "regex", "sort", "type",
})  # fmt: skip
_QUERY_VARIABLE_KEYS = frozenset({"allValue", "datasource", "definition", "includeAll", "multi", "refresh", "sort"})

# Grafana's own event annotations: the notes that people leave on a graph.
_BUILT_IN = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}
_LEGEND: dict[str, Any] = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
_TOOLTIP = {"mode": "multi", "sort": "desc"}
_STAT = {"percentChangeColorMode": "standard", "showPercentChange": False, "wideLayout": True}


def modernise(board: dict[str, Any]) -> dict[str, Any]:
    """A new board of schema version 42 with no null, no data source by name and no key that Grafana has dropped."""
    kept = _only(_without_nulls(board), _BOARD_KEYS)
    annotations: list[dict[str, Any]] = kept["annotations"]["list"]
    own = [_annotation(annotation) for annotation in annotations if "builtIn" not in annotation]
    return kept | {
        "annotations": {"list": [_BUILT_IN, *own]},
        "panels": [_panel(panel) for panel in kept["panels"]],
        "schemaVersion": SCHEMA_VERSION,
        "templating": {"list": [_variable(variable) for variable in kept["templating"]["list"]]},
        "timepicker": {},
    }


def _annotation(annotation: dict[str, Any]) -> dict[str, Any]:
    return annotation | {"datasource": _reference(annotation["datasource"])}


def _panel(panel: dict[str, Any]) -> dict[str, Any]:
    kept = _only(panel, _PANEL_KEYS)
    if "datasource" in kept:
        kept["datasource"] = _reference(kept["datasource"])
    if "targets" in kept:
        kept["targets"] = [_target(target, kept["datasource"]) for target in kept["targets"]]
    if "fieldConfig" in kept:
        kept["fieldConfig"] = {"overrides": []} | kept["fieldConfig"]
    return kept | {"options": _options(kept["type"], kept.get("options", {}))} if kept["type"] != "row" else kept


def _options(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a panel type with today's defaults for those that grafanalib does not know."""
    if kind == "stat":
        return _STAT | options
    if kind == "timeseries":
        return {"legend": _LEGEND | options.get("legend", {}), "tooltip": _TOOLTIP | options.get("tooltip", {})}
    return options


def _target(target: dict[str, Any], datasource: dict[str, str]) -> dict[str, Any]:
    """A Prometheus query; exemplars are fetched where a quantile over time shows them."""
    instant = bool(target.get("instant"))
    filled = {key: value for key, value in _only(target, _TARGET_KEYS).items() if value != ""}
    return filled | {
        "datasource": datasource,
        "editorMode": "code",
        "exemplar": not instant and target["expr"].startswith("histogram_quantile("),
        "instant": instant,
        "range": not instant,
    }


def _variable(variable: dict[str, Any]) -> dict[str, Any]:
    kind = variable["type"]
    kept = _only(variable, _VARIABLE_KEYS)
    if kind != "query":
        kept = {key: value for key, value in kept.items() if key not in _QUERY_VARIABLE_KEYS}
    if kind == "query":
        kept |= {"datasource": _reference(kept["datasource"]), "definition": kept["query"]}
    picked = _picked(kept)
    return kept | {"current": picked} if picked else _only(kept, _VARIABLE_KEYS - {"current"})


def _picked(variable: dict[str, Any]) -> dict[str, Any] | None:
    """What is picked before the reader picks: everything, the constant itself, or nothing yet."""
    if variable.get("includeAll"):
        return {"selected": True, "text": ["All"], "value": ["$__all"]}
    if variable["type"] == "constant":
        return {"selected": True, "text": variable["query"], "value": variable["query"]}
    return None


def _reference(datasource: str | dict[str, str]) -> dict[str, str]:
    return {"type": "prometheus", "uid": datasource} if isinstance(datasource, str) else datasource


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _without_nulls(inner) for key, inner in items if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in cast("list[Any]", value) if inner is not None]
    return value


def _only(thing: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in thing.items() if key in keys}
