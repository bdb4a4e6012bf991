"""Whose code a module is: the agent's own, which may be hooked, or a library's, which is left alone."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

_OWN = "tachograph"
_DEMO = "tachograph.demo"  # agents like any user's, though they ship with us


@functools.cache
def _python() -> tuple[str, ...]:
    """The folders of Python's own modules; sysconfig takes half a millisecond to say each (measured)."""
    return tuple(os.path.realpath(sysconfig.get_path(key)) + os.sep for key in ("stdlib", "platstdlib"))


@functools.cache
def is_library(file: str) -> bool:
    """Whether a module's file belongs to Python or to an installed package."""
    path = os.path.realpath(file)
    return path.startswith(_python()) or not {"site-packages", "dist-packages"}.isdisjoint(Path(path).parts)


def is_ours(module: str) -> bool:
    """Whether a module is a part of tachograph that is no agent."""
    return _within(module, _OWN) and not _within(module, _DEMO)


def is_users(module: str, like: str) -> bool:
    """Whether a module is the user's code: beside that of `like`, or neither a library's nor Python's own."""
    if is_ours(module):
        return False
    if module.partition(".")[0] == like.partition(".")[0]:
        return True
    if module.partition(".")[0] in sys.stdlib_module_names and module != "__main__":
        return False
    file = (namespace(sys.modules.get(module)) or {}).get("__file__")
    return module == "__main__" or (isinstance(file, str) and not is_library(file))


def namespace(module: object) -> dict[str, Any] | None:
    """What lies in a module, read without running it: a lazy module loads on any other access; None for no module."""
    return object.__getattribute__(module, "__dict__") if issubclass(type(module), ModuleType) else None


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")
