"""The boards as the JSON files that are committed and that Grafana reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph_dashboards.boards import BOARDS
from tachograph_dashboards.modernise import modernise

if TYPE_CHECKING:
    from tachograph.registry import Registry

GENERATED = Path(__file__).parent / "generated"


def render(registry: Registry) -> dict[Path, str]:
    """Every generated file: its path and the text that belongs there, keys sorted."""
    return {
        GENERATED / f"{name}.json": json.dumps(modernise(board(registry)), indent=2, sort_keys=True) + "\n"
        for name, board in BOARDS.items()
    }


def stale(files: dict[Path, str]) -> list[Path]:
    """The files that do not stand as they should, in order."""
    return [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
