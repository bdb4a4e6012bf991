"""The app's process, as `tachograph up` starts it."""

from __future__ import annotations

import argparse
import sys

from tachograph.errors import UsageError
from tachograph_analytics.app.server import PORT, serve
from tachograph_analytics.lifeline import follow
from tachograph_analytics.listen import LOOPBACK
from tachograph_analytics.store.home import Home


def main() -> int:
    """The process: 2 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="tachograph_analytics.app", description=__doc__)
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--host", default=LOOPBACK, help="the address to listen on")
    parser.add_argument("--port", type=int, default=PORT, help=f"the port to listen on (default: {PORT})")
    parser.add_argument(
        "--behind-proxy", action="store_true", help="a proxy in front asks who comes: any --host will do"
    )
    parser.add_argument("--parent", type=int, help="stop when this process is no longer the parent")
    arguments = parser.parse_args()
    follow(arguments.parent)
    try:
        serve(
            Home.at(arguments.home),
            host=arguments.host,
            port=arguments.port,
            behind_proxy=arguments.behind_proxy,
            quiet=arguments.parent is not None,  # who started it says where it is
        )
    except UsageError as error:
        sys.stderr.write(f"app: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
