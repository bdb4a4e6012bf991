"""The forms of a report, by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tachograph_analytics.incidents.markdown import markdown
from tachograph_analytics.incidents.spreadsheet import spreadsheet
from tachograph_analytics.incidents.webpage import webpage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tachograph_analytics.incidents.report import Report


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a report: what people call it, what its file is, and how it is written."""

    label: str
    suffix: str
    mime: str
    write: Callable[[Report], str]


FORMS: Final[Mapping[str, Form]] = {
    "markdown": Form("Markdown", ".md", "text/markdown", markdown),
    "html": Form("HTML", ".html", "text/html", webpage),
    "csv": Form("CSV", ".csv", "text/csv", spreadsheet),
}


def file_name(incident_id: str, form: Form) -> str:
    """The name of a report's file, whatever the incident's id holds."""
    return f"incident-{re.sub('[^A-Za-z0-9_-]+', '-', incident_id)}{form.suffix}"
