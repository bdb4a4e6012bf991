"""The import hook: the program's own modules are loaded as ever, with their definitions hooked."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

from tachograph.launch.source import adopting
from tachograph.plain.ownership import is_library, is_ours
from tachograph.telemetry.guard import failed, guarded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType


@dataclass(frozen=True, slots=True)
class Own:
    """What of the modules is the program's own: those in its folders that are no library, and those of its package."""

    folders: tuple[str, ...]
    package: str | None = None

    def has(self, module: str, file: str) -> bool:
        """Whether the module of that name and file is."""
        if is_ours(module):
            return False
        if self.package is not None and module.partition(".")[0] == self.package:
            return True
        path = Path(os.path.realpath(file))
        within = [folder for folder in self.folders if path.is_relative_to(folder)]
        return bool(within) and not is_library(file) and not _in_venv(path)


def _in_venv(path: Path) -> bool:
    return any((folder / "pyvenv.cfg").is_file() for folder in path.parents)


class Importer:
    """A finder that lets the others find, and has the source of the program's own modules compiled by us."""

    def __init__(self, own: Own) -> None:
        self._own = own

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the first of the other finders says."""
        for finder in tuple(sys.meta_path):
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                self._adopt(spec)
                return spec
        return None

    @guarded("instrument", None)
    def _adopt(self, spec: ModuleSpec) -> None:
        loader = spec.loader
        # A loader of another type compiles in its own way, which is not to be passed by.
        if type(loader) is SourceFileLoader and spec.origin is not None and self._own.has(spec.name, spec.origin):
            loader.get_code = functools.partial(_code, loader)


def _code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
    """In the place of the loader's own get_code, once."""
    del loader.get_code
    try:
        path = loader.get_filename(fullname)
        return adopting(loader.get_data(path), path)
    except (SyntaxError, ValueError, OSError):  # for the loader to say
        pass
    except Exception as error:  # noqa: BLE001 - the module is loaded all the same
        failed("instrument", error)
    try:
        return loader.get_code(fullname)
    except BaseException as error:
        # as in frames.py: importlib cuts its own frames out where no other stands between them
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        raise
