"""Tests marked `debian` need Debian's binaries: they skip where one is missing, or fail where all must run.

`@pytest.mark.debian("promtool")` names the binaries; without names it means every one of them.
"""

from __future__ import annotations

import os
import shutil

import pytest

# Binary: the Debian package that has it.
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "chromium": "chromium",
    "docker-compose": "docker-compose",
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("debian")
    if marker is None:
        return
    missing = sorted({PACKAGES[name] for name in marker.args or PACKAGES if shutil.which(name) is None})
    if not missing:
        return
    sentence = f"not installed: apt-get install --no-install-recommends {' '.join(missing)}"
    if os.environ.get("TACHOGRAPH_REQUIRE_DEBIAN") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
