"""What `tachograph demo` needs of this package: receiver, store and app around the demo's agents."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tachograph.cli import require
from tachograph.errors import UsageError
from tachograph_analytics.listen import LOOPBACK, bind, free_port
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.supervisor import SERVER_MODULES, embedded

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def demo_services(path: str, port: int, app_port: int | None) -> Generator[tuple[str, str | None]]:
    """Receiver and store of the home at `path`, and the app if it has a port; gives the URLs of both.

    A port that is taken gives way to a free one: the demo must work beside whatever else runs on the machine.
    """
    require(*SERVER_MODULES)
    chosen = None if app_port is None else _available(app_port)
    with embedded(Home.at(path), port=_available(port), app_port=chosen) as endpoint:
        yield endpoint, None if chosen is None else f"http://{LOOPBACK}:{chosen}"


def _available(port: int) -> int:
    try:
        bind(LOOPBACK, port).close()
    except UsageError:
        return free_port()
    return port
