"""The boards, one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tachograph_dashboards.boards.overview import overview

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.registry import Registry

# File name below generated/, without .json.
BOARDS: dict[str, Callable[[Registry], dict[str, Any]]] = {"overview": overview}
