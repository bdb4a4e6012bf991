"""The /metrics of several agents as one page."""
# prometheus_client annotates its parser and exposition in part only.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.core import Metric as Family


def merged(pages: Mapping[str, str]) -> bytes:
    """One page of each agent's; of several, every series has its agent as `instance`, as a scrape would."""
    if len(pages) == 1:
        return "".join(pages.values()).encode()
    families: dict[str, Family] = {}
    for agent, page in pages.items():
        for family in text_string_to_metric_families(page):
            samples = [sample._replace(labels={**sample.labels, "instance": agent}) for sample in family.samples]
            known = families.get(family.name)
            if known is None:
                known = families[family.name] = family
                known.samples = []
            known.samples += samples
    registry = CollectorRegistry()
    registry.register(_Page(families.values()))
    return generate_latest(registry)


class _Page(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families
