"""Telemetry out of files: what OTLP exporters and the OpenTelemetry Collector write, back into a store."""
