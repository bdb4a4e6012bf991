"""The history of docker-compose.yml: made once into store and file, and loaded once into Prometheus."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import pytest
from deploy.processes import answers, compose, free_port, poll, read, stack

from tachograph_analytics.store.home import Home
from tachograph_analytics.store.views import connect

RUNS = """\
# HELP tachograph_runs Runs.
# TYPE tachograph_runs counter
tachograph_runs_total{{job="agents",instance="support"}} 17 {before}
tachograph_runs_total{{job="agents",instance="support"}} 30 {now}
# EOF
"""


@pytest.mark.slow
@pytest.mark.debian("prometheus", "promtool")
def test_prometheus_loads_the_history_before_it_starts_and_only_once(tmp_path):
    now = int(time.time()) - 60
    before = now - 3 * 86_400
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    loaded: list[set[str]] = []
    for _ in range(2):
        with stack(tmp_path, {}) as services:
            history, database = (services.path("prometheus", path) for path in ("/history", "/prometheus"))
            history.mkdir(parents=True, exist_ok=True)
            (history / "metrics.txt").write_text(RUNS.format(before=before, now=now), "ascii")
            services.start("prometheus", f"--web.listen-address=127.0.0.1:{port}")
            poll("Prometheus", lambda: answers(f"{url}/-/ready"))
            loaded.append({path.parent.name for path in database.glob("*/meta.json")})
            for at, runs in ((before, "17"), (now, "30")):
                asked = urlencode({"query": 'tachograph_runs_total{instance="support"}', "time": at})
                (found,) = read(f"{url}/api/v1/query?{asked}")["data"]["result"]
                assert found["value"][1] == runs
    assert loaded[0]
    assert loaded[0] == loaded[1]


@pytest.mark.slow
def test_history_goes_to_the_receiver_with_the_token_and_writes_its_file_once(tmp_path):
    here = f"127.0.0.1:{free_port()}"
    with stack(tmp_path, {"receiver:4318": here, "0.0.0.0": "127.0.0.1"}) as services:  # noqa: S104 - replaced
        services.start("receiver", f"--port={here.partition(':')[2]}")
        poll("the receiver", lambda: answers(f"http://{here}/healthz"))
        folder = services.path("history", "/history")
        folder.mkdir(parents=True)
        services.start("history", "--runs=12", "--only=invoice")
        assert services.processes["history"].wait(timeout=120) == 0
        with connect(Home.at(str(services.path("receiver", "/data")))) as connection:
            assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]
    assert sorted(path.name for path in folder.iterdir()) == ["begun", "metrics.txt"]
    assert (folder / "metrics.txt").read_text("utf-8").endswith("\n# EOF\n")


def test_history_and_prometheus_share_one_volume_that_only_history_writes():
    services = compose()["services"]
    assert services["history"]["volumes"] == ["history:/history"]
    assert "history:/history:ro" in services["prometheus"]["volumes"]
    assert services["prometheus"]["depends_on"] == {"history": {"condition": "service_completed_successfully"}}
    (script,) = services["history"]["command"]
    assert "--openmetrics-out /history/metrics.txt" in script
