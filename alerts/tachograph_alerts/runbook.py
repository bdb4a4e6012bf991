"""docs/runbooks/NAME.md: one page an alert, all of it from alerts.toml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tachograph_alerts.rules import described

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tachograph_alerts.catalogue import Alert, Links

_SEVERITIES = {
    "page": "page: somebody gets up for it",
    "ticket": "ticket: somebody looks at it in working hours",
    "info": "info: nobody is called",
    "none": "none: no alarm, it says that alarms would arrive",
}


def runbook(alert: Alert, expression: str, links: Links) -> str:
    """The page as Markdown; `expression` is the rule's PromQL."""
    sections = {
        "Meaning": _meaning(alert, expression),
        "Impact": alert.runbook.impact,
        "First five minutes": _first_minutes(alert, links),
        "Causes": _bullets(alert.runbook.causes),
        "Contain": _bullets(alert.runbook.contain),
        "False alarm": _false_alarm(alert),
    }
    head = f"# {alert.name}\n\nGenerated from alerts.toml by `tachograph alerts build`; do not edit.\n"
    return head + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items())


def _meaning(alert: Alert, expression: str) -> str:
    held = f", held for {alert.number('for')}" if "for" in alert.numbers else ""
    facts = f"Pattern {alert.pattern}; {_SEVERITIES[alert.severity]}. It fires on{held}:"
    return f"{alert.summary} {_reader(described(alert, 'an agent'))}\n\n{facts}\n\n```promql\n{expression}\n```"


def _reader(text: str) -> str:
    """A description for a reader who has no firing alert before him: X stands for its value."""
    general = re.sub(r"\{\{ \$value.*?\}\}", "X", text)
    return general[0].upper() + general[1:]


def _first_minutes(alert: Alert, links: Links) -> str:
    steps = [
        f"Open [the dashboard]({links.grafana}/d/{alert.board}), pick the agent: since when, which track, what else?",
        f"Open [the app]({links.app}/{alert.page}?alert={alert.name}) and follow the finding to a run.",
        "Ask the store:",
    ]
    numbered = "\n".join(f"{place}. {step}" for place, step in enumerate(steps, 1))
    queries = "\n".join(f'tachograph query "{query}"' for query in alert.runbook.queries)
    return f"{numbered}\n\n```sh\n{queries}\n```"


def _false_alarm(alert: Alert) -> str:
    if not alert.numbers:
        return alert.runbook.false_alarm
    rows = "\n".join(f"| {name} | {number.value} | {number.why} |" for name, number in alert.numbers.items())
    return f"{alert.runbook.false_alarm}\n\n| number | value | why |\n| --- | --- | --- |\n{rows}"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
