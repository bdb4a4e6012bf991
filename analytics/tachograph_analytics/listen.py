"""Sockets that listen: on loopback for anybody, on any other address for those with a token."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import closing

from tachograph.errors import UsageError

TOKEN_ENVIRONMENT = "TACHOGRAPH_TOKEN"  # noqa: S105 - the variable's name
LOOPBACK = "127.0.0.1"


def require_token(host: str, token: str | None) -> None:
    """UsageError if `host` can be reached from other machines and no token guards it."""
    if not token and not _is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines: set a token with --token or {TOKEN_ENVIRONMENT}, "
            f"or listen on {LOOPBACK}"
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. UsageError where it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {host} is taken: stop what listens there, or choose another port"
            ) from error
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port"
        ) from error


def free_port(host: str = LOOPBACK) -> int:
    """A port of `host` that nothing listens on at this moment."""
    with closing(bind(host, 0)) as listener:
        return int(listener.getsockname()[1])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
