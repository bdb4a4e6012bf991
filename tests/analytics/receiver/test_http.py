"""The receiver over real HTTP: what it takes, what it turns away and in which words."""

from __future__ import annotations

import gzip
import json
import resource
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
from analytics.otlp import ASpan, packed, traces
from analytics.services import (
    DEADLINE_S,
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
from starlette.testclient import TestClient

from tachograph_analytics.listen import free_port
from tachograph_analytics.receiver.admission import MAX_BODY_BYTES
from tachograph_analytics.receiver.http import MAX_IN_FLIGHT_BYTES, Receiver
from tachograph_analytics.receiver.measures import Measures
from tachograph_analytics.receiver.wal import Wal
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


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics", "/alerts", "/status", "/metrics"])
def test_without_a_token_no_page_of_another_site_reaches_it_by_a_name_of_its_own(receiver, path):
    body = None if path in ("/status", "/metrics") else b"{}"
    for name in ("evil.example:4318", "localhost.evil.example", "[::1", ""):
        answer = send(receiver + path, body, JSON, Host=name)
        assert (answer.status, json.loads(answer.body)["code"]) == (403, 7)


def test_without_a_token_loopback_is_served_under_its_names(receiver):
    names = ("localhost", "LocalHost:4318", "127.0.0.1:4318", "[::1]:4318", "[::1]")
    assert [get(f"{receiver}/status", Host=name).status for name in names] == [200] * len(names)


def test_the_address_that_is_listened_on_is_served_and_with_a_token_any_name(tmp_path):
    def wanted(receiver: Receiver, host: str, **headers: str) -> int:
        with TestClient(receiver.application(), f"http://{host}:4318") as client:
            return client.get("/status", headers=headers).status_code

    home = home_at(tmp_path)
    wal = Wal(home.wal)
    bound = Receiver(home, wal, Measures(), host="127.0.0.13")
    guarded = Receiver(home, wal, Measures(), "s11")
    assert [wanted(bound, "127.0.0.13"), wanted(bound, "127.0.0.17")] == [200, 403]
    assert [wanted(guarded, "receiver"), wanted(guarded, "receiver", Authorization="Bearer s11")] == [401, 200]
    wal.close()


def test_too_many_bytes_under_way_are_told_to_come_again(tmp_path):
    with receiving(home_at(tmp_path)) as (url, _):
        port = int(url.rpartition(":")[2])
        with ExitStack() as stalled:
            for _ in range(MAX_IN_FLIGHT_BYTES // MAX_BODY_BYTES):
                client = stalled.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
                head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {PROTOBUF}\r\n"
                client.sendall(f"{head}Content-Length: {MAX_BODY_BYTES}\r\n\r\n".encode())
                client.sendall(bytes(MAX_BODY_BYTES - 1))  # and never the last one
            large = b"\x0a" * MAX_BODY_BYTES
            tried = (send(f"{url}/v1/traces", large) for _ in range(17))  # until all of it has arrived
            refused = next(answer for answer in tried if answer.status != 200)
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert "too many requests are under way" in Status.FromString(refused.body).message
        wait_for(lambda: send(f"{url}/v1/traces", large).status == 200)


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
