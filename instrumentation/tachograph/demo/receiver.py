"""The endpoint as the demo needs it: whether it is there, when all is queryable, and where alerts go."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any, Final

from tachograph.errors import UsageError

_QUERYABLE_S: Final = 120.0  # for a decoder that is being started again
_POLL_S: Final = 0.1
_TIMEOUT_S: Final = 10.0


def check(endpoint: str) -> bool:
    """Whether tachograph's receiver is behind the endpoint, and not another's.

    A sentence now instead of lost telemetry later: UsageError where it is no URL or nothing listens.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"--endpoint {endpoint!r} is no URL; give one like http://127.0.0.1:4318.")
    try:
        return "backlog_bytes" in _asked(endpoint, "/status")
    except (urllib.error.HTTPError, ValueError):
        return False  # it has no /status
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UsageError(f"nothing answers at {endpoint} ({reason}); start `tachograph up --no-app` first.") from None


def wait_until_queryable(endpoint: str) -> None:
    """Returns when the store can answer for everything that the receiver has taken."""
    deadline = time.monotonic() + _QUERYABLE_S
    while time.monotonic() < deadline:
        try:
            if _asked(endpoint, "/status")["backlog_bytes"] == 0:
                return
        except (OSError, ValueError):
            pass  # being started again
        time.sleep(_POLL_S)
    raise UsageError(f"the decoder did not catch up within {_QUERYABLE_S:g} s; look at the output of `tachograph up`.")


def post_alerts(endpoint: str, notification: dict[str, Any]) -> None:
    """Posts a notification as Alertmanager does; UsageError where it is not taken."""
    try:
        _asked(endpoint, "/alerts", notification)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{endpoint}/alerts did not take the demo's alerts ({error}); is it `tachograph up`?"
        ) from None


def _asked(endpoint: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    token = os.environ.get("TACHOGRAPH_TOKEN")
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{endpoint.rstrip('/')}{path}", data, headers)  # noqa: S310 - an HTTP URL: see check
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - same
        return json.loads(response.read() or b"{}")
