"""The other workers of a service: what they tell, each on a loopback port of its own."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tachograph.metrics.merge import Page
    from tachograph.metrics.roster import Entry

LOOPBACK: Final = "127.0.0.1"
ANSWER_S: Final = 1.0  # for all of them together
_LEAST_S: Final = 0.1  # for one of them when another took the time: its answer is there by then


def ask(entries: list[Entry]) -> Iterator[tuple[Entry, Page | None]]:
    """What each worker tells, None for one that does not answer in time; all are asked before one is listened to."""
    deadline = time.monotonic() + ANSWER_S
    asked = [(entry, _request(entry, deadline)) for entry in entries]
    for entry, connection in asked:
        yield entry, None if connection is None else _answer(connection, deadline)


def _request(entry: Entry, deadline: float) -> HTTPConnection | None:
    connection = HTTPConnection(LOOPBACK, entry.port, timeout=_left(deadline))
    try:
        connection.request("GET", "/", headers={"Authorization": f"Bearer {entry.secret}"})
    except OSError:
        connection.close()
        return None
    return connection


def _answer(connection: HTTPConnection, deadline: float) -> Page | None:
    try:
        if connection.sock is not None:
            connection.sock.settimeout(_left(deadline))
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None  # noqa: PLR2004 - OK
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _left(deadline: float) -> float:
    return max(_LEAST_S, deadline - time.monotonic())


def wake(entries: Iterable[Entry]) -> None:
    """Makes each worker look at once whether the port of /metrics is free: a connection is enough."""
    for entry in entries:
        with suppress(OSError), socket.create_connection((LOOPBACK, entry.port), _LEAST_S):
            pass


def vacant(host: str, port: int) -> bool:
    """Whether nobody has a port; a tenth of the cost of trying to serve it."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError:  # taken, or this process may open no more files
        return False
    return True
