"""Which share of traces is kept: by instrument(), TACHOGRAPH_SAMPLE_RATE, or OpenTelemetry's variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_OFF, DEFAULT_ON, TraceIdRatioBased

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace.sampling import Sampler

_SAMPLER: Final = "OTEL_TRACES_SAMPLER"
_ARGUMENT: Final = "OTEL_TRACES_SAMPLER_ARG"
_KEEPS_ALL: Final = frozenset({"always_on", "parentbased_always_on"})
_KEEPS_NONE: Final[dict[str, Sampler]] = {"always_off": ALWAYS_OFF, "parentbased_always_off": DEFAULT_OFF}
_RATIO: Final = frozenset({"traceidratio", "parentbased_traceidratio"})


@dataclass(frozen=True, slots=True)
class Policy:
    """How our own provider samples when a trace begins, and the share of traces that leaves when they have ended.

    `sampler` keeps what the caller of a trace keeps. `off`: it begins no traces, so events have to follow it.
    """

    sampler: Sampler = DEFAULT_ON
    rate: float = 1.0
    off: bool = False
    notes: tuple[str, ...] = ()


def policy(rate: float | None, environ: Mapping[str, str] = os.environ) -> Policy:
    """The policy of our own provider; `rate` is what tachograph's own settings ask for, None where they are silent."""
    name = environ.get(_SAMPLER, "").strip()
    if rate is not None:
        passed_over = (f"{_SAMPLER}={name} is passed over: the sample rate is {rate:g}",) if name else ()
        return _tail(rate, *passed_over)
    match name.lower():
        case known if not known or known in _KEEPS_ALL:
            return Policy()
        case known if known in _KEEPS_NONE:
            note = f"{_SAMPLER}={name}: no trace begins here; metrics and audit entries go on"
            return Policy(_KEEPS_NONE[known], off=True, notes=(note,))
        case known if known in _RATIO:
            return _of_ratio(environ.get(_ARGUMENT, "").strip())
        case _:
            return Policy(notes=(f"{_SAMPLER}={name} is passed over: every trace is kept that its caller keeps",))


def _of_ratio(text: str) -> Policy:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:  # OpenTelemetry's specification: an argument that makes no sense is 1.0
        return Policy(notes=(f"{_ARGUMENT} is {text!r}; it can be a share from 0 to 1, and every trace is kept",))
    return _tail(rate)


def _tail(rate: float, *notes: str) -> Policy:
    if rate >= 1:
        return Policy(notes=notes)
    share = f"sampled: {rate:g} of the traces leave, and all that have something notable in them; metrics count all"
    return Policy(rate=rate, notes=(*notes, share))


def unsampled(rate: float | None) -> tuple[str, ...]:
    """The notes for traces that an application's provider exports: our rate means nothing to it."""
    if rate is None or rate >= 1:
        return ()
    return (f"sample_rate={rate:g} is passed over: the application's tracer provider exports, and samples, by itself",)


def sample_rate(sampler: Sampler) -> float | None:
    """The share of traces that a sampler begins; None for one that cannot be asked."""
    root: object = getattr(
        sampler, "_root", sampler
    )  # a sampler that follows the parent has another for the first span
    if isinstance(root, TraceIdRatioBased):
        return root.rate
    return 1.0 if root is ALWAYS_ON else None
