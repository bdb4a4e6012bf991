from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    ParentBased,
    ParentBasedTraceIdRatio,
    TraceIdRatioBased,
)

from tachograph.telemetry.pipeline import sample_rate


@pytest.mark.parametrize(
    ("sampler", "rate"),
    [
        (ALWAYS_ON, 1.0),
        (DEFAULT_ON, 1.0),
        (TraceIdRatioBased(0.13), 0.13),
        (ParentBased(TraceIdRatioBased(0.17)), 0.17),
        (ParentBasedTraceIdRatio(0.11), 0.11),
        (ALWAYS_OFF, None),
        (ParentBased(ALWAYS_OFF), None),
    ],
)
def test_the_rate_is_what_the_sampler_says_and_unknown_where_it_says_none(sampler, rate):
    assert sample_rate(sampler) == rate
