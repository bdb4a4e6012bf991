"""What `tachograph run` says when the program is over."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tachograph.launch.journal import Journal, RunEntry
    from tachograph.launch.receiver import RunStore

_SHOWN = 5  # runs
_NAMED = 12  # functions that could be mapped
_CENT = 0.01  # below it four decimals say little


def lines(journal: Journal, agent: str, store: RunStore | None, where: str, *, queryable: bool) -> Iterator[str]:
    """The lines; `where` is the receiver's address, for when it is not known whose it is."""
    if not journal.begun:
        return  # we or Python said why
    if not journal.runs:
        yield from _nothing(journal, agent)
        return
    count = len(journal.runs)
    yield f"tachograph: {count} {'run' if count == 1 else 'runs'} of {agent} recorded"
    unsent = sum(not run.sent for run in journal.runs)
    if unsent:
        yield f"  {unsent} of them in forked processes, which may not all have arrived"
    if count > _SHOWN:
        yield f"  the last {_SHOWN}:"
    for run in journal.runs[-_SHOWN:]:
        yield f"  {_run(run)}"
    yield from _links(_linked(journal.runs).id, store, where)
    if store is not None and not queryable:
        yield "  (the store is still reading it in)"
    yield from _unmet(journal)


def _linked(runs: Sequence[RunEntry]) -> RunEntry:
    """The last run that can be found there, as far as is known."""
    return next((run for run in reversed(runs) if run.sent), runs[-1])


def _run(run: RunEntry) -> str:
    return f"{run.id}  {run.outcome or 'suspended'}  {_usd(run.cost)}  {run.seconds:.2f} s"


def _usd(cost: float | None) -> str:
    if cost is None:
        return "no price"
    return f"${cost:.4f}" if cost >= _CENT or not cost else f"${cost:.2g}"


def _links(run_id: str, store: RunStore | None, where: str) -> Iterator[str]:
    if store is None:
        yield f"  sent to {where}; with its store: tachograph trace {run_id}"
        return
    app = store.app()
    if app is not None:
        yield f"  {app}/run?run={quote(run_id, safe='')}"
    else:
        yield f"  tachograph app --home {store.path}"
    yield f"  tachograph trace {run_id} --home {store.path}"


def _nothing(journal: Journal, agent: str) -> Iterator[str]:
    yield f"tachograph: no run of {agent} was recorded"
    if journal.hooked is None:
        return  # it was ended before it could say what it recognised
    if not journal.hooked:
        yield "  no function has a name of the convention (docs/patterns)"
    else:
        yield f"  {journal.hooked} hooked, and none that begins a run was called"
    if journal.unrecognised:
        names = ", ".join(journal.unrecognised[:_NAMED]) + (", …" if len(journal.unrecognised) > _NAMED else "")
        yield f"  not recognised: {names}"
        yield f"  say what they are, for instance --mapping {journal.unrecognised[0]}=handle"
    yield from _unmet(journal)


def _unmet(journal: Journal) -> Iterator[str]:
    if journal.unmet:
        yield f"  --mapping names what was never defined or cannot be hooked: {', '.join(journal.unmet)}"
