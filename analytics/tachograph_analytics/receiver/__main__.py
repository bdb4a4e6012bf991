"""`python -m tachograph_analytics.receiver`: the receiver as a process."""

from __future__ import annotations

import argparse
import os
import sys

import uvicorn

from tachograph.errors import UsageError
from tachograph_analytics.lifeline import follow
from tachograph_analytics.listen import LOOPBACK, TOKEN_ENVIRONMENT, bind, require_token
from tachograph_analytics.receiver.http import Receiver
from tachograph_analytics.receiver.measures import Measures
from tachograph_analytics.receiver.wal import Wal
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.lock import sole
from tachograph_analytics.store.manifest import open_manifest

PORT = 4318  # OTLP/HTTP
_GRACE_S = 5


def main() -> int:
    """The process: 2 with one sentence for what the user can mend."""
    parser = argparse.ArgumentParser(prog="tachograph_analytics.receiver", description=__doc__)
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--host", default=LOOPBACK, help="the address to listen on")
    parser.add_argument("--port", type=int, default=PORT, help="the port to listen on")
    parser.add_argument("--token", default=os.environ.get(TOKEN_ENVIRONMENT), help="what clients must show")
    parser.add_argument("--parent", type=int, help="stop when this process is no longer the parent")
    arguments = parser.parse_args()
    follow(arguments.parent)
    try:
        serve(Home.at(arguments.home), arguments.host, arguments.port, arguments.token)
    except UsageError as error:
        sys.stderr.write(f"receiver: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"receiver: the disk refuses: {error}\n")
        return 1
    return 0


def serve(home: Home, host: str, port: int, token: str | None) -> None:
    """Receives into `home` until the process is told to stop."""
    require_token(host, token)
    with bind(host, port) as listener, sole(home.create(), "receiver"):
        with open_manifest(home) as manifest:
            decoded = manifest.position()
        wal = Wal(home.wal, after=decoded.segment)
        try:
            application = Receiver(home, wal, Measures(), token, host).application()
            config = uvicorn.Config(
                application, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE_S
            )
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            wal.close()


if __name__ == "__main__":
    sys.exit(main())
