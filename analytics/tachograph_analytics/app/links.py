"""The app's addresses: what stands in a URL, read and written in one place.

/                  range=1h|24h|7d|30d|all, or from= and to= (ISO 8601 or epoch milliseconds, as Grafana sends), agent=,
                   rule= and alert= (what a panel or an alert is about)
/run               run= the run's id, step= a span id
/spike             range= or from= and to=, agent=, alert= (without a time: when it fired last); only= and not= are
                   attribute:value, any number of them, the attributes those of runs.attribute
/canary            baseline= and candidate= are releases; range= or from= and to=, agent=, alert=
/incident          id= the incident's; without one all of them
Any of them may carry incident=, the incident that "Add to incident" adds to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tachograph_analytics.runs.attribute import BY_NAME
from tachograph_analytics.runs.scope import Condition, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PAGES: Final = Path(__file__).with_name("pages")
START_PAGE: Final = str(_PAGES / "start.py")
RUN_PAGE: Final = str(_PAGES / "run.py")
SPIKE_PAGE: Final = str(_PAGES / "spike.py")
CANARY_PAGE: Final = str(_PAGES / "canary.py")
INCIDENT_PAGE: Final = str(_PAGES / "incident.py")

RANGES: Final[Mapping[str, tuple[str, timedelta | None]]] = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "all": ("All data", None),
}
DEFAULT_RANGE: Final = "24h"
CUSTOM: Final = "custom"


@dataclass(frozen=True, slots=True)
class Window:
    """What the URL of a page asks for; `chosen` is false where it names no time.

    `complaints` are sentences about parts that could not be read; those parts count as absent. `rule` and `alert` are
    what the link of a panel or an alert is about: the page answers to that first.
    """

    name: str
    scope: Scope
    chosen: bool
    complaints: tuple[str, ...] = ()
    rule: str | None = None
    alert: str | None = None

    @property
    def title(self) -> str:
        """The range in words."""
        if self.name in RANGES:
            return RANGES[self.name][0]
        since, until = self.scope.since, self.scope.until
        return f"{_short(since) if since else 'the beginning'} to {_short(until) if until else 'now'}"


def window(params: Mapping[str, str], now: datetime, *, filters: Mapping[str, Sequence[str]] | None = None) -> Window:
    """The window that a URL's parameters mean at the time `now`.

    `filters` are all values of `only` and `not`, from a page that shows its filters: others must not have any.
    """
    complaints: list[str] = []
    conditions = tuple(_conditions(filters or {}, complaints))
    since, until = (_moment(params, name, complaints) for name in ("from", "to"))
    if since and until and since >= until:
        complaints.append("The address asks for a range that ends before it begins, so it was passed over.")
        since = until = None
    agent = _agent(params.get("agent", ""), complaints)
    rule, alert = params.get("rule") or None, params.get("alert") or None
    if since or until:
        return Window(CUSTOM, Scope(since, until, agent, conditions), True, tuple(complaints), rule, alert)
    name = params.get("range", "")
    if name and name not in RANGES:
        complaints.append(f"The address asks for the range “{name}”; there are {', '.join(RANGES)}.")
    chosen = name in RANGES
    name = name if chosen else DEFAULT_RANGE
    return Window(name, Scope(_since(name, now), None, agent, conditions), chosen, tuple(complaints), rule, alert)


def _agent(raw: str, complaints: list[str]) -> str | None:
    """The one agent that is meant; Grafana sends several with commas between, and `.+` or `All` for all of them."""
    named = [name for name in raw.split(",") if name and not _unfilled(name)]
    if len(named) > 1:
        complaints.append(f"The address names {len(named)} agents; the page shows one or all, so these are all.")
    return named[0] if len(named) == 1 and named[0] not in {".+", "All", "$__all"} else None


def start(scope: Scope) -> dict[str, str]:
    """The parameters of the Start page for exactly this scope."""
    return {
        **({"from": _iso(scope.since)} if scope.since else {}),
        **({"to": _iso(scope.until)} if scope.until else {}),
        **({"agent": scope.agent} if scope.agent is not None else {}),
    }


def run(run_id: str, step: str | None = None) -> dict[str, str]:
    """The parameters of the Run page for a run, perhaps with one of its steps picked."""
    return {"run": run_id, **({"step": step} if step else {})}


def spike(scope: Scope, *, alert: str | None = None) -> dict[str, str | list[str]]:
    """The parameters of the Spike page for exactly this scope, its conditions included."""
    only = [_condition(condition) for condition in scope.conditions if not condition.negated]
    without = [_condition(condition) for condition in scope.conditions if condition.negated]
    return {
        **start(scope),
        **({"only": only} if only else {}),
        **({"not": without} if without else {}),
        **({"alert": alert} if alert else {}),
    }


def canary(baseline: str, candidate: str, scope: Scope) -> dict[str, str]:
    """The parameters of the Canary page for two releases in a scope."""
    return {"baseline": baseline, "candidate": candidate, **start(scope)}


def incident(incident_id: str) -> dict[str, str]:
    """The parameters of the Incident page for one incident."""
    return {"id": incident_id}


def _condition(condition: Condition) -> str:
    return f"{condition.column}:{condition.value or ''}"


def _conditions(filters: Mapping[str, Sequence[str]], complaints: list[str]) -> Iterator[Condition]:
    """The conditions that are meant, each once; a filter by anything but a known attribute is said and passed over."""
    asked = dict.fromkeys((name, raw) for name in ("only", "not") for raw in filters.get(name, ()))
    for name, raw in asked:
        column, colon, value = raw.partition(":")
        if column in BY_NAME and colon:
            yield Condition(column, value or None, name == "not")
        else:
            complaints.append(
                f"The address asks for {name}=“{raw}”, which is no filter: release:2.8 would be one, "
                f"and it can be by {', '.join(BY_NAME)}."
            )


def _unfilled(raw: str) -> bool:
    """Whether it is a variable that the dashboard, which should have put a value there, does not know."""
    return raw.startswith("${")


def _since(name: str, now: datetime) -> datetime | None:
    """Cut to the minute: the same question within a minute has the same answer, from the cache."""
    length = RANGES[name][1]
    return (now - length).replace(second=0, microsecond=0) if length is not None else None


def _moment(params: Mapping[str, str], name: str, complaints: list[str]) -> datetime | None:
    raw = params.get(name, "").strip()
    if not raw or _unfilled(raw):
        return None
    try:
        if raw.isascii() and raw.isdigit():
            return datetime.fromtimestamp(int(raw) / 1000, UTC)
        # A “+” that nobody encoded arrives as a space.
        parsed = datetime.fromisoformat(raw.replace(" ", "T", 1) if "T" not in raw else raw.replace(" ", "+"))
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        complaints.append(f"The address has {name}=“{raw}”, which is no time: 2026-11-24T13:00Z would be one.")
        return None


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _short(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
