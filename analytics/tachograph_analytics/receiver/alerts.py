"""Alertmanager's webhook: one notification as the alerts in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

WEBHOOK_VERSION = "4"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification; times are UTC without a zone, `ends_at` is None while it fires."""

    fingerprint: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime | None
    ends_at: datetime | None
    generator_url: str | None

    def row(self) -> dict[str, Any]:
        """Its row of the table `alerts`, without the time it was received."""
        return {
            "fingerprint": self.fingerprint,
            "status": self.status,
            "name": self.labels.get("alertname"),
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "generator_url": self.generator_url,
            "labels": list(self.labels.items()),
            "annotations": list(self.annotations.items()),
        }


def parse(body: bytes) -> list[Alert]:
    """The alerts of a notification in the webhook's version 4; ValueError with a sentence for anything else."""
    try:
        document = _object(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is no JSON object: {error}") from error
    if document.get("version") != WEBHOOK_VERSION:
        raise ValueError(f"the body is no Alertmanager webhook of version {WEBHOOK_VERSION}")
    alerts = document.get("alerts")
    if not isinstance(alerts, list):
        raise ValueError("the notification has no list of alerts")  # noqa: TRY004 - the client's value is wrong
    return [_alert(_object(alert)) for alert in cast("list[Any]", alerts)]


def _alert(alert: dict[str, Any]) -> Alert:
    fingerprint, status = alert.get("fingerprint"), alert.get("status")
    if not isinstance(fingerprint, str):
        raise ValueError("an alert of the notification has no fingerprint")  # noqa: TRY004 - the client's value is wrong
    if status not in ("firing", "resolved"):
        raise ValueError("an alert of the notification is neither firing nor resolved")
    return Alert(
        fingerprint=_text(fingerprint),
        status=status,
        labels=_texts(alert.get("labels") or {}),
        annotations=_texts(alert.get("annotations") or {}),
        starts_at=_time(alert.get("startsAt")),
        ends_at=_time(alert.get("endsAt")) if status == "resolved" else None,
        generator_url=_text(alert["generatorURL"]) if alert.get("generatorURL") else None,
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object is due where something else stands")  # noqa: TRY004 - the client's value is wrong
    return cast("dict[str, Any]", value)


def _texts(value: Any) -> dict[str, str]:
    return {_text(key): _text(item) for key, item in _object(value).items()}


def _text(value: Any) -> str:
    """A string, or anything else as JSON; half a surrogate pair, which JSON can write and UTF-8 cannot, is replaced."""
    if not isinstance(value, str):
        return json.dumps(value)
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    parsed = datetime.fromisoformat(value)
    # Alertmanager writes the year 1 for a time that is not known.
    try:
        return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.year > 1 else None
    except OverflowError as error:
        raise ValueError(f"the time {value} lies beyond the calendar") from error
