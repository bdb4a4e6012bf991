"""Evidence that a plain agent's results carry: what each claim rests on, and how sure the answer is."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, get_args

from tachograph.patterns.evidence import Source, evidence
from tachograph.patterns.values import identity, word
from tachograph.plain.reading import is_a, items, label, name, number, one_of, read, size, text, whole
from tachograph.run import current
from tachograph.telemetry.fingerprint import fingerprint
from tachograph.telemetry.recorder import active

if TYPE_CHECKING:
    from tachograph.patterns.routing import Combine
    from tachograph.patterns.run import Run
    from tachograph.plain.call import Call
    from tachograph.recording import Recording

_LISTS: Final = ("evidence", "citations")
_ID: Final = ("id", "document_id", "call_id")
_SOURCES: Final = get_args(Source)
_MOST: Final = 200  # bound of time: citations and documents of one result that are looked at


@dataclass(frozen=True, slots=True)
class Citation:
    """What one claim rests on; `ref` reads like an identifier or is a hash, `time` is ISO 8601."""

    claim: str
    source: Source
    ref: str | None
    producer: str | None
    time: str | None


_cited: ContextVar[set[Citation] | None] = ContextVar("tachograph_cited", default=None)


def remember(step: Recording) -> None:
    """Lets what happens inside of `step` know what was cited, unless a step around it does."""
    if _cited.get() is None:
        step.carry(_cited, set[Citation]())


def cite(result: object) -> None:
    """Records each item of a result's list of evidence; one that this request has cited already is not said again.

    What does not say claim and source in the registry's words is left alone: `evidence` may be anything.
    """
    found = [citation for item in _listed(read(result, *_LISTS)) if (citation := _citation(item)) is not None]
    known = _cited.get()
    for citation in dict.fromkeys(found):
        if known is None or citation not in known:
            evidence(
                citation.claim,
                source=citation.source,
                ref=citation.ref,
                producer=citation.producer,
                time=citation.time,
            )
    if known is not None and len(known) < _MOST:
        known.update(found)


def combined(step: Combine, call: Call, value: object) -> None:  # noqa: ARG001 - every reader is called alike
    """Reads the evidence that was put together."""
    cite(value)


def answer(run: Run, result: object) -> None:
    """Reads how many claims and assumptions an answer has, and how sure it is, where its result says so."""
    claims, assumptions = _count(read(result, "claims")), _count(read(result, "assumptions"))
    confidence = number(read(result, "confidence"))
    if confidence is not None and not 0 <= confidence <= 1:
        confidence = None
    if (claims, assumptions, confidence) != (None, None, None):
        run.answer(claims=claims, assumptions=assumptions, confidence=confidence)


def documents(result: object) -> list[str]:
    """The ids of the documents that a tool's result lists, as evidence refers to them."""
    found = [reference(name(item, *_ID)) for item in _listed(read(result, "documents"))]
    return [each for each in dict.fromkeys(found) if each is not None]


def reference(found: str | None) -> str | None:
    """An id as it is recorded: itself if it reads like an identifier, else a hash that the same id has everywhere."""
    if found is None or word(found) is not None:
        return identity(found)
    recorder = active()
    return fingerprint(found, recorder.hash_key if recorder is not None else None)


def _listed(value: object) -> tuple[Any, ...]:
    return () if is_a(value, dict, set, frozenset) else (items(value) or ())[:_MOST]


def _citation(item: object) -> Citation | None:
    claim, source = read(item, "claim"), one_of(read(item, "source"), _SOURCES)
    claim = str.__str__(claim) if is_a(claim, str) else text(claim) or text(read(claim, "id"))
    if claim is None or source is None:
        return None
    return Citation(
        reference(claim) or "",
        source,
        _pointing(name(read(item, "ref"), *_ID)),
        label(name(read(item, "producer"), "name")),
        _time(read(item, "time")),
    )


def _pointing(ref: str | None) -> str | None:
    run = current()
    return ref if run is not None and ref in run.call_ids else reference(ref)  # calls are on record as they are called


def _time(value: object) -> str | None:
    """A moment, its ISO text or seconds since 1970 as ISO text; None for what is no moment."""
    if type(value) is datetime:
        return value.isoformat()
    seconds, written = number(value), text(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC).isoformat()
        return datetime.fromisoformat(written).isoformat() if written is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def _count(value: object) -> int | None:
    return whole(value) if is_a(value, int) else size(value)
