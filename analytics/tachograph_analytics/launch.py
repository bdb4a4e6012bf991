"""What `tachograph run` needs of this package: the store of a home, and who works on it now."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph.cli import require
from tachograph_analytics.listen import LOOPBACK
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.supervisor import SERVER_MODULES, embedded

if TYPE_CHECKING:
    from collections.abc import Generator

_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class RunStore:
    """The store of one home; its receiver and its app are known where `tachograph up` or the demo started them."""

    home: Home

    @property
    def path(self) -> str:
        """The home's folder."""
        return str(self.home.path)

    def receiver(self) -> str | None:
        """URL of the receiver that works on the home now, if one does."""
        return self._listening("receiver", "/healthz")

    def app(self) -> str | None:
        """URL of the app that shows the home now, if one does."""
        return self._listening("app", "/_stcore/health")

    @contextlib.contextmanager
    def receive(self) -> Generator[str]:
        """Receiver and decoder of the home on a free port; gives the receiver's URL. UsageError where they cannot work.

        ModuleNotFoundError, before anything is started, where the extra `analytics` is not installed.
        """
        require(*SERVER_MODULES)
        with embedded(self.home) as url:
            yield url

    def _listening(self, service: str, page: str) -> str | None:
        """Where a child of a supervisor listens, by its pid file: its words say the port."""
        try:
            pid = int((self.home.run / f"{service}.pid").read_text("ascii"))
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if f"tachograph_analytics.{service}" not in words:
                return None  # the pid is another's by now
            url = f"http://{LOOPBACK}:{int(words[words.index('--port') + 1])}"
            urllib.request.urlopen(f"{url}{page}", timeout=_ANSWER_S).close()  # noqa: S310 - our own address
        except (OSError, ValueError, urllib.error.URLError):
            return None
        return url


def run_store(path: str | None) -> RunStore:
    """The store at `path`, or the default one; it need not exist."""
    return RunStore(Home.at(path))
