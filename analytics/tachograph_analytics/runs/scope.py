"""Which runs are meant: a range of time and perhaps one agent, as SQL that can be pasted anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Scope:
    """Runs that began at `since` or later and before `until` (aware times, null: no bound), of `agent` or of all."""

    since: datetime | None = None
    until: datetime | None = None
    agent: str | None = None

    def where(self, *more: str) -> str:
        """The WHERE clause with `more` conditions; empty where nothing is asked for."""
        conditions = [
            *([f"ts >= {moment(self.since)}"] if self.since else []),
            *([f"ts < {moment(self.until)}"] if self.until else []),
            *([f"agent = {text(self.agent)}"] if self.agent is not None else []),
            *more,
        ]
        return f"\nWHERE {' AND '.join(conditions)}" if conditions else ""


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def moment(value: datetime) -> str:
    """A timestamp literal; the store's times are UTC without a zone."""
    return f"TIMESTAMP '{value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
