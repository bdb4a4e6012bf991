from __future__ import annotations

import os
import subprocess

import pytest
from deploy.processes import ROOT, compose, mounts

SERVICES = compose()["services"]


@pytest.mark.debian("docker-compose")
def test_docker_compose_accepts_the_file():
    environment = os.environ | {"TACHOGRAPH_TOKEN": "secret"}
    done = subprocess.run(
        ["docker-compose", "config", "--quiet"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.debian("docker-compose")
def test_without_a_token_nothing_starts():
    environment = {name: value for name, value in os.environ.items() if name != "TACHOGRAPH_TOKEN"}
    done = subprocess.run(
        ["docker-compose", "config", "--quiet"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "TACHOGRAPH_TOKEN=secret docker compose up" in done.stderr


def test_every_published_port_is_on_loopback():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "app": ["127.0.0.1:8501:8501"],
        "collector": ["127.0.0.1:4317:4317", "127.0.0.1:4318:4318"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "alertmanager": ["127.0.0.1:9093:9093"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


@pytest.mark.parametrize("service", [name for name in SERVICES if mounts(name)])
def test_whatever_is_mounted_is_there(service):
    assert [str(path) for path in mounts(service).values() if not path.exists()] == []


def test_alerts_and_boards_are_mounted_as_generated_not_copied():
    assert mounts("alertmanager")["/etc/alertmanager/alertmanager.yml"].parent.name == "generated"
    assert mounts("prometheus")["/etc/prometheus/rules/tachograph.yaml"].parent.name == "generated"
    assert mounts("grafana")["/var/lib/grafana/dashboards/tachograph"].name == "generated"


def test_images_of_others_have_a_version():
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert len(images) == 5
    assert [image for image in images if ":-" not in image or "latest" in image] == []
