"""Values in the form in which the registry wants them."""

from __future__ import annotations

import re
from typing import cast

from tachograph.privacy.identity import identifier, spelled
from tachograph.privacy.redaction import redact
from tachograph.privacy.withholding import withheld, without_free_text
from tachograph.telemetry.guard import misused
from tachograph.telemetry.recorder import active

_WORD = re.compile(r"[\w.:/-]{1,64}")
_DIGITS = re.compile(r"\s*[0-9]{1,3}\s*")
REASON_LENGTH = 200  # characters of a reason: enough for a rule's sentence, too few for a document


def identity(id: object) -> str | None:
    """An id as it is recorded: itself as text, or a hash where it holds a secret; None for what can be no id."""
    if id is None:
        return None
    recorder, text = active(), spelled(id)
    if text is None:
        misused(
            "instrument", f"an id is of type {type(id).__qualname__}, which names nothing; it is recorded without it"
        )
        return None
    return identifier(text, recorder.hash_key if recorder is not None else None)


def level(tier: object, otherwise: int = 0) -> int:
    """A tier as a number, digits of a configuration included; `otherwise` for what is none, which is said once."""
    kind = type(tier)
    if issubclass(kind, int):
        return int.__int__(cast("int", tier))
    if issubclass(kind, str) and _DIGITS.fullmatch(text := str.__str__(cast("str", tier))):
        return int(text)
    misused("instrument", f"a tier is of type {kind.__qualname__} and no number; {otherwise} is recorded")
    return otherwise


def reason_text(reason: str | None) -> str | None:
    """A reason as it is recorded: redacted and cut; only the size of one in words while content is off."""
    recorder = active()
    if reason is None or recorder is None:
        return None
    if recorder.capture == "off" and without_free_text(reason) != reason:
        return withheld(reason)
    return redact(reason).text[:REASON_LENGTH]


def word(text: object, otherwise: str | None = None) -> str | None:
    """A name as it is recorded: itself if it reads like an identifier, else `otherwise`.

    Free text is content, and as a metric label it would be a series of its own.
    """
    said = spelled(text)
    return otherwise if text is not None and (said is None or not _WORD.fullmatch(said)) else said


def double(value: float | None) -> float | None:
    """A number as a double: OTLP and the stores behind it keep integers apart."""
    return None if value is None else float(value)
