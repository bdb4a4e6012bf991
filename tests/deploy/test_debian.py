"""What a test marked `debian` does where its binary is missing: tests/conftest.py decides."""

from __future__ import annotations

import os
import subprocess
import sys

from deploy.processes import ROOT

APT = "not installed: apt-get install --no-install-recommends prometheus-alertmanager"


def _pytest(**environment: str) -> str:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/alerts/test_routing.py",
        "-k",
        "amtool_accepts",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.stdout


def test_it_skips_with_the_line_to_run():
    said = _pytest(PATH="", TACHOGRAPH_REQUIRE_DEBIAN="")
    assert APT in said
    assert "1 skipped" in said


def test_it_fails_where_all_must_run():
    said = _pytest(PATH="", TACHOGRAPH_REQUIRE_DEBIAN="1")
    assert APT in said
    assert "1 error" in said or "1 failed" in said
