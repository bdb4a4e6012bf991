"""Takes personal data and secrets out of telemetry: before an attribute exists, and again in the exporter.

Every pattern runs in time linear in the text: quantifiers are possessive or bounded, and no run of characters is
started over. Card numbers and IBANs are replaced only when their check digits agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from tachograph.privacy.content import CONTENT_KEYS
from tachograph.privacy.sensitive import DETECTORS, TRIGGER, names_secret

if TYPE_CHECKING:
    import re

    from tachograph.privacy.analyzer import Analyzer

MARGIN: Final = 256  # characters read beyond the cap, so that a secret that straddles it is seen whole
CUT: Final = "…[cut]"
SECRET: Final = "[secret]"  # noqa: S105 - what stands in the place of one

_JSON_BEGINS: Final = ("{", "[", '"')


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
    Texts are cut at `max_length` characters. `analyzer` finds what no pattern does; it takes milliseconds, so it is
    set for what runs in the export thread only. `hash_key` keys the hashes of ids and persons.
    """

    patterns: tuple[tuple[str, re.Pattern[str]], ...] = ()
    content_keys: tuple[str, ...] = ()
    max_length: int = 16_384
    analyzer: Analyzer | None = None
    hash_key: bytes | None = None

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


def encodable(text: str) -> str:
    """`text` with `?` for each half of a surrogate pair: one of them would cost the whole batch or scrape."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def redact(text: str, redaction: Redaction = DEFAULT) -> Redacted:
    """`text` with every secret replaced by its kind in brackets, as in `[card]`, and cut to the maximal length."""
    text = encodable(text)
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
    if redaction.analyzer is not None:
        kept = _analyzed(kept, redaction.analyzer, found)
    return Redacted(kept, tuple(sorted(found)))


def _analyzed(text: str, analyzer: Analyzer, found: set[str]) -> str:
    from tachograph.privacy.analyzer import findings

    for category, span in reversed(findings(analyzer, text)):
        found.add(category)
        text = _replace(text, [span], category)
    return text


def _replace(text: str, spans: list[tuple[int, int]], category: str) -> str:
    if not spans:
        return text
    parts: list[str] = []
    end = 0
    for start, stop in spans:
        parts += (text[end:start], f"[{category}]")
        end = stop
    return "".join((*parts, text[end:]))


def redact_value(value: Any, redaction: Redaction = DEFAULT) -> Any:
    """A redacted copy of any attribute value or log body: strings in lists, mappings and bytes too.

    What stands behind a name like `password` becomes `[secret]`: in mappings, in pairs of name and value as headers
    are, and behind a flag in a list of arguments.
    """
    if isinstance(value, str):
        return redact(value, redaction).text
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"), redaction).text.encode()
    if isinstance(value, Mapping):
        return _mapping(cast("Mapping[Any, Any]", value), redaction)
    if isinstance(value, Sequence):
        return _sequence(cast("Sequence[Any]", value), redaction)
    return value


def redact_json(text: str, redaction: Redaction = DEFAULT) -> str:
    """A redacted copy of a text that is JSON as a rule: what its keys say is a secret is taken out as well."""
    if text[:1] in _JSON_BEGINS and len(text) <= redaction.max_length:
        try:
            return json.dumps(redact_value(json.loads(text), redaction), ensure_ascii=False)
        except (ValueError, RecursionError):  # text after all
            pass
    return redact(text, redaction).text


def hide(name: object, value: Any, redaction: Redaction) -> Any:
    """`value` redacted, as a whole where it has the name of a secret."""
    if isinstance(name, str) and value is not None and not isinstance(value, bool) and names_secret(name):
        return SECRET
    return redact_value(value, redaction)


def _mapping(value: Mapping[Any, Any], redaction: Redaction) -> dict[str, Any]:
    named = value.get("name", value.get("key"))  # {"name": "Authorization", "value": …}
    return {
        redact(str(key), redaction).text: hide(named if key == "value" else key, part, redaction)
        for key, part in value.items()
    }


def _sequence(value: Sequence[Any], redaction: Redaction) -> tuple[Any, ...]:
    kept: list[Any] = []
    flag: str | None = None  # the argument before, where it is one: --password hunter2
    for part in value:
        kept.append(hide(flag, part, redaction) if flag is not None else _item(part, redaction))
        flag = part if isinstance(part, str) and part[:1] == "-" else None
    return tuple(kept)


def _item(part: Any, redaction: Redaction) -> Any:
    if isinstance(part, list | tuple):
        pair = cast("Sequence[Any]", part)
        if len(pair) == 2 and isinstance(pair[0], str):  # noqa: PLR2004 - a name and its value, as headers are
            return (redact(pair[0], redaction).text, hide(pair[0], pair[1], redaction))
    return redact_value(part, redaction)
