"""Values in the form in which the registry wants them."""

from __future__ import annotations

import re

from tachograph.privacy.identity import identifier
from tachograph.privacy.redaction import redact
from tachograph.privacy.withholding import withheld, without_free_text
from tachograph.telemetry.recorder import active

_WORD = re.compile(r"[\w.:/-]{1,64}")
REASON_LENGTH = 200  # characters of a reason: enough for a rule's sentence, too few for a document


def identity(id: str | None) -> str | None:
    """An id as it is recorded: itself, or a hash where it holds a secret."""
    recorder = active()
    return None if id is None else identifier(id, recorder.hash_key if recorder is not None else None)


def reason_text(reason: str | None) -> str | None:
    """A reason as it is recorded: redacted and cut; only the size of one in words while content is off."""
    recorder = active()
    if reason is None or recorder is None:
        return None
    if recorder.capture == "off" and without_free_text(reason) != reason:
        return withheld(reason)
    return redact(reason).text[:REASON_LENGTH]


def word(text: str | None, otherwise: str | None = None) -> str | None:
    """A name as it is recorded: itself if it reads like an identifier, else `otherwise`.

    Free text is content, and as a metric label it would be a series of its own.
    """
    return text if text is None or _WORD.fullmatch(text) else otherwise


def double(value: float | None) -> float | None:
    """A number as a double: OTLP and the stores behind it keep integers apart."""
    return None if value is None else float(value)
