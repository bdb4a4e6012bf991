"""Incidents: what an alert or somebody said is wrong, what was found out about it, and the report that ends it."""

from tachograph_analytics.incidents.firing import firing
from tachograph_analytics.incidents.incident import Incident, find, listed

__all__ = ["Incident", "find", "firing", "listed"]
