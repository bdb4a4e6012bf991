"""The demo's world, made once by the command that makes it for everybody, and the app over it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
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
    """The store of a whole demo, and its command line."""

    home: Home
    output: str

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
    path: Path = tmp_path_factory.mktemp("world") / "home"
    done = subprocess.run(
        [sys.executable, "-m", "tachograph", "demo", "--headless", "--seed", "7", "--port", "0", "--home", str(path)],
        capture_output=True,
        text=True,
        timeout=GENERATED_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return World(Home(path), done.stdout)


@pytest.fixture(scope="session")
def app(world) -> Generator[str]:
    with served(world.home) as url:
        yield url


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()
