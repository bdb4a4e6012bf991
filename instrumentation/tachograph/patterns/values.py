"""Values in the form in which the registry wants them."""

from __future__ import annotations

from tachograph.telemetry.redaction import redact

REASON_LENGTH = 200  # characters of a reason: enough for a rule's sentence, too few for a document


def reason_text(reason: str | None) -> str | None:
    """A reason as it is recorded: redacted, then cut."""
    return None if reason is None else redact(reason).text[:REASON_LENGTH]


def double(value: float | None) -> float | None:
    """A number as a double: OTLP and the stores behind it keep integers apart."""
    return None if value is None else float(value)
