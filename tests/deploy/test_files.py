"""The files of deploy/: promtool reads Prometheus' own; the others are parsed and compared with each other."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from deploy.processes import ROOT, compose

from tachograph.demo import openmetrics
from tachograph.demo.world import AGENTS

DEPLOY = ROOT / "deploy"
SERVICES = compose()["services"]


def _yaml(path: str):
    return yaml.safe_load((DEPLOY / path).read_text("utf-8"))


@pytest.mark.debian("promtool")
def test_promtool_accepts_the_configuration(tmp_path):
    token, rules = tmp_path / "token", tmp_path / "rules.yaml"
    token.write_text("secret", "utf-8")
    generated = ROOT / "alerts" / "tachograph_alerts" / "generated" / "rules.yaml"
    rules.write_text(generated.read_text("utf-8"), "utf-8")
    text = (DEPLOY / "prometheus.yml").read_text("utf-8")
    config = tmp_path / "prometheus.yml"
    config.write_text(
        text.replace("/tmp/tachograph-token", str(token)).replace("/etc/prometheus/rules/*.yaml", str(rules)),  # noqa: S108
        "utf-8",
    )
    done = subprocess.run(["promtool", "check", "config", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 rules found" in done.stdout


def test_prometheus_scrapes_services_that_compose_starts():
    jobs = {job["job_name"]: job for job in _yaml("prometheus.yml")["scrape_configs"]}
    targets = {name: [host for one in job["static_configs"] for host in one["targets"]] for name, job in jobs.items()}
    assert targets == {
        "agents": ["agent:9464", "agent:9465", "agent:9466"],
        "receiver": ["receiver:4318"],
        "pushed": ["collector:8889"],
        "collector": ["collector:8888"],
    }
    assert {target.split(":")[0] for each in targets.values() for target in each} <= set(SERVICES)
    assert {name for name, job in jobs.items() if "authorization" in job} == {"agents", "receiver"}


def test_live_agents_go_on_with_the_series_of_the_history():
    (job,) = [job for job in _yaml("prometheus.yml")["scrape_configs"] if job["job_name"] == openmetrics.JOB]
    instances = {one["targets"][0]: one["labels"] for one in job["static_configs"]}
    assert instances == {f"agent:{9464 + number}": {"instance": agent} for number, agent in enumerate(AGENTS)}


def test_the_collector_sends_traces_on_twice_and_everything_it_names_is_defined():
    config = _yaml("collector.yaml")
    pipelines = config["service"]["pipelines"]
    assert {name: pipeline["exporters"] for name, pipeline in pipelines.items()} == {
        "traces": ["otlp_http/receiver", "otlp_grpc/tempo"],
        "logs": ["otlp_http/receiver"],
        "metrics": ["prometheus"],
    }
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines.values() for name in pipeline[kind]} == set(config[kind])
    assert config["exporters"]["otlp_http/receiver"]["headers"] == {"Authorization": "Bearer ${env:TACHOGRAPH_TOKEN}"}


def test_grafanas_data_sources_have_the_uids_that_exemplars_and_boards_name():
    sources = {
        source["uid"]: source for source in _yaml("grafana/provisioning/datasources/tachograph.yaml")["datasources"]
    }
    assert {uid: source["url"] for uid, source in sources.items()} == {
        "prometheus": "http://prometheus:9090",
        "tempo": "http://tempo:3200",
    }
    settings = sources["prometheus"]["jsonData"]
    assert [link["datasourceUid"] for link in settings["exemplarTraceIdDestinations"]] == ["tempo"]
    assert settings["timeInterval"] == _yaml("prometheus.yml")["global"]["scrape_interval"]


def test_grafana_finds_the_boards_where_compose_mounts_them_and_links_name_them():
    (provider,) = _yaml("grafana/provisioning/dashboards/tachograph.yaml")["providers"]
    boards = ROOT / "dashboards" / "tachograph_dashboards" / "generated"
    folder = provider["options"]["path"]
    assert f"./{boards.relative_to(ROOT)}:{folder}:ro" in SERVICES["grafana"]["volumes"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.removeprefix(f"{folder}/") in {path.name for path in boards.glob("*.json")}
    uids = {json.loads(path.read_text("utf-8"))["uid"] for path in boards.glob("*.json")}
    rules = yaml.safe_load((ROOT / "alerts/tachograph_alerts/generated/rules.yaml").read_text("utf-8"))
    linked = {
        rule["annotations"]["dashboard_url"].split("/d/")[1].split("?")[0]
        for group in rules["groups"]
        for rule in group["rules"]
    }
    assert linked <= uids


def test_tempo_listens_where_the_collector_sends():
    tempo = _yaml("tempo.yaml")
    assert tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].endswith(":4317")
    assert tempo["server"]["http_listen_port"] == 3200


def test_the_image_runs_as_a_user_of_its_own():
    lines = (DEPLOY / "Dockerfile").read_text("utf-8").splitlines()
    assert lines.index("USER tachograph") > [line.startswith("RUN pip install") for line in lines].index(True)
