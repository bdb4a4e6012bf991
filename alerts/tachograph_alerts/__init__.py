"""Alert rules, Alertmanager routing and runbooks, generated from alerts.toml and the registry."""
