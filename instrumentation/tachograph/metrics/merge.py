"""Families of several processes as one page: what adds up is added, of any other gauge the greatest is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import Metric as Family
from prometheus_client.samples import Exemplar

from tachograph.metrics.families import LASTING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Page = list[dict[str, Any]]  # families as JSON: what one process sends to another and keeps in a file

_LE: Final = "le"


def page_of(families: Iterable[Family], summed: Collection[str]) -> Page:
    """Families as JSON; `summed` names the gauges that add up over processes."""
    return [
        {
            "name": family.name,
            "brief": family.documentation,
            "kind": family.type,
            "sums": family.type in {"counter", "histogram"} or family.name in summed,
            "samples": [
                [sample.name, sample.labels, sample.value, _said(sample.exemplar)] for sample in family.samples
            ],
        }
        for family in families
    ]


@dataclass(slots=True)
class _Sample:
    name: str
    labels: dict[str, str]
    value: float
    exemplar: Exemplar | None


# The samples of one label set, by their name and their bound: a histogram has many, anything else one.
_Group = dict[tuple[str, str], _Sample]


@dataclass(slots=True)
class _Merged:
    """One family of several processes."""

    name: str
    brief: str
    kind: str
    sums: bool
    groups: dict[frozenset[tuple[str, str]], _Group] = field(default_factory=dict[frozenset[tuple[str, str]], _Group])


class Merger:
    """Adds pages up, family by family, in the order in which they come.

    Counters, histograms and up-down counters are added; of a gauge that does not add up the greatest value stays; of
    `target_info` the labels stay that all processes share; of exemplars the newest. Where one name is of two kinds the
    first one stays.
    """

    def __init__(self) -> None:
        self._families: dict[str, _Merged] = {}

    def add(self, page: Page, *, ended: bool = False) -> None:
        """Adds one process; of one that has ended the gauges are left out: nothing is in use there any more.

        Those in `LASTING` stay, as another process may take down what this one has put up.
        """
        for said in page:
            if not ended or said["kind"] != "gauge" or said["name"] in LASTING:
                self._add(said)

    def _add(self, said: dict[str, Any]) -> None:
        family = self._families.get(said["name"])
        if family is None:
            family = self._families[said["name"]] = _Merged(said["name"], said["brief"], said["kind"], said["sums"])
        if family.kind != said["kind"]:
            return
        groups = _groups(said["samples"])
        if family.kind == "info" and family.groups:
            family.groups = _shared(family.groups, groups)
            return
        for key, group in groups.items():
            known = family.groups.get(key)
            if known is None:
                family.groups[key] = group
            else:
                _add_group(known, group, sums=family.sums)

    def page(self) -> Page:
        """The sum as a page, which can be added again."""
        return page_of(self.families(), {family.name for family in self._families.values() if family.sums})

    def families(self) -> list[Family]:
        """The sum."""
        return [_family(merged) for merged in self._families.values()]


def _groups(samples: Iterable[list[Any]]) -> dict[frozenset[tuple[str, str]], _Group]:
    groups: dict[frozenset[tuple[str, str]], _Group] = {}
    for name, labels, value, exemplar in samples:
        series = frozenset((label, text) for label, text in labels.items() if label != _LE)
        sample = _Sample(name, labels, value, Exemplar(*exemplar) if exemplar else None)
        groups.setdefault(series, {})[name, labels.get(_LE, "")] = sample
    return groups


def _add_group(known: _Group, group: _Group, *, sums: bool) -> None:
    if known.keys() != group.keys():  # two releases side by side, whose buckets differ
        _share_bounds(known, group)
    for key, sample in group.items():
        mine = known.setdefault(key, _Sample(sample.name, sample.labels, 0, None))
        mine.value = mine.value + sample.value if sums else max(mine.value, sample.value)
        mine.exemplar = _newer(mine.exemplar, sample.exemplar)


def _share_bounds(one: _Group, other: _Group) -> None:
    """Gives both histograms the bounds of both: a bound counts what the next lower own one is known to hold."""
    bounds = {key for key in one | other if key[1]}
    for group in (one, other):
        missing = sorted(bounds - group.keys(), key=lambda key: float(key[1]))
        own = sorted((key for key in group if key[1]), key=lambda key: float(key[1]))
        like = one | other
        for key in missing:
            below = [group[mine].value for mine in own if float(mine[1]) < float(key[1])]
            group[key] = _Sample(key[0], like[key].labels, below[-1] if below else 0, None)


def _shared(
    one: dict[frozenset[tuple[str, str]], _Group], other: dict[frozenset[tuple[str, str]], _Group]
) -> dict[frozenset[tuple[str, str]], _Group]:
    """`target_info` with the labels that every process has: not the id of one of them."""
    (mine, *_), (theirs, *_) = one, other  # an info has one label set a process
    labels = mine & theirs
    name = next(sample.name for group in one.values() for sample in group.values())
    return {labels: {(name, ""): _Sample(name, dict(sorted(labels)), 1, None)}}


def _newer(one: Exemplar | None, other: Exemplar | None) -> Exemplar | None:
    if one is None or other is None:
        return one or other
    return other if float(other.timestamp or 0) > float(one.timestamp or 0) else one


def _family(merged: _Merged) -> Family:
    family = Family(merged.name, merged.brief, merged.kind)
    for group in merged.groups.values():
        for _, sample in sorted(group.items(), key=lambda item: float(item[0][1] or "inf")):
            family.add_sample(sample.name, sample.labels, sample.value, exemplar=sample.exemplar)
    return family


def _said(exemplar: Exemplar | None) -> list[Any] | None:
    return None if exemplar is None else [exemplar.labels, exemplar.value, exemplar.timestamp]
