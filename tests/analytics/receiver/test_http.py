"""The receiver over real HTTP: what it takes, what it turns away and in which words."""

from __future__ import annotations

import gzip
import json
import resource
import signal
import subprocess
import sys

import pytest
from analytics.otlp import ASpan, packed, traces
from analytics.services import (
    JSON,
    PROTOBUF,
    decode_all,
    get,
    home_at,
    lives,
    receiving,
    run_to_end,
    send,
    start_receiver,
    status,
    wait_for,
)
from google.rpc.status_pb2 import Status
from prometheus_client.parser import text_string_to_metric_families

from tachograph_analytics.listen import free_port
from tachograph_analytics.receiver.admission import MAX_BODY_BYTES
from tachograph_analytics.store.decode import MAX_UNPACKED_BYTES
from tachograph_analytics.store.views import connect

BODY = traces([ASpan(11, 13)]).SerializeToString()
WEBHOOK = {"version": "4", "alerts": [{"fingerprint": "f11", "status": "firing", "labels": {"alertname": "A"}}]}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    home = home_at(tmp_path_factory.mktemp("receiver"))
    with receiving(home) as (url, _):
        yield url


def test_protobuf_is_acked_with_an_empty_export_response(receiver):
    answer = send(f"{receiver}/v1/traces", BODY)
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"", PROTOBUF)


def test_gzip_is_acked(receiver):
    assert send(f"{receiver}/v1/traces", gzip.compress(BODY), Content_Encoding="gzip").status == 200


def test_json_is_acked_with_an_empty_object(receiver):
    answer = send(f"{receiver}/v1/logs", b'{"resourceLogs": []}', f"{JSON}; charset=utf-8")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"{}", JSON)


def test_a_notification_is_acked(receiver):
    assert send(f"{receiver}/alerts", json.dumps(WEBHOOK).encode(), JSON).status == 200


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"),
    [
        ("/v1/traces", BODY, {"Content_Encoding": "br"}, (415, 3)),
        ("/v1/traces", BODY, {"Content_Encoding": "gzip"}, (400, 3)),
        ("/v1/traces", b"\x1f\x8b\x08 and then no gzip", {"Content_Encoding": "gzip"}, (400, 3)),
        ("/v1/traces", gzip.compress(BODY, mtime=0)[:-9], {"Content_Encoding": "gzip"}, (400, 3)),
        ("/v1/traces", gzip.compress(b"hello"), {"Content_Encoding": "gzip"}, (400, 3)),
        ("/v1/logs", b"hello", {}, (400, 3)),
        ("/v1/logs", b"\x0a" * (MAX_BODY_BYTES + 1), {}, (413, 8)),
        ("/v1/metrics", BODY, {}, (404, 12)),
    ],
    ids=["encoding", "no-gzip", "broken-gzip", "truncated-gzip", "packed-text", "text", "too-large", "metrics"],
)
def test_protobuf_is_refused_in_protobuf(receiver, path, body, headers, expected):
    answer = send(receiver + path, body, **headers)
    assert expected == (answer.status, Status.FromString(answer.body).code)
    assert answer.headers["Content-Type"] == PROTOBUF


@pytest.mark.parametrize(
    ("path", "body", "content_type", "expected"),
    [
        ("/v1/traces", BODY, "text/plain", (415, 3)),
        ("/v1/traces", b"[]", JSON, (400, 3)),
        ("/v1/metrics", b"{}", JSON, (404, 12)),
        ("/alerts", b"{", JSON, (400, 3)),
        ("/alerts", b'{"version": "3", "alerts": []}', JSON, (400, 3)),
        ("/alerts", b'{"version": "4", "alerts": [{"status": "firing"}]}', JSON, (400, 3)),
    ],
    ids=["content-type", "no-object", "metrics", "no-json", "old-webhook", "no-fingerprint"],
)
def test_everybody_else_is_refused_in_json(receiver, path, body, content_type, expected):
    answer = send(receiver + path, body, content_type)
    assert expected == (answer.status, json.loads(answer.body)["code"])


def test_metrics_are_told_where_they_belong(receiver):
    assert "Prometheus" in json.loads(send(f"{receiver}/v1/metrics", b"{}", JSON).body)["message"]


def test_a_bomb_is_refused_by_the_size_that_it_declares(receiver):
    bomb = gzip.compress(b"\x0a" * (MAX_UNPACKED_BYTES + 1), 1)
    assert send(f"{receiver}/v1/traces", bomb, Content_Encoding="gzip").status == 413


def test_a_bomb_that_lies_about_its_size_is_quarantined_and_its_neighbours_are_kept(tmp_path):
    home = home_at(tmp_path)
    liar = gzip.compress(b"\x0a" * (MAX_UNPACKED_BYTES + 1), 1) + gzip.compress(b"\x0a")
    with receiving(home) as (url, _):
        for body in (packed(traces([ASpan(11, 13)])), liar, packed(traces([ASpan(11, 17)]))):
            assert send(f"{url}/v1/traces", body, Content_Encoding="gzip").status == 200
        decode_all(home)
        assert (status(url)["quarantined"], status(url)["backlog_bytes"]) == (1, 0)
    assert connect(home).execute("SELECT count(*) FROM spans").fetchall() == [(2,)]
    assert [path.read_bytes() for path in home.quarantine.iterdir()] == [liar]


def _samples(url: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(get(f"{url}/metrics").body.decode())
    return {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_its_metrics_are_born_at_0_and_count_every_answer(tmp_path):
    with receiving(home_at(tmp_path)) as (url, _):
        before = _samples(url)
        assert before["tachograph_receiver_acked_bytes_total", "logs"] == 0
        assert before["tachograph_receiver_requests_total", "503", "traces"] == 0
        assert before["tachograph_receiver_backlog_bytes",] == 0
        send(f"{url}/v1/traces", BODY)
        send(f"{url}/v1/traces", b"hello")
        after = _samples(url)
    changed = {key: value for key, value in after.items() if before.get(key) != value and "created" not in key[0]}
    assert changed == {
        ("tachograph_receiver_acked_bytes_total", "traces"): len(BODY),
        ("tachograph_receiver_requests_total", "200", "traces"): 1,
        ("tachograph_receiver_requests_total", "400", "traces"): 1,
        ("tachograph_receiver_backlog_bytes",): len(BODY) + 28,
    }


def test_with_a_token_only_who_shows_it_is_served(tmp_path):
    with receiving(home_at(tmp_path), "--token", "s11") as (url, _):
        refused = send(f"{url}/v1/traces", BODY)
        assert (refused.status, Status.FromString(refused.body).code) == (401, 16)
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert send(f"{url}/v1/traces", BODY, Authorization="Bearer s13").status == 401
        assert send(f"{url}/v1/traces", BODY, Authorization="Bearer s11").status == 200
        assert [get(f"{url}{path}").status for path in ("/status", "/metrics", "/healthz", "/readyz")] == [
            401,
            401,
            200,
            200,
        ]
        assert get(f"{url}/status", Authorization="Bearer s11").status == 200


def test_an_address_that_others_reach_demands_a_token(tmp_path):
    code, errors = run_to_end(start_receiver(home_at(tmp_path), free_port(), "--host", "0.0.0.0"))  # noqa: S104 - refused
    assert code == 2
    assert "set a token with --token or TACHOGRAPH_TOKEN" in errors
    assert "Traceback" not in errors


def test_a_taken_port_is_one_sentence(tmp_path, receiver):
    code, errors = run_to_end(start_receiver(home_at(tmp_path), int(receiver.rpartition(":")[2])))
    assert (code, errors.count("\n")) == (2, 1)
    assert "is taken" in errors


def test_a_home_has_one_receiver(tmp_path):
    home = home_at(tmp_path)
    with receiving(home):
        code, errors = run_to_end(start_receiver(home, free_port()))
    assert code == 2
    assert "another receiver already works on" in errors


def test_nothing_is_acked_while_the_disk_refuses_and_all_is_well_afterwards(tmp_path):
    home = home_at(tmp_path)
    with receiving(home) as (url, process):
        assert send(f"{url}/v1/traces", BODY).status == 200
        # The kernel refuses every write beyond this size, as a full disk would.
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (len(BODY) + 64, resource.RLIM_INFINITY))
        refused = send(f"{url}/v1/traces", traces([ASpan(11, 17, {"long": "x" * 999})]).SerializeToString())
        assert (refused.status, refused.headers["Retry-After"], Status.FromString(refused.body).code) == (503, "1", 14)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        wait_for(lambda: get(f"{url}/readyz").status == 200)
        assert send(f"{url}/v1/traces", traces([ASpan(11, 19)]).SerializeToString()).status == 200
    decode_all(home)
    assert connect(home).execute("SELECT span_id FROM spans ORDER BY 1").fetchall() == [
        ("000000000000000d",),
        ("0000000000000013",),
    ]


def test_it_ends_with_its_parent_even_if_that_is_killed(tmp_path):
    home = home_at(tmp_path)
    port = free_port()
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([*sys.argv[1:], '--parent', str(os.getpid())])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    receiver = (sys.executable, "-m", "tachograph_analytics.receiver", "--home", str(home.path), "--port", str(port))
    parent = subprocess.Popen([sys.executable, "-c", script, *receiver], stdout=subprocess.PIPE, text=True)
    with parent:
        child = int(parent.stdout.readline())
        wait_for(lambda: _listens(port))
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not _listens(port))
    wait_for(lambda: not lives(child))


def _listens(port: int) -> bool:
    try:
        return get(f"http://127.0.0.1:{port}/healthz").status == 200
    except OSError:
        return False
