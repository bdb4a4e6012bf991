"""Reference agents, plain Python that knows nothing of telemetry, and the command that runs them."""
