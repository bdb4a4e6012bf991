"""instrument(): plan, install, report, undo. One call makes a process observable; a second one changes nothing."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

from tachograph.config import Capture, MetricsMode, OtlpProtocol, read
from tachograph.errors import UsageError
from tachograph.privacy.redaction import Redaction, redact
from tachograph.registry.names import HOOKS
from tachograph.telemetry.guard import failed, guarded
from tachograph.telemetry.recorder import Clock, Ids, Recorder, activate, random_id

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from os import PathLike
    from pathlib import Path
    from types import ModuleType

    from tachograph.audit.writer import AuditLog
    from tachograph.config import Config
    from tachograph.plain.install import Adoption, Hooked, Skipped
    from tachograph.privacy.analyzer import Analyzer
    from tachograph.telemetry.pipeline import Pipeline
    from tachograph.telemetry.processor import SpanSink

_log = logging.getLogger("tachograph")
_PATIENCE_S = 2.0  # for another thread's instrument(), which takes some tenths of a second
_PRINTED = Redaction(max_length=1 << 20)  # a report is printed in full, and may be put into a log


@dataclass(frozen=True, slots=True)
class Report:
    """What instrument() did: hooks installed, what was skipped and why, what was not recognised, where telemetry goes.

    `hooks` are the registry's names of all hooks known to be installed for the agent; a detection that needs another
    one says "not instrumented".
    """

    agent: str
    hooked: tuple[Hooked, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    unrecognised: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    already: bool = False

    @guarded("instrument", "tachograph: the report cannot be shown")
    def __str__(self) -> str:
        lines = [f"tachograph: {self.agent}: {len(self.hooked)} hooked, {len(self.skipped)} skipped"]
        lines += [f"  + {h.where}.{h.name} as {h.hook} (by {h.by})" for h in self.hooked]
        lines += [f"  - {s.where}.{s.name}: {s.reason}" for s in self.skipped]
        if self.unrecognised:
            names = ", ".join(self.unrecognised)
            lines.append(f"  ? not recognised, so not recorded: {names} (mapping={{own name: convention name}} says)")
        return redact("\n".join([*lines, *(f"  {note}" for note in self.notes)]), _PRINTED).text


@dataclass(slots=True)
class _Installed:
    """What one instrument() call has to undo."""

    report: Report
    recorder: Recorder
    pipeline: Pipeline
    undo: tuple[Callable[[], None], ...]
    adoption: Adoption | None = None

    def extended(self) -> Report:
        """The report, with what was adopted since."""
        if self.adoption is None:
            return self.report
        report, adopted = self.report, self.adoption.installation
        return replace(
            report,
            hooked=(*report.hooked, *adopted.hooked),
            skipped=(*report.skipped, *adopted.skipped),
            unrecognised=(*report.unrecognised, *adopted.unrecognised),
            hooks=self.recorder.hooks(report.agent),
        )


_lock = threading.RLock()
_changing = False
_installed: _Installed | None = None


@contextmanager
def _alone(patience_s: float) -> Generator[bool]:
    """Whether this call may change what is installed until the end of the block.

    Not where another thread does for longer than that, nor in a signal handler that interrupted a call which does.
    """
    global _changing  # noqa: PLW0603 - one process is instrumented once
    if not _lock.acquire(timeout=patience_s):
        yield False
        return
    before, _changing = _changing, True
    try:
        yield not before
    finally:
        _changing = before
        _lock.release()


def instrument(
    target: object = None,
    *,
    mapping: Mapping[str, str] | None = None,
    frameworks: Iterable[str] | None = None,
    service_name: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    protocol: OtlpProtocol | None = None,
    expects: Iterable[str] = (),
    metrics: MetricsMode | None = None,
    metrics_port: int | None = None,
    sample_rate: float | None = None,
    capture: Capture | None = None,
    analyzer: Analyzer | None = None,
    log_ids: bool | None = None,
    audit_log: AuditLog | None = None,
    audit_dir: str | PathLike[str] | None = None,
    clock: Clock | None = None,
    ids: Ids = random_id,
) -> Report:
    """Makes this process observable and returns a report of what was hooked, what was not, and why.

    `target` is a module, class, instance or list of a plain Python agent, hooked by naming convention; `mapping`
    names its functions where they are called otherwise: {own name: convention name}. `service_name` is the agent's
    name. `endpoint` is an OTLP base URL (default OTEL_EXPORTER_OTLP_ENDPOINT, then http://127.0.0.1:4318), `protocol`
    http/protobuf or grpc (default OTEL_EXPORTER_OTLP_PROTOCOL, then http/protobuf).
    `expects` names hooks that the agent is supposed to run through: one that never does is then a finding, not "not
    instrumented". `metrics` is prometheus (/metrics on `metrics_port`, default 9464), otlp or none. `sample_rate`
    is the share of traces that leave beside those with something notable in them (default 1). `capture` says whether
    content is recorded: off, redacted or full; `analyzer`, Presidio's say, finds names and addresses in what leaves.
    `log_ids=False` leaves the host's log records as they are. `audit_log` also gets every audit entry; `audit_dir` is
    the folder of a file in which they are chained. Providers that the application has set are used.

    Raises UsageError for a setting or mapping that cannot be meant; nothing else. A second call is a no-op.
    """
    agent = service_name or "agent"
    undo: list[Callable[[], None]] = []
    try:
        expects = _known(expects)
        _check_parts(audit_log, clock, ids)
        config = read(
            service_name=service_name,
            endpoint=endpoint,
            headers=headers,
            protocol=protocol,
            metrics=metrics,
            metrics_port=metrics_port,
            sample_rate=sample_rate,
            capture=capture,
            analyzer=analyzer,
            log_ids=log_ids,
            audit_dir=audit_dir,
        )
        agent = config.service_name
        with _alone(_PATIENCE_S) as alone:
            if not alone:
                return Report(agent, notes=("another call of instrument() is under way: this one changes nothing.",))
            if _installed is not None:
                return replace(_installed.extended(), already=True)
            if config.disabled:
                return Report(agent, notes=("OTEL_SDK_DISABLED is set: nothing is recorded.",))
            return _begin(
                config,
                target,
                mapping,
                undo,
                expects=expects,
                frameworks=frameworks,
                clock=clock,
                ids=ids,
                audit_log=audit_log,
            )
    except BaseException as error:
        _take_back(undo)
        if isinstance(error, UsageError) or not isinstance(error, Exception):
            raise
        failed("instrument", error)
        return Report(agent, notes=(f"nothing is recorded: {type(error).__name__}: {error}",))


def _begin(
    config: Config,
    target: object,
    mapping: Mapping[str, str] | None,
    undo: list[Callable[[], None]],
    *,
    expects: Iterable[str],
    frameworks: Iterable[str] | None,
    clock: Clock | None,
    ids: Ids,
    audit_log: AuditLog | None,
) -> Report:
    """Does what instrument() says; `undo` gets what takes each step back, also when a later one fails."""
    global _installed  # noqa: PLW0603 - one process is instrumented once
    from tachograph.plain.install import Adoption, install
    from tachograph.telemetry.correlation import correlate
    from tachograph.telemetry.threads import carry

    adoption = Adoption(mapping) if target is None else None
    plain = install(target, mapping) if target is not None else None
    if plain is not None:
        undo.append(plain.undo)
    if adoption is not None:
        undo.append(lambda: adoption.installation.undo())  # noqa: PLW0108 - what it will have done by then
    from tachograph.telemetry.pipeline import connect  # here: the SDK reads some of OTEL_* as it is imported

    pipeline = connect(config)
    undo.insert(0, pipeline.close)  # the last to be undone: it tells what failed until then
    recorder = pipeline.recorder(config, clock=clock, ids=ids, audit_log=audit_log)
    for hook in ("export", "processor", "instrument", "audit", *expects, *(plain.hooks if plain else ())):
        recorder.cover(hook, config.service_name)
    undo.append(pipeline.tally_failures())
    if config.log_ids:
        undo.append(correlate())
    undo.append(carry())
    notes = (
        *pipeline.notes,
        *_capture_notes(config.capture),
        *_audit_notes(config.audit_dir),
        *_framework_notes(frameworks),
    )
    report = Report(
        config.service_name,
        plain.hooked if plain else (),
        plain.skipped if plain else (),
        plain.unrecognised if plain else (),
        notes,
        recorder.hooks(config.service_name),
    )
    _installed = _Installed(report, recorder, pipeline, tuple(undo), adoption)
    activate(recorder)
    return report


def _take_back(undo: Sequence[Callable[[], None]]) -> None:
    for step in reversed(undo):
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the next thing is undone whatever happens to this one
            failed("instrument", error)


@guarded("instrument", None)
def adopt(module: ModuleType, name: str) -> None:
    """Hooks what `name` stands for in a module that has just bound it, if instrument() was called without a target.

    For programs whose modules are loaded after instrument(): the report and uninstrument() include it. Never raises.
    """
    installed = _installed
    if installed is None or installed.adoption is None:
        return
    agent = installed.report.agent
    for hook in installed.adoption.adopt(module, name).difference(installed.recorder.hooks(agent)):
        installed.recorder.cover(hook, agent)


@guarded("instrument", cast("Report | None", None))
def report() -> Report | None:
    """The report of instrument() with what was adopted since; None where nothing is recorded."""
    return None if _installed is None else _installed.extended()


@guarded("instrument", None)
def watch(sink: SpanSink) -> None:
    """Hands every span that ends in this process to `sink` too, until uninstrument()."""
    if _installed is not None:
        _installed.pipeline.spans.sinks += (sink,)


def _known(expects: Iterable[str]) -> tuple[str, ...]:
    """The expected hooks; a mistyped one would never be missed."""
    if isinstance(expects, str):
        raise UsageError(f"expects={expects!r} is one text; give a list of hooks, like [{expects!r}].")
    try:
        wanted = tuple(expects)
    except TypeError:
        raise UsageError(f"expects is of type {type(expects).__name__}; give a list of names of hooks.") from None
    for hook in wanted:
        if not isinstance(hook, str):  # pyright: ignore[reportUnnecessaryIsInstance] - nobody checks the host's types
            raise UsageError(
                f"expects has something of type {type(hook).__name__} in it; give a list of names of hooks."
            )
        if hook not in HOOKS:
            near = ", ".join(get_close_matches(hook, HOOKS, n=3)) or ", ".join(HOOKS)
            raise UsageError(f"expects={hook!r} is no hook of tachograph; did you mean {near}?")
    return wanted


def _check_parts(audit_log: AuditLog | None, clock: Clock | None, ids: Ids) -> None:
    """Raises UsageError for a part of the host's that could never be used."""
    if audit_log is not None and not callable(getattr(audit_log, "append", None)):
        raise UsageError(f"audit_log is of type {type(audit_log).__name__}, which has no append(entry).")
    if clock is not None and not callable(clock):  # pyright: ignore[reportUnnecessaryComparison] - as above
        raise UsageError(f"clock is of type {type(clock).__name__}; give a function of nanoseconds since 1970.")
    if not callable(ids):
        raise UsageError(f"ids is of type {type(ids).__name__}; give a function that gives 16 hex digits.")


def _capture_notes(capture: Capture) -> tuple[str, ...]:
    return () if capture == "off" else (f"capture is {capture}: content of runs, LLM calls and tools is recorded",)


def _audit_notes(folder: Path | None) -> tuple[str, ...]:
    if folder is None:
        return ()
    from tachograph.audit.file import prepare

    return (prepare(folder),)


def _framework_notes(frameworks: Iterable[str] | None) -> tuple[str, ...]:
    asked = tuple(frameworks or ())
    return (
        (f"frameworks {', '.join(asked)}: no adapter is part of this version; only plain Python is hooked.",)
        if asked
        else ()
    )


def uninstrument() -> None:
    """Restores every original object, sends what is left and closes /metrics; the application's providers stay."""
    global _installed
    with _alone(_PATIENCE_S) as alone:
        if not alone:
            return
        installed, _installed = _installed, None
    if installed is None:
        return
    activate(None)
    _take_back(installed.undo)


def flush(timeout_s: float = 10.0) -> bool:
    """Sends what is waiting; True when all of it was delivered within `timeout_s` seconds."""
    installed = _installed
    if installed is None:
        return True
    try:
        return installed.pipeline.flush(timeout_s)
    except Exception as error:  # noqa: BLE001 - a failing flush is False, never the host's failure
        failed("export", error)
        return False


@guarded("instrument", b"")
def exposition() -> bytes:
    """The process's /metrics in the text format; empty where no such endpoint was asked for."""
    installed = _installed
    return installed.pipeline.exposition() if installed is not None else b""
