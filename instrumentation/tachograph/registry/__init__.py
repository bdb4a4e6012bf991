"""The registry: every name that tachograph records, draws or alerts on, said once in registry.toml."""

from tachograph.registry.model import (
    Attribute,
    Detection,
    EventType,
    MetricType,
    Registry,
    SpanType,
    View,
    load,
)

__all__ = ["Attribute", "Detection", "EventType", "MetricType", "Registry", "SpanType", "View", "load"]
