"""Tests marked `debian` need Debian's binaries: they skip where one is missing, or fail where all must run.

`@pytest.mark.debian("promtool")` names the binaries; without names it means every one of them.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.hookimpl(trylast=True)  # of what was selected
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the files that have slow tests, by turns from each folder.

    The short ones fill what is left at the end, so that no worker waits for another; and what the files of one folder
    share, such as a store that takes a minute to make, is there when the second of them is reached.
    """
    files: dict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        files[item.path].append(item)
    slow: dict[Path, list[Path]] = defaultdict(list)
    for file, tests in files.items():
        if any(item.get_closest_marker("slow") for item in tests):
            slow[file.parent].append(file)
    turns = [file for turn in zip_longest(*slow.values()) for file in turn if file is not None]
    items[:] = chain.from_iterable(files[file] for file in dict.fromkeys([*turns, *files]))
