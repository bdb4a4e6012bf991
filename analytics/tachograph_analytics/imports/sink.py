"""Where imported requests go: to the receiver that works on the store, or to the store's own log where none does."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from tachograph.errors import UsageError
from tachograph_analytics.launch import RunStore
from tachograph_analytics.listen import TOKEN_ENVIRONMENT
from tachograph_analytics.receiver.wal import Wal, WalWriteError
from tachograph_analytics.store.decoder import work
from tachograph_analytics.store.lock import sole
from tachograph_analytics.store.manifest import Position, open_manifest
from tachograph_analytics.store.segment import ContentType, Encoding, Record, Signal, backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Future

    from tachograph_analytics.store.home import Home

_UNDER_WAY: Final = 8  # requests that wait for the disk at once
_BODIES_A_STEP: Final = 40  # what is appended before it is decoded: the log stays small however large the files are
_DURABLE_S: Final = 60.0
_ANSWER_S: Final = 60.0
_PATIENCE_S: Final = 60.0  # how long a receiver that is busy is asked again, or a decoder may stand still
_POLL_S: Final = 0.1


class Sink(Protocol):
    """Takes requests in protobuf."""

    def send(self, signal: Signal, body: bytes) -> None:
        """Takes one over; UsageError where it cannot be had."""
        ...

    def settle(self) -> None:
        """Returns when all that was taken can be queried."""
        ...


@contextlib.contextmanager
def sink(home: Home, endpoint: str | None) -> Generator[Sink]:
    """The endpoint if there is one, else the receiver that works on `home`, else the home itself."""
    with contextlib.ExitStack() as stack:
        if endpoint is not None:
            yield Endpoint(endpoint.rstrip("/"))
            return
        try:
            stack.enter_context(sole(home.create(), "receiver"))
        except UsageError as error:
            url = RunStore(home).receiver()
            if url is None:
                raise UsageError(
                    f"a receiver works on {home.path}, and its address is not known here: name it with --endpoint"
                ) from error
            yield Endpoint(url)
            return
        with open_manifest(home) as manifest:
            decoded = manifest.position()
        wal = Wal(home.wal, after=decoded.segment)
        stack.callback(wal.close)
        yield Log(home, wal)


@dataclass(slots=True)
class Log:
    """A home that nobody else receives into."""

    home: Home
    wal: Wal
    _waiting: deque[Future[Position]] = field(default_factory=deque["Future[Position]"])
    _appended: int = 0

    def send(self, signal: Signal, body: bytes) -> None:
        """Appends one request; now and then decodes what was appended."""
        self._waiting.append(
            self.wal.append(Record(signal, Encoding.IDENTITY, ContentType.PROTOBUF, time.time_ns(), body))
        )
        self._appended += 1
        while len(self._waiting) > _UNDER_WAY:
            self._confirm()
        if self._appended % _BODIES_A_STEP == 0:
            self._decode()

    def settle(self) -> None:
        """Decodes all of it."""
        while self._waiting:
            self._confirm()
        self._decode()
        _drain(self._behind)

    def _confirm(self) -> None:
        try:
            self._waiting.popleft().result(_DURABLE_S)
        except WalWriteError as error:
            raise UsageError(f"{error}; make room and import the same files again: nothing counts twice") from error

    def _decode(self) -> None:
        with contextlib.suppress(UsageError):  # another decoder works on the home already: it takes these too
            work(self.home, once=True)

    def _behind(self) -> int:
        with open_manifest(self.home) as manifest:
            return backlog(self.home.wal, manifest.position())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of OTLP over HTTP."""

    url: str

    def send(self, signal: Signal, body: bytes) -> None:
        """Posts one request, again where the receiver is busy."""
        packed = gzip.compress(body, 1)
        deadline = time.monotonic() + _PATIENCE_S
        while (busy := self._post(f"{self.url}/v1/{signal.label}", packed)) is not None:
            if time.monotonic() + busy > deadline:
                raise UsageError(f"{self.url} is too busy for {_PATIENCE_S:g} s: import the same files again later")
            time.sleep(busy)

    def settle(self) -> None:
        """Waits until the receiver's store has decoded it; another product's receiver does not say, and is believed."""
        if self._behind() is not None:
            _drain(lambda: self._behind() or 0)

    def _post(self, url: str, body: bytes) -> float | None:
        """None when it is taken, else seconds after which to try again."""
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **_token()}
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - the user's own address
        try:
            urllib.request.urlopen(request, timeout=_ANSWER_S).close()  # noqa: S310 - same
        except urllib.error.HTTPError as error:
            with error:
                if error.code in {429, 503}:
                    after = error.headers.get("Retry-After", "")
                    return max(_POLL_S, float(after)) if after.isdecimal() else 1.0
                token = f": set {TOKEN_ENVIRONMENT}" if error.code == 401 else ""  # noqa: PLR2004 - Unauthorized
                raise UsageError(f"{url} refused with HTTP {error.code} {error.reason}{token}") from error
        except (OSError, ValueError) as error:
            raise UsageError(f"{url} does not answer ({error}): start it, or import into a home with --home") from error
        return None

    def _behind(self) -> int | None:
        request = urllib.request.Request(f"{self.url}/status", headers=_token())  # noqa: S310 - the user's own address
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_S) as response:  # noqa: S310 - same
                return int(json.load(response)["backlog_bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _drain(behind: Callable[[], int]) -> None:
    """Waits until nothing is behind; UsageError when the decoder stands still."""
    left, deadline = behind(), time.monotonic() + _PATIENCE_S
    while left:
        time.sleep(_POLL_S)
        now = behind()
        if now < left:
            deadline = time.monotonic() + _PATIENCE_S
        elif time.monotonic() > deadline:
            raise UsageError(f"the decoder stands still with {now} bytes to go: nothing is lost, see to the decoder")
        left = now


def _token() -> dict[str, str]:
    token = os.environ.get(TOKEN_ENVIRONMENT)
    return {"Authorization": f"Bearer {token}"} if token else {}
