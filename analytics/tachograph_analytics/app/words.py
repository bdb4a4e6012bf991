"""Numbers, times and foreign text as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")

# What GitHub's Markdown makes a link of without being asked: addresses, www. names, mail. Escapes do not hinder it.
_AUTOLINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
_WORD_JOINER = "\u2060"  # has no width and allows no line break

_MS_S, _MS_MIN, _MS_H = 1_000, 60_000, 3_600_000
_SHORT_MS = 10


def plain(text: object) -> str:
    """Text of the data as Markdown that shows it literally, on one line and without links.

    Agents choose the text: a link among our own sentences would be theirs. An invisible sign breaks each address.
    """
    line = str(text).replace("\n", " ").replace("\r", " ")
    return _MARKDOWN.sub(r"\\\1", _AUTOLINK.sub(_WORD_JOINER, line))


def usd(amount: float | None) -> str:
    """US dollars: two digits, more below ten cents, so that no cost reads as nothing."""
    if amount is None:
        return "no price"
    if amount == 0 or abs(amount) >= 0.1:  # noqa: PLR2004 - ten cents
        return f"${amount:,.2f}"
    return f"${amount:,.4f}" if abs(amount) >= 0.0001 else f"${amount:.2g}"  # noqa: PLR2004 - a hundredth of a cent


def duration(milliseconds: float | None) -> str:
    """A duration in the unit that suits it."""
    if milliseconds is None:
        return "unknown"
    if milliseconds < _MS_S:
        return f"{milliseconds:.2g} ms" if milliseconds < _SHORT_MS else f"{milliseconds:.0f} ms"
    if milliseconds < _MS_MIN:
        return f"{milliseconds / _MS_S:.1f} s"
    if milliseconds < _MS_H:
        minutes, rest = divmod(round(milliseconds / _MS_S), 60)
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(milliseconds / _MS_MIN), 60)
    return f"{hours} h {minutes} min"


def number(value: float) -> str:
    """A count with separators."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def share(value: float) -> str:
    """A share as per cent with one digit."""
    return f"{value:.1%}".replace("%", " %")


def many(count: int, one: str, several: str | None = None) -> str:
    """A count with its noun."""
    return f"{number(count)} {one if count == 1 else several or one + 's'}"


def when(at: datetime | None) -> str:
    """A moment in UTC, to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at is not None else "never"


def clock(at: datetime) -> str:
    """The time of day in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds")[11:23]


def ago(at: datetime, now: datetime) -> str:
    """How long ago, roughly; an age of the data that is seen at a glance."""
    age = now - at
    if age < timedelta(minutes=2):
        return "just now"
    if age < timedelta(hours=2):
        return f"{int(age.total_seconds() // 60)} minutes ago"
    if age < timedelta(days=2):
        return f"{int(age.total_seconds() // 3600)} hours ago"
    return f"{age.days} days ago"
