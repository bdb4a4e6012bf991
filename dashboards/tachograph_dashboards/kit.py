"""Panels, variables and boards as small functions over grafanalib; no other file knows grafanalib.

What comes out is grafanalib's own, dated JSON; `modernise` turns it into what Grafana writes today.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# grafanalib has no type hints and makes its constructors at run time, so it is Any to a checker, here and nowhere else.
core: Any = import_module("grafanalib.core")
encoder: Any = import_module("grafanalib._gen").DashboardEncoder
Panel = Any
Variable = Any

DATASOURCE = "${datasource}"
# What the reader looks at, for the page of the app behind a panel.
_TIME_AND_AGENT = {"from": "${__from}", "to": "${__to}", "agent": "${agent:csv}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One line, tile or number; `instant` asks for the present value only."""

    expression: str
    legend: str
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """From `value` on a number has `color`; the first step also holds for everything below."""

    value: float
    color: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """Panels side by side: (width in columns of 24, panel), all `height` grid units of 30 pixels high."""

    height: int
    panels: tuple[tuple[int, Panel], ...]


NEUTRAL = (Step(0, "blue"),)
ZERO_IS_GOOD = (Step(0, "green"), Step(1, "red"))


def stat(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    steps: Sequence[Step] = NEUTRAL,
    texts: Mapping[str, str] | None = None,
    no_value: str = "no data",
    background: bool = False,
    link: str = "",
    decimals: int | None = None,
) -> Panel:
    """Big numbers, one a query; `texts` says words for values, `background` colours the tile and names it."""
    defaults = _defaults(unit, steps, link) | {"noValue": no_value}
    return core.Stat(
        title=title,
        description=description,
        dataSource=DATASOURCE,
        targets=_targets(queries),
        format=unit,
        decimals=decimals,
        noValue=no_value,
        reduceCalc="lastNotNull",
        graphMode="none",
        colorMode="background" if background else "value",
        textMode="value_and_name" if background else "value",
        mappings=[{"type": "value", "options": {value: {"text": text}}} for value, text in (texts or {}).items()],
        extraJson={"fieldConfig": {"defaults": defaults}},
    )


def timeseries(
    title: str, description: str, unit: str, *queries: Query, stacked: bool = False, link: str = ""
) -> Panel:
    """Lines over time from 0 up; `stacked` fills them on top of each other."""
    return core.TimeSeries(
        title=title,
        description=description,
        dataSource=DATASOURCE,
        targets=_targets(queries),
        unit=unit,
        fillOpacity=40 if stacked else 8,
        lineWidth=1,
        showPoints="never",
        stacking={"group": "A", "mode": "normal" if stacked else "none"},
        tooltipMode="multi",
        tooltipSort="desc",
        valueMin=0,
        extraJson={
            "fieldConfig": {"defaults": _defaults(unit, NEUTRAL, link) | {"color": {"mode": "palette-classic"}}}
        },
    )


def app_link(page: str = "", **values: str) -> str:
    """A page of the app, Start by default, with the reader's time and agents and `values`: rule="${__field.name}"."""
    query = "&".join(f"{name}={value}" for name, value in {**_TIME_AND_AGENT, **values}.items())
    return f"${{app}}/{page}?{query}"  # each board has the variable `app`


def datasource_variable() -> Variable:
    """Which Prometheus: the variable behind every panel's data source."""
    return core.Template(name="datasource", label="Data source", type="datasource", query="prometheus", sort=0)


def label_variable(name: str, label: str, query: str, *, matches_absent: bool = False) -> Variable:
    """Values of a label, all by default; `matches_absent` keeps series without the label when all are picked."""
    return core.Template(
        name=name,
        label=label,
        query=query,
        dataSource=DATASOURCE,
        includeAll=True,
        multi=True,
        allValue=".*" if matches_absent else None,
        refresh=core.REFRESH_ON_TIME_RANGE_CHANGE,
    )


def constant_variable(name: str, value: str) -> Variable:
    """A hidden constant, which whoever imports the board may change."""
    return core.Template(name=name, query=value, default=value, type="constant", hide=core.HIDE_VARIABLE)


def annotation(name: str, expression: str, color: str, title: str, text: str) -> dict[str, Any]:
    """Marks on every panel while `expression` has samples; `title` and `text` may name labels as {{label}}."""
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expression,
        "iconColor": color,
        "name": name,
        "step": "30s",
        "textFormat": text,
        "titleFormat": title,
    }


def dashboard(
    uid: str,
    title: str,
    description: str,
    *,
    variables: Sequence[Variable],
    annotations: Sequence[dict[str, Any]],
    shelves: Sequence[Shelf],
) -> dict[str, Any]:
    """The board as grafanalib writes it, shelves from top to bottom."""
    board = core.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=["tachograph"],
        timezone="browser",
        time=core.Time("now-6h", "now"),
        refresh="30s",
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
        links=_links(),
        templating=core.Templating(list=list(variables)),
        annotations=core.Annotations(list=list(annotations)),
        panels=_placed(shelves),
    ).auto_panel_ids()
    return json.loads(json.dumps(board.to_json_data(), cls=encoder))


def _links() -> list[Any]:
    return [
        core.DashboardLink(
            title="Boards", type="dashboards", tags=["tachograph"], asDropdown=True, includeVars=True, keepTime=True
        ),
        core.DashboardLink(title="Investigate", type="link", uri=app_link(), icon="external link", targetBlank=True),
    ]


def _placed(shelves: Sequence[Shelf]) -> list[Panel]:
    panels: list[Panel] = []
    y = 0
    for shelf in shelves:
        x = 0
        for width, panel in shelf.panels:
            panel.gridPos = core.GridPos(h=shelf.height, w=width, x=x, y=y)
            panels.append(panel)
            x += width
        y += shelf.height
    return panels


def _targets(queries: Sequence[Query]) -> list[Any]:
    return [
        core.Target(expr=query.expression, legendFormat=query.legend, refId=_letter(place), instant=query.instant)
        for place, query in enumerate(queries)
    ]


def _letter(place: int) -> str:
    """The name Grafana gives the query at `place`: A to Z, then AA, AB and so on."""
    round_, letter = divmod(place, len(ascii_uppercase))
    return (ascii_uppercase[round_ - 1] if round_ else "") + ascii_uppercase[letter]


def _defaults(unit: str, steps: Sequence[Step], link: str) -> dict[str, Any]:
    links = [{"title": "Investigate", "url": link, "targetBlank": True}] if link else []
    return {
        "unit": unit,
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"value": step.value, "color": step.color} for step in steps]},
        "links": links,
    }
