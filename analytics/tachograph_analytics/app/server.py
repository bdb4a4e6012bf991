"""The app as a process: Streamlit with the settings that stand beside the pages."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from tachograph.errors import UsageError
from tachograph_analytics.listen import LOOPBACK, bind
from tachograph_analytics.store.home import ENVIRONMENT, Home

PORT = 8501
_MAIN = Path(__file__).with_name("shell") / "main.py"
# Whatever else a name resolves to, a page of another site must not reach the app through it (DNS rebinding).
_OWN_NAMES = ("localhost", LOOPBACK, "::1")


def url(host: str, port: int) -> str:
    """Where people find an app that listens on `host`."""
    reachable = {"0.0.0.0": LOOPBACK, "::": "localhost"}.get(host, host)  # noqa: S104 - compared, not listened on
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"


def serve(
    home: Home, *, host: str = LOOPBACK, port: int = PORT, behind_proxy: bool = False, quiet: bool = False
) -> None:
    """Serves the app of a home until the process is told to stop; its address goes to stdout unless `quiet`.

    UsageError if the port is taken, or if other machines could reach it: Streamlit has no token of its own, so that is
    for those who say with `behind_proxy` that something in front of it asks who comes.
    """
    if not behind_proxy and host not in _OWN_NAMES:
        raise UsageError(
            f"{host} can be reached from other machines and the app cannot ask for a token: put a proxy that does in "
            f"front of it and say --behind-proxy, or listen on {LOOPBACK}"
        )
    bind(host, port).close()
    os.environ[ENVIRONMENT] = str(home.path)
    threading.Thread(target=_warm, name="warm", daemon=True).start()
    from streamlit.web import cli

    if not quiet:
        sys.stdout.write(f"app: {url(host, port)}, store: {home.path}\n")
        sys.stdout.flush()
    hosts = [] if behind_proxy else [f"--server.allowedHosts={name}" for name in _OWN_NAMES]
    where = [f"--server.address={host}", f"--server.port={port}"]
    cli.main(["run", str(_MAIN), *where, *hosts], standalone_mode=False)


def _warm() -> None:
    """Compiles the detections while nobody waits: the first page needs them all."""
    from tachograph.registry import load
    from tachograph_analytics.detections import sql

    for rule in load().detections:
        sql(rule)
