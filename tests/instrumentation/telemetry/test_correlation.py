"""The ids on the host's own log records: inside of a run, outside of one, and where the host wants none."""

from __future__ import annotations

import copy
import io
import logging
import os
import pickle
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider

import tachograph
from tachograph.config import read
from tachograph.errors import UsageError
from tachograph.telemetry.correlation import correlate
from tachograph.testing import recording

if TYPE_CHECKING:
    from collections.abc import Generator

FORMAT = "%(message)s run=%(tachograph_run_id)s trace=%(tachograph_trace_id)s span=%(tachograph_span_id)s"


@contextmanager
def correlated() -> Generator[None]:
    stop = correlate()
    try:
        yield
    finally:
        stop()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Generator[tuple[logging.Logger, io.StringIO]]:
    """A logger whose format names the ids; an error in formatting fails the test."""
    logger, out = logging.getLogger("host of ids"), io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    errors: list[logging.LogRecord] = []
    monkeypatch.setattr(handler, "handleError", errors.append)
    yield logger, out
    logger.removeHandler(handler)
    assert errors == []


def test_a_line_inside_of_a_run_names_run_trace_and_innermost_span_and_one_outside_names_nothing(log):
    logger, out = log
    with correlated(), recording() as recorded:
        with tachograph.run() as run:
            logger.warning("in run")
            with tachograph.tool("lookup"):
                logger.warning("in tool")
        logger.warning("outside")
    tool, outer = recorded.sdk_spans()
    trace_id = f"{outer.context.trace_id:032x}"
    assert out.getvalue().splitlines() == [
        f"in run run={run.id} trace={trace_id} span={outer.context.span_id:016x}",
        f"in tool run={run.id} trace={trace_id} span={tool.context.span_id:016x}",
        "outside run= trace= span=",
    ]


def test_a_span_of_the_host_outside_of_a_run_is_the_hosts_own_affair(log):
    logger, out = log
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("host")
    with correlated(), recording(), tracer.start_as_current_span("request"):
        logger.warning("outside")
    assert out.getvalue() == "outside run= trace= span=\n"


def test_the_names_leave_those_of_opentelemetrys_logging_instrumentation_alone(caplog):
    original = logging.getLogRecordFactory()

    def theirs(*args, **kwargs):
        record = original(*args, **kwargs)
        record.otelTraceID, record.otelSpanID = "0", "0"
        return record

    logging.setLogRecordFactory(theirs)
    try:
        with correlated(), recording(), tachograph.run() as run:
            logging.getLogger("host").warning("inside")
    finally:
        logging.setLogRecordFactory(original)
    (record,) = caplog.records
    assert (record.otelTraceID, record.otelSpanID, record.tachograph_run_id) == ("0", "0", run.id)


def test_an_extra_of_one_of_our_names_is_the_hosts_and_the_others_stay_ours(log, caplog):
    logger, out = log
    with correlated(), recording(), tachograph.run():
        logger.warning("mine", extra={"tachograph_run_id": "r-13"})
        with pytest.raises(KeyError, match="Attempt to overwrite 'name' in LogRecord"):
            logger.warning("refused as ever", extra={"name": "x"})  # noqa: G101 - what is refused
    (record,) = caplog.records
    assert record.tachograph_run_id == "r-13"
    assert out.getvalue().startswith("mine run=r-13 trace=0")


@pytest.mark.parametrize(
    ("style", "text"), [("%", FORMAT), ("{", "{tachograph_run_id}"), ("$", "${tachograph_run_id}")]
)
def test_each_style_of_format_finds_them_with_and_without_defaults(style, text, caplog):
    with correlated(), recording(), tachograph.run() as run:
        logging.getLogger("host").warning("inside")
    for defaults in (None, {"tachograph_run_id": "", "other": "x"}):
        assert run.id in logging.Formatter(text, style=style, defaults=defaults).format(caplog.records[0])


def test_a_record_that_leaves_the_process_is_made_of_nothing_of_ours(caplog):
    with correlated(), recording(), tachograph.run() as run:
        logging.getLogger("host").warning("inside")
    (record,) = caplog.records
    sent = pickle.dumps(copy.copy(record))
    assert b"tachograph.telemetry" not in sent
    arrived = pickle.loads(sent)  # noqa: S301 - made a line above
    assert (type(arrived.__dict__), arrived.tachograph_run_id) == (dict, run.id)


def test_a_record_that_takes_no_attributes_is_logged_as_it_is():
    class Bare:
        __slots__ = ()

    original = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *_args, **_kwargs: Bare())
    try:
        with correlated(), recording(), tachograph.run():
            assert isinstance(logging.getLogRecordFactory()("host"), Bare)
    finally:
        logging.setLogRecordFactory(original)


def test_what_was_wrapped_around_ours_stays_and_gets_no_ids_any_more(caplog):
    before = logging.getLogRecordFactory()
    with correlated():
        ours = logging.getLogRecordFactory()
        logging.setLogRecordFactory(partial(ours))
        theirs = logging.getLogRecordFactory()
    try:
        assert logging.getLogRecordFactory() is theirs
        with recording(), tachograph.run():
            logging.getLogger("host").warning("inside")
        assert not hasattr(caplog.records[0], "tachograph_run_id")
    finally:
        logging.setLogRecordFactory(before)


SCRIPT = """
import logging, tachograph
tachograph.instrument(metrics="none", endpoint="http://127.0.0.1:9"{arguments})
with tachograph.run():
    record = logging.getLogRecordFactory()("host", 30, "", 1, "m", (), None)
print(sorted(name for name in vars(record) if name.startswith("tachograph_")))
tachograph.uninstrument()
print(logging.getLogRecordFactory() is logging.LogRecord)
"""
ALL = "['tachograph_run_id', 'tachograph_span_id', 'tachograph_trace_id']"


@pytest.mark.parametrize(
    ("arguments", "variable", "names"),
    [
        ("", None, ALL),
        ("", "off", "[]"),
        (", log_ids=False", None, "[]"),
        (", log_ids=True", "off", ALL),
    ],
)
def test_the_ids_can_be_turned_off(arguments, variable, names):
    environment = {name: value for name, value in os.environ.items() if name != "TACHOGRAPH_LOG_IDS"}
    environment |= {"TACHOGRAPH_PATIENCE": "0"} | ({"TACHOGRAPH_LOG_IDS": variable} if variable else {})
    script = [sys.executable, "-W", "error", "-c", SCRIPT.format(arguments=arguments)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert done.stdout.splitlines() == [names, "True"]


def test_settings_that_cannot_be_meant_are_refused():
    assert read(environ={"TACHOGRAPH_LOG_IDS": " Off "}).log_ids is False
    assert read(environ={"TACHOGRAPH_LOG_IDS": ""}).log_ids is True
    assert [read(environ={"TACHOGRAPH_BAGGAGE": mode}).baggage for mode in ("on", "Send", "off", "")] == [
        *("on", "send", "off", "send")
    ]
    with pytest.raises(UsageError, match="TACHOGRAPH_LOG_IDS is 'some'; it can be on or off"):
        read(environ={"TACHOGRAPH_LOG_IDS": "some"})
    with pytest.raises(UsageError, match="TACHOGRAPH_BAGGAGE is 'some'; it can be on, send or off"):
        read(environ={"TACHOGRAPH_BAGGAGE": "some"})
