"""Where the runs go: a receiver that answers, or one that is started for the time of the program."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from tachograph.config import OTLP_ENDPOINT
from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from tachograph.config import Config

_ANSWER_S = 5.0
_QUERYABLE_S = 10.0
_POLL_S = 0.05
_TOKEN = "TACHOGRAPH_TOKEN"  # noqa: S105 - the variable's name


class RunStore(Protocol):
    """What the service `run_store` gives: the store of one home."""

    @property
    def path(self) -> str:
        """The home's folder."""
        ...

    def receiver(self) -> str | None:
        """URL of the receiver that works on the home now."""
        ...

    def receive(self) -> AbstractContextManager[str]:
        """A receiver of the home for the time of a block."""
        ...

    def app(self) -> str | None:
        """URL of the app that shows the home now."""
        ...


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where the program sends to, by its environment or because it is told to. `store` None: whose it is is unknown."""

    address: str
    store: RunStore | None = None
    by_environment: bool = False

    @property
    def url(self) -> str | None:
        """What the program is told; None where its environment says it, for each signal perhaps."""
        return None if self.by_environment else self.address

    @property
    def token(self) -> bool:
        """Whether the program is to show the token of its environment."""
        return not self.by_environment and bool(os.environ.get(_TOKEN))

    @property
    def trusted(self) -> bool:
        """Whether that token may be shown to it: to an address of this machine, or one that the user named for us."""
        return not self.by_environment or _is_loopback(self.address)

    def settle(self) -> bool:
        """Waits until what was acked can be queried, some seconds at most; False where that is still to come."""
        deadline = time.monotonic() + _QUERYABLE_S
        while time.monotonic() < deadline:
            behind = _backlog(self)
            if behind is None or behind == 0:
                return behind == 0
            time.sleep(_POLL_S)
        return False


@contextlib.contextmanager
def receiver(config: Config, home: str | None) -> Generator[Receiver]:
    """The receiver to use; UsageError where one is named and does not answer, or none can be started."""
    store = _store(home)
    running = store.receiver()
    if config.endpoint_given or config.endpoint != OTLP_ENDPOINT:
        own = store if running == config.endpoint else None
        named = Receiver(config.endpoint, own, by_environment=not config.endpoint_given)
        if not _answers(named):
            raise UsageError(
                f"nothing answers at {config.shown_endpoint}, so nothing would be recorded: start a receiver there, "
                "or name none to have one started for the program"
            )
        yield named
        return
    candidates = [Receiver(running, store)] if running is not None else []
    candidates += [Receiver(OTLP_ENDPOINT)] if home is None else []
    found = next((each for each in candidates if _answers(each)), None)
    if found is not None:
        yield found
        return
    with store.receive() as url:
        yield Receiver(url, store)


def _store(home: str | None) -> RunStore:
    found = entry_points(group="tachograph.services", name="run_store")
    return next(iter(found)).load()(home)


def _is_loopback(url: str) -> bool:
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _answers(receiver: Receiver) -> bool:
    """Whether some server does: what is not tachograph's knows neither of its pages, and says so.

    One that does not speak HTTP counts where the environment names it: it may want OTLP over gRPC.
    """
    try:
        _get(receiver, "/healthz").close()
    except urllib.error.HTTPError as error:
        error.close()
    except http.client.HTTPException:
        return receiver.by_environment
    except (OSError, ValueError):
        return False
    return True


def _backlog(receiver: Receiver) -> int | None:
    """Bytes that are acked and not queryable yet; None from anything but a receiver of ours."""
    try:
        with _get(receiver, "/status") as response:
            return int(json.loads(response.read())["backlog_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Unredirected(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer, and not followed: the token would go along."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        """None: nothing is asked instead."""


_opener = urllib.request.build_opener(_Unredirected)


def _get(receiver: Receiver, page: str) -> Any:
    token = os.environ.get(_TOKEN) if receiver.trusted else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(receiver.address + page, headers=headers)  # noqa: S310 - the scheme is checked by config
    return _opener.open(request, timeout=_ANSWER_S)
