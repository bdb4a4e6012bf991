"""A small history of all agents, made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from demo.played import UNTIL, command

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Played:
    """The store of a history, and what its command wrote."""

    home: Path
    metrics: Path
    openmetrics: Path
    output: str


@pytest.fixture(scope="session")
def played(tmp_path_factory) -> Played:
    folder = tmp_path_factory.mktemp("history")
    home, metrics, openmetrics = folder / "home", folder / "metrics.txt", folder / "openmetrics.txt"
    output = command(
        "demo", "--headless", "--runs", "270", "--seed", "11", "--until", UNTIL, "--port", "0", "--home", str(home),
        "--metrics-out", str(metrics), "--openmetrics-out", str(openmetrics),
    )  # fmt: skip
    return Played(home, metrics, openmetrics, output)
