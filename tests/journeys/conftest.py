"""The demo's world, made once by the command that makes it for everybody, and the app over it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from analytics.app.served import served
from playwright.sync_api import expect, sync_playwright

from tachograph_analytics.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

GENERATED_S = 600.0  # on a machine that is busy with other tests
PATIENCE_MS = 90_000


@dataclass(frozen=True, slots=True)
class World:
    """The store of a whole demo, its metrics as text with times, when both end, and the command line."""

    home: Home
    openmetrics: Path
    until: datetime

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tachograph", *arguments, "--home", str(self.home.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, sql: str) -> list[dict[str, Any]]:
        return json.loads(self.command("query", "--json", sql))


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    """Made by the first of all workers that asks; the folder above a worker's own is that of the whole test run."""
    base: Path = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    home, made, openmetrics = folder / "world", folder / "world.made", folder / "world.openmetrics.txt"
    with (folder / "world.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)  # as by default
            make(home, openmetrics, until)
            made.write_text(until.isoformat(), "ascii")
    return World(Home(home), openmetrics, datetime.fromisoformat(made.read_text("ascii")))


def make(home: Path, openmetrics: Path, until: datetime) -> None:
    words = ["demo", "--headless", "--seed", "7", "--port", "0", "--home", home, "--until", until.isoformat()]
    command = [sys.executable, "-m", "tachograph", *map(str, words), "--openmetrics-out", str(openmetrics)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GENERATED_S, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def app(world) -> Generator[str]:
    with served(world.home) as url:
        yield url


@pytest.fixture(scope="module")  # longer would leave an event loop running under the worker's other modules
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()
