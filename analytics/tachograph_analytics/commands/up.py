"""`tachograph up`: the receiver, the store and the app of one home, until they are told to stop."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from tachograph.cli import Command, port, require

if TYPE_CHECKING:
    import argparse


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--host", default="127.0.0.1", help="the receiver's address; any but loopback needs a token")
    parser.add_argument("--port", type=port, default=4318, help="OTLP over HTTP and alerts (default: 4318)")
    parser.add_argument("--app-port", type=port, default=8501, help="the app (default: 8501)")
    parser.add_argument("--no-app", action="store_true", help="receiver and store only")
    parser.add_argument(
        "--token",
        help="what clients must show; better set TACHOGRAPH_TOKEN, arguments are seen by every user of the machine",
    )


def _run(arguments: argparse.Namespace) -> int:
    from tachograph_analytics.listen import TOKEN_ENVIRONMENT, require_token
    from tachograph_analytics.store.home import Home
    from tachograph_analytics.store.supervisor import SERVER_MODULES, Supervisor, services

    require(*SERVER_MODULES)
    home = Home.at(arguments.home)
    token = arguments.token or os.environ.get(TOKEN_ENVIRONMENT)
    require_token(arguments.host, token)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    app_port = None if arguments.no_app else arguments.app_port
    supervisor = Supervisor(home, services(home, host=arguments.host, port=arguments.port, app_port=app_port), token)
    try:
        supervisor.start()
        print(f"OTLP: http://{arguments.host}:{arguments.port}, store: {home.path}", flush=True)
        if app_port is not None:
            print(f"app:  http://127.0.0.1:{app_port}", flush=True)
        supervisor.watch(stop)
    finally:
        supervisor.stop()
    return 0


COMMAND = Command(help="receive, store and show what agents send", configure=_configure, run=_run, extra="analytics")
