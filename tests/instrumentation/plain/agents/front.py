"""Imports the desk's names before anything is hooked."""

from __future__ import annotations

from instrumentation.plain.agents.desk import Request, call_tool, handle
from instrumentation.plain.agents.desk import validate_request as check

LATE = {"handle": handle}


def serve(text: str) -> str:
    request = Request(tenant="acme", text=text)
    check(request)
    return handle(request)


def lookup(key: str) -> object:
    return call_tool("lookup", "clerk", {"key": key})
