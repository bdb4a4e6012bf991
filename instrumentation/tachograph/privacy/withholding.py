"""What stands in the place of text that may be content, while content is off: its size, its type, its key names.

Text of one word (an id, a version, a path) passes, free text does not: nobody can tell a person's name or address in it
from any other words. Where a script has no spaces between words, only what is as short as a word passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

# Scripts without spaces between words: Thai to Tibetan, Burmese, Khmer, Japanese and Chinese.
_UNSPACED: Final = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_WORD: Final = re.compile(
    rf"[!#$&(->@-z|~]{{0,64}}"  # ids, versions, hashes, media types: ASCII without quotes, braces, % and ?
    rf"|[^\W{_UNSPACED}](?:[\w.:/-](?<![{_UNSPACED}])){{0,15}}|[{_UNSPACED}]{{1,4}}"
)
_URL: Final = re.compile(r"(?P<kept>(?:[a-z][a-z0-9+.-]{0,31}:/)?/[!$&(->@-~]{0,2048})(?P<query>[?#].*)?", re.DOTALL)
_KEY: Final = re.compile(r"[\w.:/-]{1,64}")
_FRAME: Final = re.compile(r"(?P<indent>[ |]*)File \"[^\"\n]{0,1024}\", line \d{1,9}(?:, in \S{1,256})?")
_BEGIN: Final = "Traceback (most recent call last):"
_TYPE: Final = re.compile(r"[ |]*(?P<type>[A-Za-z_][\w.]{0,255})(?::|$| \()")
_CHAINED: Final = frozenset(
    {
        "During handling of the above exception, another exception occurred:",
        "The above exception was the direct cause of the following exception:",
    }
)


def withheld(text: str | bytes) -> str:
    """What is said of a text or of bytes in their place."""
    return f"[withheld: {len(text)} {'bytes' if isinstance(text, bytes) else 'characters'}]"


def without_free_text(value: Any) -> Any:
    """An attribute's value as it may leave while content is off: words, numbers, URLs without their query."""
    if isinstance(value, str):
        if _WORD.fullmatch(value):
            return value
        url = _URL.fullmatch(value)
        return withheld(value) if url is None or "%" in url["kept"] else f"{url['kept']}?{withheld(url['query'] or '')}"
    return _inside(value, without_free_text)


def without_text(value: Any) -> Any:
    """A message or body while content is off: no text of it at all, but numbers and the names of its keys."""
    return withheld(value) if isinstance(value, str) else _inside(value, without_text)


def _inside(value: Any, withhold: Any) -> Any:
    if isinstance(value, bytes):
        return withheld(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {str(key) if _KEY.fullmatch(str(key)) else "unnamed": withhold(part) for key, part in pairs}
    if isinstance(value, Sequence):
        return tuple(withhold(part) for part in cast("Sequence[Any]", value))
    return value


def type_of(description: str, known: frozenset[str]) -> str | None:
    """The exception's type that a status begins with, if it is one that the span is known to have failed with."""
    found = description.partition(":")[0]
    return found if found in known else None


def frames(stacktrace: str) -> str:
    """A traceback's files, lines, functions and exception types, without source text and messages."""
    kept: list[str] = []
    indent: int | None = None  # of the frames of the traceback that is being read; None outside of one
    for line in stacktrace.splitlines():
        frame = _FRAME.fullmatch(line)
        if line.strip(" |+").endswith(_BEGIN):
            kept.append(line)
            indent = len(line) - len(line.lstrip(" |+")) + 2
        elif indent is not None and frame is not None:
            kept.append(line)
        elif indent is not None and len(line) - len(line.lstrip(" |")) < indent:
            found = _TYPE.match(line)
            kept += [line[: found.end("type")]] if found else []
            indent = None
        elif line.strip(" |") in _CHAINED:
            kept.append(line)
    return "\n".join(kept)
