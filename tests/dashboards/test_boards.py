from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from dashboards.boards import generated, panels, renamed_attribute, renamed_metric, targets
from promql import plain, references

from tachograph.errors import UsageError
from tachograph.registry import load
from tachograph_dashboards.boards import BOARDS

REGISTRY = load()
SCHEMAS = Path(__file__).parents[3] / "shared" / "data" / "grafana-jsonschema"
# Prometheus' own series of firing alerts, with the labels that our rules give every alert.
ALERTS = {"alertname", "alertstate", "severity", "pattern", "gen_ai_agent_name"}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


def _known() -> dict[str, set[str]]:
    """Every series name of the registry with its labels."""
    known = {"ALERTS": ALERTS}
    for metric in REGISTRY.metrics.values():
        labels = {REGISTRY.attributes[label].column for label in metric.labels}
        for suffix in SUFFIXES.get(metric.instrument, ("",)):
            known[metric.prometheus + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return known


KNOWN = _known()


@pytest.mark.parametrize(("name", "expression"), targets(), ids=[name for name, _ in targets()])
def test_a_query_parses_and_uses_names_of_the_registry(name, expression):
    used = references(plain(expression))
    assert used, name
    assert set(used) <= set(KNOWN)
    assert not {label for metric, labels in used.items() for label in labels - KNOWN[metric]}


@pytest.mark.debian("promtool")
def test_prometheus_itself_parses_every_query(tmp_path):
    rules = [{"record": f"q{number}", "expr": plain(expression)} for number, (_, expression) in enumerate(targets())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), "utf-8")
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_a_query_on_an_unknown_name_would_be_seen():
    assert references('sum by (who) (rate(tachograph_rnus_total{a="b"}[5m]))') == {
        "tachograph_rnus_total": {"a", "who"}
    }


@pytest.mark.parametrize("board", generated().values(), ids=generated())
def test_annotations_and_variables_use_names_of_the_registry(board):
    used = {name for a in board["annotations"]["list"] if "expr" in a for name in references(plain(a["expr"]))}
    assert used == {"ALERTS"}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = variable["query"].removeprefix("label_values(").removesuffix(")").split(", ")
            assert label in KNOWN[metric]


@pytest.mark.parametrize("panel", [panel for _, panel in panels()], ids=[name for name, _ in panels()])
def test_a_panel_says_what_it_shows_and_in_which_unit(panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert all("[$__rate_interval]" in t["expr"] or t["instant"] or "pending" in t["expr"] or "active" in t["expr"]
               for t in panel["targets"])  # fmt: skip


@pytest.mark.parametrize("board", generated().values(), ids=generated())
def test_links_to_the_app_carry_the_readers_time(board):
    links = [link["url"] for panel in board["panels"] for link in panel["fieldConfig"]["defaults"]["links"]]
    links += [link["url"] for link in board["links"] if link["type"] == "link"]
    assert len(links) >= 10
    assert {link.split("&agent=")[0] for link in links} <= {
        "${app}/?from=${__from}&to=${__to}",
        "${app}/spike?from=${__from}&to=${__to}",
    }


def test_panels_of_cost_lead_to_where_the_money_went_and_others_to_start():
    pages = {
        panel["title"]: [link["url"].split("?")[0] for link in panel["fieldConfig"]["defaults"]["links"]]
        for panel in generated()["overview"]["panels"]
    }
    assert {title for title, urls in pages.items() if urls == ["${app}/spike"]} == {
        "Cost per hour",
        "Cost per hour by agent",
    }
    assert pages["Runs"] == ["${app}/"]


def test_the_overview_is_seen_without_scrolling():
    places = [panel["gridPos"] for panel in generated()["overview"]["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    # 24 units of 30 pixels and their gaps fill a screen of 1080 pixels below Grafana's own bars.
    assert max(y for _, y in cells) < 24
    assert max(x for x, _ in cells) == 23
    assert len(cells) == len(set(cells))


def test_uids_are_those_that_links_name():
    assert {name: board["uid"] for name, board in generated().items()} == {"overview": "tachograph-overview"}


USED_METRICS = ["tachograph.runs", "tachograph.detections", "tachograph.coverage", "tachograph.cost"]


@pytest.mark.parametrize("metric", USED_METRICS)
def test_a_renamed_metric_breaks_the_build(metric):
    with pytest.raises(UsageError, match=metric):
        BOARDS["overview"](renamed_metric(REGISTRY, metric, metric + ".other"))


@pytest.mark.parametrize("attribute", ["tachograph.run.outcome", "gen_ai.request.model", "tachograph.hook"])
def test_a_renamed_label_breaks_the_build(attribute):
    with pytest.raises((UsageError, KeyError), match=attribute):
        BOARDS["overview"](renamed_attribute(REGISTRY, attribute, attribute + ".other"))


def _validator(name: str, definition: str | None = None) -> jsonschema.Draft7Validator:
    schema = json.loads((SCHEMAS / f"{name}.jsonschema.json").read_text("utf-8"))
    return jsonschema.Draft7Validator(schema | ({"$ref": f"#/definitions/{definition}"} if definition else {}))


def _findings(validator: jsonschema.Draft7Validator, thing: object) -> list[str]:
    found = [("/".join(map(str, error.absolute_path)), error.message) for error in validator.iter_errors(thing)]
    return [f"{path}: {message}" for path, message in found if not _quirk(path, message)]


def _quirk(path: str, message: str) -> bool:
    """Grafana's schemas type a panel's data links as dashboard links, which have more required keys."""
    return "fieldConfig/defaults/links/" in path and message.endswith("is a required property")


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="needs Grafana's JSON Schemas in ../shared/data/grafana-jsonschema")
@pytest.mark.parametrize("board", generated().values(), ids=generated())
def test_grafanas_own_schemas_find_nothing(board):
    frame = {key: value for key, value in board.items() if key != "panels"}
    found = _findings(_validator("dashboard"), frame)
    for panel in board["panels"]:
        found += _findings(_validator("dashboard", "Panel"), panel)
        found += _findings(_validator(panel["type"], "Options"), panel["options"])
        if panel["type"] == "timeseries":
            custom = panel["fieldConfig"]["defaults"]["custom"]
            found += _findings(_validator("timeseries", "FieldConfig"), custom)
        for target in panel["targets"]:
            found += _findings(_validator("prometheus"), target)
    assert found == []


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="needs Grafana's JSON Schemas in ../shared/data/grafana-jsonschema")
def test_grafanas_own_schemas_do_find_a_wrong_panel():
    panel = generated()["overview"]["panels"][0] | {"maxDataPoints": "100"}
    assert _findings(_validator("dashboard", "Panel"), panel) == ["maxDataPoints: '100' is not of type 'number'"]
