"""Grafana dashboards as functions of the registry, generated as JSON."""
