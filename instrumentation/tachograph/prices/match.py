"""The price table's match rules: which provider and which model a name means.

A rule is what `generate.clause` writes: "=x" equals, "^x" starts with, "$x" ends with, "~x" contains, "/x" a regular
expression, a list any of them, {"all": […]} all of them. Names are matched in lower case.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from typing import Any

_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)(?=[-:]|$)")


def matches(rule: Any, text: str) -> bool:
    """Whether `text`, in lower case, is what `rule` means; no rule means nothing."""
    if isinstance(rule, str):
        return _matches_one(rule[0], rule[1:], text)
    if isinstance(rule, list):
        return any(matches(part, text) for part in rule)  # pyright: ignore[reportUnknownVariableType]: JSON
    if isinstance(rule, dict):
        return all(matches(part, text) for part in rule["all"])  # pyright: ignore[reportUnknownVariableType]: JSON
    return False


def _matches_one(kind: str, wanted: str, text: str) -> bool:
    match kind:
        case "=":
            return text == wanted
        case "^":
            return text.startswith(wanted)
        case "$":
            return text.endswith(wanted)
        case "~":
            return wanted in text
        case _:
            return _compiled(wanted).search(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def dashed_dates(model: str) -> str:
    """The name with -20251211 written as -2025-12-11, as gateways drop the dashes that providers put."""

    def dashed(found: re.Match[str]) -> str:
        year, month, day = found.groups()
        try:
            return f"-{date(int(year), int(month), int(day)).isoformat()}"
        except ValueError:
            return found[0]

    return _COMPACT_DATE.sub(dashed, model)
