"""The company's audit archive: it keeps entries for the auditors, and was out of order once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tachograph.demo.arrivals import DAY_S, HOUR_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tachograph.demo.clock import Clock

_DOWN_BEFORE_END_S: Final = 20 * DAY_S
_DOWN_FOR_S: Final = 12 * HOUR_S  # half a day, so that some working hours are in it


@dataclass(slots=True)
class AuditArchive:
    """An archive that takes entries at the time of `clock`, but for half a day some weeks before `until`."""

    clock: Clock
    until: float
    entries: list[Mapping[str, object]] = field(default_factory=list["Mapping[str, object]"])

    def append(self, entry: Mapping[str, object]) -> None:
        """Keeps an entry; ConnectionError while the archive is out of order."""
        down_for = self.clock.now() - (self.until - _DOWN_BEFORE_END_S)
        if 0 <= down_for < _DOWN_FOR_S:
            raise ConnectionError("the audit archive does not answer")
        self.entries.append(entry)
