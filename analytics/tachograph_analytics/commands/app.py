"""`tachograph app`: the investigation app over a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tachograph.cli import Command, port

if TYPE_CHECKING:
    import argparse


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=port, default=8501, help="the port to listen on (default: 8501)")
    parser.add_argument(
        "--behind-proxy", action="store_true", help="a proxy in front asks who comes: any --host will do"
    )


def _run(arguments: argparse.Namespace) -> int:
    from tachograph_analytics.app.server import serve
    from tachograph_analytics.store.home import Home

    serve(Home.at(arguments.home), host=arguments.host, port=arguments.port, behind_proxy=arguments.behind_proxy)
    return 0


COMMAND = Command(help="show what the store knows in the browser", configure=_configure, run=_run, extra="analytics")
