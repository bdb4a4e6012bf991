"""One receiver for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from analytics.services import home_at, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tachograph_analytics.store.home import Home


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return home_at(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="package")
def endpoint(home: Home) -> Iterator[str]:
    with receiving(home) as (url, _):
        yield url
