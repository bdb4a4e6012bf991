"""Foreign text made harmless for each form of a report: agents, alerts and addresses choose it, we answer for it."""

from __future__ import annotations

import html
import re
from typing import Final

# Signs that do not print, or that turn the reading direction so that a line says something else than it does.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200b\ufeff]")

_MARKUP = re.compile(r"([\\`*_\[\]~$])")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
# What makes a heading, a list, a table or a definition of a line, by standing first in it.
_FIRST = re.compile(r"^(?:\d+(?=[.)])|(?=[-+#=:]))")
# GitHub makes links of addresses, www. names and mail without being asked, and mentions of @names.
_AUTOLINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
_WORD_JOINER = "\u2060"  # has no width and allows no line break

# Where a spreadsheet begins to calculate, also in the wide forms that East Asian keyboards write.
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"

_ADDRESS = re.compile(r"https?://[\w\-.~:/?#@!$&*+,=%]+", re.ASCII)
_OWN_ADDRESS = re.compile(r"/(?:[\w\-.~%][\w\-.~%/]*)?(?:\?[\w\-.~%&=+:,*/@]*)?", re.ASCII)


def printable(text: str) -> str:
    """The text without signs that cannot be seen; every kind of line end is a newline."""
    return _UNSEEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def in_markdown(text: str) -> str:
    """Text that Markdown shows literally, on one line and without links."""
    line = " ".join(printable(text).split())
    line = _AUTOLINK.sub(_WORD_JOINER, _MARKUP.sub(r"\\\1", line))
    return _FIRST.sub(r"\g<0>\\", "".join(_ENTITIES.get(sign, sign) for sign in line))


def in_code(text: str) -> str:
    """One line of text as a Markdown code span, which shows all signs as they are; it may stand in a table."""
    line = " ".join(printable(text).split("\n")).strip()
    if not line:
        return ""
    if "|" in line:  # a table would split there, and Markdowns differ in how to hinder it inside of code
        return in_markdown(line)
    fence = "`" * (_longest_ticks(line) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}"


def in_block(text: str, language: str) -> str:
    """Text as a Markdown code block that it cannot end."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return f"{fence}{language}\n{printable(text)}\n{fence}"


def in_html(text: str) -> str:
    """Text for the content or a quoted attribute of an HTML element."""
    return html.escape(printable(text), quote=True)


def in_cell(text: str) -> str:
    """Text of a CSV cell that no spreadsheet calculates: an apostrophe stands before what would be a formula."""
    clean = printable(text)
    return f"'{clean}" if clean.lstrip()[:1] in tuple(_FORMULA) else clean


def is_link(url: str | None) -> bool:
    """Whether it may stand as a link to elsewhere: the web only, and no sign that Markdown or HTML could trip over."""
    return url is not None and _ADDRESS.fullmatch(url) is not None


def is_own_link(url: str) -> bool:
    """Whether it is a path and a query of the app, as notes have it."""
    return not url.startswith("//") and _OWN_ADDRESS.fullmatch(url) is not None


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
