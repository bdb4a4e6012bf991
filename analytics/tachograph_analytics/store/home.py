"""The store's home: one folder with everything that was received, and the names inside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tachograph.errors import UsageError

ENVIRONMENT = "TACHOGRAPH_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """Where a store lives; its paths need not exist before `create`."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """The home that TACHOGRAPH_HOME names, or ~/.tachograph."""
        named = os.environ.get(ENVIRONMENT)
        return cls(Path(named).expanduser() if named else Path.home() / ".tachograph")

    @classmethod
    def at(cls, path: str | Path | None) -> Home:
        """The home at `path`, or the default one when there is none."""
        return cls(Path(path).expanduser()) if path else cls.default()

    @property
    def wal(self) -> Path:
        """Segments of what was acked and is not decoded yet."""
        return self.path / "wal"

    @property
    def quarantine(self) -> Path:
        """Acked bodies that could not be decoded, as sent."""
        return self.path / "quarantine"

    @property
    def manifest(self) -> Path:
        """The SQLite file that says which Parquet files count."""
        return self.path / "manifest.sqlite"

    @property
    def casebook(self) -> Path:
        """The SQLite file with what people wrote about incidents; there is none before the first word."""
        return self.path / "incidents.sqlite"

    @property
    def run(self) -> Path:
        """Locks and process ids of whatever works on the store now."""
        return self.path / "run"

    def table(self, name: str) -> Path:
        """The folder of one table's Parquet files: spans, events or alerts."""
        return self.path / name

    def create(self) -> Home:
        """The same home with its folders made; UsageError where that is impossible."""
        # The home itself too: what agents and people said is for its owner alone.
        tables = [self.table(name) for name in ("spans", "events", "alerts")]
        try:
            for folder in (self.path, self.wal, self.quarantine, self.run, *tables):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageError(
                f"the store {self.path} cannot be made: {error.strerror}; name another with --home"
            ) from error
        return self

    def require(self) -> Home:
        """The same home if something was stored there before; UsageError if not."""
        if not self.wal.is_dir():
            raise UsageError(
                f"there is no store at {self.path}: fill one with `tachograph demo` or `tachograph up`, "
                f"or name another with --home or {ENVIRONMENT}"
            )
        return self
