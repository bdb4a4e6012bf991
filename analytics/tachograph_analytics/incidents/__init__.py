"""Incidents: what alerts say is wrong, from the moment they fire until it is resolved."""

from tachograph_analytics.incidents.firing import Incident, firing

__all__ = ["Incident", "firing"]
