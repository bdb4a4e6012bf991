from __future__ import annotations

import copy

import pytest
from dashboards.boards import every, generated, raw

from tachograph_dashboards.modernise import modernise

BOARDS = sorted(raw())


@pytest.mark.parametrize("name", BOARDS)
def test_a_second_pass_changes_nothing_and_the_first_leaves_its_input_alone(name):
    before = raw()[name]
    kept = copy.deepcopy(before)
    once = modernise(before)
    assert modernise(once) == once
    assert before == kept


def _counts(board):
    panels = board["panels"]
    return {
        "panels": len(panels),
        "targets": [len(panel["targets"]) for panel in panels],
        "data links": [len(panel["fieldConfig"]["defaults"]["links"]) for panel in panels],
        "links": [link["title"] for link in board["links"]],
        "variables": [variable["name"] for variable in board["templating"]["list"]],
        "annotations": [a["name"] for a in board["annotations"]["list"] if "builtIn" not in a],
    }


@pytest.mark.parametrize("name", BOARDS)
def test_nothing_gets_lost_on_the_way(name):
    assert _counts(modernise(raw()[name])) == _counts(raw()[name])


@pytest.mark.parametrize("name", BOARDS)
def test_what_grafana_has_dropped_is_gone(name):
    board = generated()[name]
    assert board["schemaVersion"] == 42
    assert not [thing for thing in every(board) if thing is None]
    keys = {key for thing in every(board) if isinstance(thing, dict) for key in thing}
    assert not keys & {"maxDataPoints", "gnetId", "rows", "sharedCrosshair", "intervalFactor", "style"}
    references = [thing["datasource"] for thing in every(board) if isinstance(thing, dict) and "datasource" in thing]
    assert {tuple(sorted(reference)) for reference in references} == {("type", "uid")}


def test_the_raw_board_has_what_the_pass_is_for():
    board = raw()["overview"]
    assert board["schemaVersion"] == 12
    assert [thing for thing in every(board) if thing is None]
    assert {panel["maxDataPoints"] for panel in board["panels"]} == {100}


def test_a_row_keeps_its_panels_and_gets_no_options():
    row = {"type": "row", "title": "More", "collapsed": False, "gridPos": {}, "id": 11, "cacheTimeout": None}
    board = raw()["overview"] | {"panels": [row]}
    assert modernise(board)["panels"] == [{"type": "row", "title": "More", "gridPos": {}, "id": 11}]
