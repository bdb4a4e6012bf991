from __future__ import annotations

import subprocess

import pytest

from tachograph.registry import load as registry
from tachograph_alerts.catalogue import load
from tachograph_alerts.render import GENERATED
from tachograph_alerts.routing import alertmanager

REGISTRY = registry()
CONFIG = alertmanager(REGISTRY, load(REGISTRY))
FILE = str(GENERATED / "alertmanager.yaml")


def test_a_page_silences_the_lesser_alerts_of_its_agent_and_pattern_but_never_the_watchdog():
    lesser = ['severity=~"ticket|info"']  # the watchdog's severity is none
    assert CONFIG["inhibit_rules"] == [
        {
            "source_matchers": ['severity="page"'],
            "target_matchers": lesser,
            "equal": ["gen_ai_agent_name", "pattern"],
        },
        {
            "source_matchers": ['alertname=~"TachographTelemetryAbsent"'],
            "target_matchers": lesser,
            "equal": ["gen_ai_agent_name"],
        },
    ]


def test_every_receiver_posts_into_the_store_with_the_token():
    assert {receiver["name"]: receiver["webhook_configs"] for receiver in CONFIG["receivers"]} == dict.fromkeys(
        ("deadman", "page", "ticket", "info"),
        (
            webhook := [
                {
                    "url": "http://receiver:4318/alerts",
                    "send_resolved": True,
                    "http_config": {
                        "authorization": {"type": "Bearer", "credentials_file": "/tmp/tachograph-token"},  # noqa: S108 - inside a container
                    },
                }
            ]
        ),
    )
    assert len(webhook) == 1


@pytest.mark.debian("amtool")
def test_amtool_accepts_the_configuration():
    done = subprocess.run(["amtool", "check-config", FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 receivers" in done.stdout


@pytest.mark.debian("amtool")
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=TachographWriteUnapproved", "severity=page", "pattern=P02"), "page"),
        (("alertname=TachographCostSpike", "severity=ticket", "pattern=cost"), "ticket"),
        (("alertname=TachographAnything", "severity=info"), "info"),
        (("alertname=TachographWatchdog", "severity=info", "pattern=pipeline"), "deadman"),
        (("alertname=SomebodyElses", "severity=critical"), "ticket"),
    ],
)
def test_an_alert_reaches_its_receiver(labels, receiver):
    command = ["amtool", "config", "routes", "test", f"--config.file={FILE}", *labels]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == receiver
