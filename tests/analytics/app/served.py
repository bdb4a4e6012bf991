"""The app as the real process that it is, for tests."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from analytics.services import get, wait_for

from tachograph_analytics.listen import free_port

if TYPE_CHECKING:
    from collections.abc import Generator

    from tachograph_analytics.store.home import Home

START_S = 60.0


@contextmanager
def served(home: Home) -> Generator[str]:
    """The URL of an app over `home`, once it answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "tachograph_analytics.app",
        "--home",
        str(home.path),
        "--port",
        str(port),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: answers(url), START_S)
            yield url
        finally:
            process.terminate()
            process.wait(START_S)


def answers(url: str) -> bool:
    try:
        return get(f"{url}/_stcore/health").status == 200
    except OSError:
        return False
