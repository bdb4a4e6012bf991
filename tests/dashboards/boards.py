"""The boards as data, for the tests of this folder."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from tachograph.registry import Registry, load
from tachograph_dashboards.boards import BOARDS
from tachograph_dashboards.render import GENERATED

if TYPE_CHECKING:
    from collections.abc import Iterator


def generated() -> dict[str, dict[str, Any]]:
    """The committed boards by name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(GENERATED.glob("*.json"))}


def raw() -> dict[str, dict[str, Any]]:
    """The boards as grafanalib writes them."""
    return {name: board(load()) for name, board in BOARDS.items()}


def panels() -> list[tuple[str, dict[str, Any]]]:
    """Every panel of the committed boards, named for a test's parameters."""
    return [(f"{name}: {panel['title']}", panel) for name, board in generated().items() for panel in board["panels"]]


def targets() -> list[tuple[str, str]]:
    """Every query of the committed boards."""
    return [(f"{name} {target['refId']}", target["expr"]) for name, panel in panels() for target in panel["targets"]]


def renamed_metric(registry: Registry, old: str, new: str) -> Registry:
    """The registry with one metric under another name."""
    metrics = {
        (new if name == old else name): (dataclasses.replace(metric, name=new) if name == old else metric)
        for name, metric in registry.metrics.items()
    }
    return dataclasses.replace(registry, metrics=metrics)


def renamed_attribute(registry: Registry, old: str, new: str) -> Registry:
    """The registry with one attribute under another name, everywhere it is a label."""
    attributes = {
        (new if name == old else name): (dataclasses.replace(attribute, name=new) if name == old else attribute)
        for name, attribute in registry.attributes.items()
    }
    metrics = {
        name: dataclasses.replace(metric, labels=tuple(new if label == old else label for label in metric.labels))
        for name, metric in registry.metrics.items()
    }
    return dataclasses.replace(registry, attributes=attributes, metrics=metrics)


def every(thing: Any) -> Iterator[Any]:
    """A JSON value and everything inside it."""
    yield thing
    inner = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ()
    for value in inner:
        yield from every(value)


__all__ = ["every", "generated", "panels", "raw", "renamed_attribute", "renamed_metric", "targets"]
