"""Whether an audit file is what was written: every line, every link, and what the store has of it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tachograph.audit.chain import FILED, KEYED
from tachograph.audit.entry import TIME
from tachograph.audit.lines import Line, lines
from tachograph.errors import UsageError
from tachograph.registry import names as n

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

What = Literal[
    "unreadable", "edited", "foreign", "inserted", "missing", "moved", "replaced", "cut", "contradicted", "forged"
]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at one line, in a word and in a sentence."""

    line: int
    what: What
    sentence: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store has of one entry."""

    chain: str
    sequence: int
    hash: str
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What is true of one file. `vouched` counts its entries, from the first, that are as they were written.

    `torn` is the line that the process could not finish; `stored` counts the entries that the store has too, and is
    None where no store was asked.
    """

    path: str
    chain: str | None
    agent: str | None
    begun: str | None
    entries: int
    vouched: int
    torn: int | None
    stored: int | None
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, dropped, moved or added."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Absent:
    """A chain that the store knows to be kept in a file, and that none of the files is."""

    chain: str
    agent: str | None
    entries: int


def verify(path: Path, key: bytes | None, stored: Mapping[str, Mapping[int, str]] | None = None) -> Checked:
    """What is true of a file; `stored` is hash by sequence by chain. UsageError without the key that it needs."""
    read = list(lines(path, key))
    torn = next((line.number for line in read if line.torn), None)
    whole = [line for line in read if not line.torn]
    first = whole[0].record if whole else None
    if key is None and first is not None and first.get(KEYED) is True:
        raise UsageError(f"{path} is keyed: set TACHOGRAPH_AUDIT_KEY to the key that the agent had.")
    chain = None if first is None else str(first[n.AUDIT_CHAIN])
    known = None if stored is None or chain is None else stored.get(chain, {})
    findings = tuple(sorted(_findings(whole, chain, key, known or {}), key=lambda finding: finding.line))
    entries = max(0, len(whole) - 1)  # the first record begins the chain
    return Checked(
        str(path),
        chain,
        _text(first, n.GEN_AI_AGENT_NAME),
        _text(first, TIME),
        entries,
        max(0, findings[0].line - 2) if findings else entries,
        torn,
        None if known is None else len({line.sequence for line in whole} & known.keys()),
        findings,
    )


def by_chain(rows: Iterable[Stored]) -> dict[str, dict[int, str]]:
    """The store's rows as `verify` looks them up."""
    found: dict[str, dict[int, str]] = {}
    for row in rows:
        found.setdefault(row.chain, {})[row.sequence] = row.hash
    return found


def absent(rows: Iterable[Stored], checked: Iterable[Checked]) -> list[Absent]:
    """The chains of the store that were in a file once and are in none of the files now."""
    here = {each.chain for each in checked}
    found: dict[str, Absent] = {}
    for row in rows:
        if row.chain.startswith(f"{FILED}_") and row.chain not in here:
            before = found.get(row.chain)
            found[row.chain] = Absent(row.chain, row.agent, 1 + (before.entries if before else 0))
    return list(found.values())


def _text(record: dict[str, Any] | None, name: str) -> str | None:
    value = None if record is None else record.get(name)
    return value if isinstance(value, str) else None


def _findings(whole: list[Line], chain: str | None, key: bytes | None, stored: Mapping[int, str]) -> Iterator[Finding]:
    if not whole:
        if stored:
            yield Finding(1, "cut", "the file has no line")
        return
    if key is not None and not any(line.sound for line in whole):
        why = "it was written without one, or anew by somebody who has none" if _keyless(whole[0]) else "another's"
        yield Finding(1, "forged", f"no line fits the key: {why}")
        return
    yield from _of_themselves(whole, chain)
    sound = [line for line in whole if _fits(line, chain)]
    genuine = _genuine(sound)
    yield from _in_order(whole, chain, genuine)
    yield from _linked(genuine)
    yield from _against(genuine, stored, len(whole) + 1)


def _keyless(line: Line) -> bool:
    return line.record is not None and line.record.get(KEYED) is False


def _fits(line: Line, chain: str | None) -> bool:
    return line.record is not None and line.sound and line.record[n.AUDIT_CHAIN] == chain


def _of_themselves(whole: list[Line], chain: str | None) -> Iterator[Finding]:
    for begin, end in _runs([line.number for line in whole if line.record is not None and not line.sound]):
        until = "" if begin == end else f", and so do all until line {end}"
        yield Finding(begin, "edited", f"this line contradicts its hash{until}")
    for line in whole:
        if line.record is None:
            yield Finding(line.number, "unreadable", "this line is no record")
        elif line.sound and line.record[n.AUDIT_CHAIN] != chain:
            yield Finding(line.number, "foreign", f"this line belongs to the chain {line.record[n.AUDIT_CHAIN]}")


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """First and last of the numbers that follow each other."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _genuine(sound: list[Line]) -> dict[int, Line]:
    """One line for each sequence: of several, the one that a next record is tied to, else the first."""
    tied = {line.record[n.AUDIT_PREVIOUS] for line in sound if line.record is not None}
    found: dict[int, Line] = {}
    for line in sound:
        before = found.get(line.sequence)
        if before is None or (line.hash in tied and before.hash not in tied):
            found[line.sequence] = line
    return found


def _in_order(whole: list[Line], chain: str | None, genuine: Mapping[int, Line]) -> Iterator[Finding]:
    """What is missing, was moved or added; a line that cannot be trusted may stand for a missing one."""
    known = sorted(genuine)
    wanted = doubtful = 0
    for line in whole:
        if not _fits(line, chain):
            doubtful += 1
            continue
        place = line.sequence
        if genuine[place] is not line:
            yield Finding(line.number, "inserted", f"a second entry {place}, which no other is tied to")
            continue
        if place < wanted:
            yield Finding(line.number, "moved", f"entry {place} stands behind entry {wanted - 1}")
        elif place > wanted:
            later = bisect_left(known, place) - bisect_left(known, wanted)
            gone = place - wanted - later
            if gone > doubtful:
                which = (
                    f"{gone} of the entries {wanted} to {place - 1} are" if place - wanted > 1 else f"entry {wanted} is"
                )
                yield Finding(line.number, "missing", f"{which} missing here")
            elif later:
                yield Finding(line.number, "moved", f"entry {place} stands where entry {wanted} was")
        wanted, doubtful = max(wanted, place + 1), 0


def _linked(genuine: Mapping[int, Line]) -> Iterator[Finding]:
    for place, line in genuine.items():
        before = genuine.get(place - 1)
        if before is not None and line.record is not None and line.record[n.AUDIT_PREVIOUS] != before.hash:
            sentence = f"entry {place} was tied to another entry {place - 1} than the one that stands here"
            yield Finding(before.number, "replaced", sentence)


def _against(genuine: Mapping[int, Line], stored: Mapping[int, str], after: int) -> Iterator[Finding]:
    """What the store says otherwise: it got each entry only when it was in the file."""
    last = max(genuine, default=-1)
    for place in sorted(stored.keys() & genuine.keys()):
        if stored[place] != genuine[place].hash:
            yield Finding(genuine[place].number, "contradicted", f"the store has another entry {place}")
    later = [place for place in stored if place > last]
    if later:
        sentence = f"the store has entries up to {max(later)}, and {len(later)} of them stood behind this end"
        yield Finding(after, "cut", sentence)
