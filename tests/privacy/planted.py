"""Personal data and secrets, one of each kind, and the looking for them in whatever form they may have taken."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATTERNED: Final = {
    "ssn": "536-90-4399",
    "card": "4539 1488 0343 6467",
    "email": "zq17@norvell.example",
    "phone": "+1 415 555 0132",
    "token": "ghp_q8Z3kW1nV6tB4yR9mL2xC7sD5fG0hJ3aE1uI",
    "key": "sk-proj-Vb7Nq2Lw9Xc4Tz6Rk1Jm8Hd3",
}
UNPATTERNED: Final = {"address": "4711 Wexcombe Lane, Tarbury", "name": "Thessaly Quarrington"}
KINDS: Final = {**PATTERNED, **UNPATTERNED}

# Planted in places of their own, as they are nowhere in texts: ids of a person that look like hashes, and what no
# analyzer is shown, a sentence without spaces and a name of one word (docs/privacy.md says so).
PERSONS: Final = {"object_id": "507f1f77bcf86cd799439b17", "mail_md5": "9e26471d35a78862c17e467d87cd3f13"}
UNSPACED: Final = {"sentence": "患者の田中さんは火曜に入院します", "word": "Tollemache"}
PLACED: Final = {**PERSONS, **UNSPACED}
EVERY: Final = {**KINDS, **PLACED}

_TELLING: Final = {"address": ("Wexcombe", "Tarbury"), "name": ("Thessaly", "Quarrington")}  # words that are enough


def found(haystacks: Mapping[str, bytes], kinds: Iterable[str]) -> list[tuple[str, str, str]]:
    """Where, which kind and in which form: plain in any case, encoded for URLs, base64, hex, digits alone."""
    hits: list[tuple[str, str, str]] = []
    for where, content in haystacks.items():
        folded = content.lower()
        digits = re.sub(rb"[^0-9a-z]+", b"", folded)
        for kind in kinds:
            hits += [(where, kind, form) for form in _forms(kind) if form.lower().encode() in folded]
            hits += [(where, kind, form) for form in _encoded(kind) if form.encode() in content]
            alone = re.sub(r"\D", "", KINDS.get(kind, ""))
            if len(alone) > 8 and alone.encode() in digits:
                hits.append((where, kind, alone))
    return hits


def _forms(kind: str) -> set[str]:
    value = EVERY[kind]
    return {
        value,
        quote(value),
        quote_plus(value),
        quote(value, safe=""),
        value.encode().hex(),
        *_TELLING.get(kind, ()),
    }


def _encoded(kind: str) -> set[str]:
    """Base64 of the value at each of the three places in a group, without the characters that its neighbours touch."""
    value = EVERY[kind].encode()
    return {base64.b64encode(b"\0" * shift + value)[shift and 4 : -4].decode() for shift in range(3)}
