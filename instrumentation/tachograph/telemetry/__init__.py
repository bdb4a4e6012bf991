"""How what the hooks see becomes OpenTelemetry data, and how tachograph keeps its own failures away from the agent."""
