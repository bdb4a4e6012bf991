"""Receiver and decoder killed at random moments: nothing acked is lost, nothing counts twice."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import urllib.error
from contextlib import suppress

from analytics.otlp import AnEvent, ASpan, logs, traces
from analytics.services import home_at, is_ready, send, status, wait_for

from tachograph.registry import names
from tachograph_analytics.store.supervisor import embedded
from tachograph_analytics.store.views import connect

KILLS = 12
CLIENTS = 3
SPANS = 5


def send_until_acked(url: str, body: bytes) -> None:
    """What an exporter does: the same bytes again until they are acked."""
    while True:
        try:
            if send(url, body).status == 200:
                return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.02)


def client(url: str, number: int, stop: threading.Event, acked: list[int]) -> None:
    """Sends trace after trace, each of SPANS spans and one event, and notes those that were acked."""
    trace = number
    while not stop.is_set():
        trace += CLIENTS
        spans = traces([ASpan(trace, span, {names.SPAN_KIND: "tool"}) for span in range(1, SPANS + 1)])
        send_until_acked(f"{url}/v1/traces", spans.SerializeToString())
        send_until_acked(
            f"{url}/v1/logs", logs([AnEvent("e", {names.LOG_RECORD_UID: f"u{trace}"})]).SerializeToString()
        )
        acked.append(trace)


def test_nothing_acked_is_lost_and_nothing_counts_twice(tmp_path):
    home = home_at(tmp_path)
    chance = random.Random(11)
    stop = threading.Event()
    acked: list[list[int]] = [[] for _ in range(CLIENTS)]
    with embedded(home) as url:
        clients = [threading.Thread(target=client, args=(url, n + 1, stop, acked[n])) for n in range(CLIENTS)]
        for thread in clients:
            thread.start()
        for kill in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.6))
            kill_one(home.run / f"{('receiver', 'decoder')[kill % 2]}.pid")
            if kill % 4 == 3:  # else backoff would leave the two dead most of the time
                wait_for(lambda: is_ready(url))
        stop.set()
        for thread in clients:
            thread.join(60)
        wait_for(lambda: is_ready(url))
        wait_for(lambda: status(url)["backlog_bytes"] == 0)
        assert status(url)["quarantined"] == 0
    sent = sorted(trace for traces_of_one in acked for trace in traces_of_one)
    assert len(sent) > KILLS
    with connect(home) as connection:
        counted = connection.execute("SELECT trace_id, count(*) FROM tool_calls GROUP BY 1 ORDER BY 1").fetchall()
        assert [(f"{trace:032x}", SPANS) for trace in sent] == counted
        assert [(len(sent), len(sent))] == connection.execute(
            "SELECT count(*), count(DISTINCT log_record_uid) FROM events"
        ).fetchall()


def kill_one(pid_file) -> None:
    with suppress(ProcessLookupError, ValueError):  # between a death and the next start
        os.kill(int(pid_file.read_text("ascii")), signal.SIGKILL)
