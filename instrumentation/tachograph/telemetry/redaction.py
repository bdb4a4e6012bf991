"""Takes personal data and secrets out of telemetry: before an attribute exists, and again in the exporter.

Every pattern runs in time linear in the text: quantifiers are possessive or bounded, and no run of characters is
started over. Card numbers and IBANs are replaced only when their check digits agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from tachograph.telemetry.content import CONTENT_KEYS, IDENTIFIERS
from tachograph.telemetry.sensitive import DETECTORS, TRIGGER

if TYPE_CHECKING:
    import re

MARGIN: Final = 256  # characters read beyond the cap, so that a secret that straddles it is seen whole
CUT: Final = "…[cut]"


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without secrets, and the kinds of what was taken out, sorted."""

    text: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Redaction:
    """What to take out beside the built-in kinds.

    `patterns` are (category, compiled pattern), each match becomes `[category]`; they should run in linear time, as
    they see untrusted text. `content_keys` name further content attributes, `.*` at the end for all keys below.
    Texts are cut at `max_length` characters.
    """

    patterns: tuple[tuple[str, re.Pattern[str]], ...] = ()
    content_keys: tuple[str, ...] = ()
    max_length: int = 16_384

    @cached_property
    def _content(self) -> tuple[frozenset[str], tuple[str, ...]]:
        keys = (*CONTENT_KEYS, *self.content_keys)
        below = tuple(key[:-1] for key in keys if key.endswith(".*"))
        return frozenset(key for key in keys if not key.endswith(".*")), below

    def is_content(self, key: str) -> bool:
        """Whether the attribute `key` carries content; `gen_ai.prompt.7.role` is taken for `gen_ai.prompt.0.role`."""
        exact, below = self._content
        return key in exact or key.startswith(below) or _numbered(key).startswith(below)


DEFAULT: Final = Redaction()


def _numbered(key: str) -> str:
    return ".".join("0" if part.isdecimal() else part for part in key.split(".")) if key.startswith("gen_ai.") else key


def redact(text: str, redaction: Redaction = DEFAULT) -> Redacted:
    """`text` with every secret replaced by its kind in brackets, as in `[card]`, and cut to the maximal length."""
    clipped = len(text) > redaction.max_length
    kept = text[: redaction.max_length + MARGIN] if clipped else text
    found: set[str] = set()
    for category, pattern in redaction.patterns:
        kept, count = pattern.subn(f"[{category}]", kept)
        if count:
            found.add(category)
    if TRIGGER.search(kept):
        for category, spans in DETECTORS:
            replaced = _replace(kept, list(spans(kept)), category)
            if replaced is not kept:
                found.add(category)
                kept = replaced
    if clipped:
        kept = kept[: max(0, min(redaction.max_length, len(kept) - MARGIN))] + CUT
    return Redacted(kept, tuple(sorted(found)))


def _replace(text: str, spans: list[tuple[int, int]], category: str) -> str:
    if not spans:
        return text
    parts: list[str] = []
    end = 0
    for start, stop in spans:
        parts += (text[end:start], f"[{category}]")
        end = stop
    return "".join((*parts, text[end:]))


def redact_attributes(
    attributes: Mapping[str, Any] | None, *, content: bool, redaction: Redaction = DEFAULT
) -> dict[str, Any]:
    """A redacted copy of span, event or log attributes; content attributes are dropped unless `content` is on.

    Strings are redacted in lists, mappings and bytes too; identifiers that join telemetry stay as they are.
    """
    kept: dict[str, Any] = {}
    for key, value in (attributes or {}).items():
        if key in IDENTIFIERS:
            kept[key] = value
        elif content or not redaction.is_content(key):
            kept[key] = redact_value(value, redaction)
    return kept


def redact_value(value: Any, redaction: Redaction = DEFAULT) -> Any:
    """A redacted copy of any attribute value or log body."""
    if isinstance(value, str):
        return redact(value, redaction).text
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"), redaction).text.encode()
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        return {redact(str(key), redaction).text: redact_value(part, redaction) for key, part in pairs}
    if isinstance(value, Sequence):
        return tuple(redact_value(part, redaction) for part in cast("Sequence[Any]", value))
    return value
