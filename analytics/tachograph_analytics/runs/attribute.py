"""The attributes of a run by which runs are told apart: as rows of differences and tables, and as filters.

A fixed list: a filter comes from an address, and an address must not choose what is asked of the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NONE_RECORDED: Final = "none recorded"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a run. `sql` is a text over the view runs, which must stand under its own name.

    `brings_traffic`: whoever has the value decides how many runs there are. A release or an outcome does not; it takes
    its runs from others, so that only what its runs cost can explain a change. `absent` says what null means.
    """

    name: str
    label: str
    sql: str
    brings_traffic: bool = False
    absent: str = NONE_RECORDED

    def shown(self, value: str | None) -> str:
        """A value in words."""
        return self.absent if value is None else value


# A client's retries of a model call are one row with its last attempt's number; a tool's may be one row or several.
_RETRIED: Final = """CASE WHEN run_id IN (
    SELECT run_id FROM llm_calls WHERE attempt > 1 UNION ALL SELECT run_id FROM tool_calls WHERE attempt > 1
  ) THEN 'with retries' ELSE 'without retries' END"""

_FAILED_TOOL: Final = """(
    SELECT arg_min(tool_calls.tool_name, tool_calls.ts) FROM tool_calls
    WHERE tool_calls.run_id = runs.run_id AND tool_calls.outcome IN ('error', 'timeout', 'invalid_output')
  )"""

_DEGRADED: Final = """(
    SELECT arg_min(coalesce(degradations.component, degradations.mode), degradations.ts) FROM degradations
    WHERE degradations.run_id = runs.run_id
  )"""

_CACHED: Final = """CASE
    WHEN coalesce(input_tokens, 0) = 0 THEN NULL
    WHEN coalesce(cached_tokens, 0) = 0 THEN 'nothing cached'
    WHEN cached_tokens < 0.5 * input_tokens THEN 'less than half cached'
    ELSE 'half or more cached' END"""

# Where two attributes explain a change equally well, the first is named: the one that people can act on.
ATTRIBUTES: Final = (
    Attribute("release", "release", '"release"'),
    Attribute("failed_tool", "first failed tool", _FAILED_TOOL, absent="no tool failed"),
    Attribute("degraded", "first degraded part", _DEGRADED, absent="nothing degraded"),
    Attribute("retries", "retries", _RETRIED),
    Attribute("tenant", "tenant", "tenant", brings_traffic=True),
    Attribute("workflow", "workflow", "workflow", brings_traffic=True),
    Attribute("agent", "agent", "agent", brings_traffic=True),
    Attribute("track", "track", "track"),
    Attribute("tier", "risk tier", "CAST(tier AS VARCHAR)", brings_traffic=True),
    Attribute("stop_reason", "stop reason", "stop_reason"),
    Attribute("outcome", "outcome", "outcome", absent="not ended"),
    Attribute("cached", "cached input", _CACHED, absent="no input tokens"),
)
BY_NAME: Final[Mapping[str, Attribute]] = {attribute.name: attribute for attribute in ATTRIBUTES}
