"""What happens when the application sets a provider after instrument(): from then on all is as if it had come first.

Our spans and events are made by its provider and leave by its exporters, and by ours too where `endpoint=` asked for
that. Tracers and loggers that were made before hand theirs on. Metrics stay where they were counted so far.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider

from tachograph.registry.names import SCHEMA_VERSION
from tachograph.sampling.policy import sample_rate
from tachograph.telemetry.processor import SCOPE, log_tap, span_tap
from tachograph.telemetry.providers import LOGS, METRICS, TRACES, ForwardedLogs, ForwardedSpans, on_replaced, unwrapped
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from tachograph.config import Config
    from tachograph.telemetry.pipeline import Pipeline
    from tachograph.telemetry.recorder import Recorder

_log = logging.getLogger("tachograph")


def begin(pipeline: Pipeline, recorder: Recorder, config: Config) -> None:
    """Follows the application's providers until `end`."""
    exports = config.endpoint_given
    ours = (pipeline.spans.sinks, pipeline.logs.sinks)  # without those that watch() adds

    def tracers(provider: object) -> None:
        theirs = unwrapped(provider, TracerProvider)
        if theirs is None:
            _log.info("tachograph: the tracer provider that was set is not the SDK's; ours goes on beside it.")
            return
        old, new = pipeline.spans, span_tap(theirs)
        new.sinks = old.sinks if exports else tuple(sink for sink in old.sinks if sink not in ours[0])
        new.watch = old.watch if exports else None
        new.open, pipeline.spans, before, pipeline.tracers = True, new, pipeline.tracers, theirs
        old.open, old.sinks, old.watch = False, (), None
        before.add_span_processor(ForwardedSpans(theirs))
        recorder.sample_rate = sample_rate(theirs.sampler)
        if config.analyzer is not None:  # it works in our export, so content would leave by theirs without it
            recorder.capture = "off"
        recorder.spans = Spans(theirs.get_tracer(SCOPE, SCHEMA_VERSION))
        _log.info("tachograph: the application has set a tracer provider: spans go by it from now on.")

    def loggers(provider: object) -> None:
        theirs = unwrapped(provider, LoggerProvider)
        if theirs is None:
            _log.info("tachograph: the logger provider that was set is not the SDK's; ours goes on beside it.")
            return
        old, new = pipeline.logs, log_tap(theirs)
        new.sinks = old.sinks if exports else tuple(sink for sink in old.sinks if sink not in ours[1])
        new.open, pipeline.logs, before, pipeline.loggers = True, new, pipeline.loggers, theirs
        old.open, old.sinks = False, ()
        before.add_log_record_processor(ForwardedLogs(theirs))
        recorder.logger = theirs.get_logger(SCOPE, SCHEMA_VERSION)
        _log.info("tachograph: the application has set a logger provider: events go by it from now on.")

    on_replaced(TRACES, tracers)
    on_replaced(LOGS, loggers)


def end() -> None:
    """Follows no provider any more."""
    for signal in (TRACES, LOGS, METRICS):
        on_replaced(signal, None)
