"""Values in the form in which the registry wants them."""

from __future__ import annotations

import re

from tachograph.telemetry.redaction import redact

_WORD = re.compile(r"[\w.:/-]{1,64}")
REASON_LENGTH = 200  # characters of a reason: enough for a rule's sentence, too few for a document


def reason_text(reason: str | None) -> str | None:
    """A reason as it is recorded: redacted, then cut."""
    return None if reason is None else redact(reason).text[:REASON_LENGTH]


def word(text: str | None, otherwise: str | None = None) -> str | None:
    """A name as it is recorded: itself if it reads like an identifier, else `otherwise`.

    Free text is content, and as a metric label it would be a series of its own.
    """
    return text if text is None or _WORD.fullmatch(text) else otherwise


def double(value: float | None) -> float | None:
    """A number as a double: OTLP and the stores behind it keep integers apart."""
    return None if value is None else float(value)
