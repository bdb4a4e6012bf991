"""Names and ids as they are recorded: themselves, unless they hold a secret.

A name that holds one is redacted, as any text is. An id cannot be: telemetry is joined by it, and one kind in brackets
would make one run, tenant or session of strangers' ones. It becomes a hash, the same for the same id.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, cast
from uuid import UUID

from tachograph.privacy.redaction import encodable, redact
from tachograph.telemetry.fingerprint import HEX_DIGITS, fingerprint

HASHED: Final = "hashed_"
NAME_LENGTH: Final = 200  # characters: what is longer is content, not a name

# Ids of ours, and hashes: nothing of anybody's is in them. Digits alone may be a card number. 16 digits; 28 with a
# time before them; 32 of an event; 64 of a link of the audit chain.
_MADE: Final = re.compile(rf"(?:[a-z]{{1,16}}_)?(?=[0-9]*[a-f])[0-9a-f]{{16,64}}|{HASHED}[0-9a-f]{{{HEX_DIGITS}}}")
_KNOWN: Final = 4096  # names and ids that are remembered: they come again with each span


def name(text: str) -> str:
    """A name without secrets in it."""
    return _name(text) if len(text) <= NAME_LENGTH else redact(text).text


def identifier(text: str, key: bytes | None = None) -> str:
    """An id that holds no secret: itself, or `hashed_` and 16 hex digits, keyed when the process has a key."""
    return text if _MADE.fullmatch(text) else _identifier(text, key)


def spelled(id: object) -> str | None:
    """An id as text, whatever the host counts its rows with: text, numbers, UUIDs, bytes; None for anything else."""
    kind = type(id)  # isinstance() would ask the id for its __class__, which evaluates lazy ones
    if issubclass(kind, str):
        return str.__str__(cast("str", id))
    if issubclass(kind, bytes):
        return bytes.decode(cast("bytes", id), errors="replace")
    if not issubclass(kind, int | float | UUID):
        return None
    try:
        return str(id)
    except Exception:  # noqa: BLE001 - of a class of the host's own, or of too many digits
        return None


def person(text: str, key: bytes | None = None) -> str:
    """What stands for a person's id or name: 16 hex digits, keyed when the process has a key.

    Hex digits are hashed too: they may be a database's key of the person, or an e-mail address that was only hashed.
    """
    return str(fingerprint(text, key))


@lru_cache(_KNOWN)
def _name(text: str) -> str:
    return redact(text).text


@lru_cache(_KNOWN)
def _identifier(text: str, key: bytes | None) -> str:
    return f"{HASHED}{fingerprint(text, key)}" if redact(text).categories else encodable(text)
