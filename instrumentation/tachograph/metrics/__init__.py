"""How values of metrics become OpenTelemetry's, and how they leave: on /metrics, for all processes, or pushed."""
