"""A page of the app opened without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streamlit.testing.v1 import AppTest

import tachograph_analytics.app
from tachograph_analytics.store.home import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

MAIN = Path(tachograph_analytics.app.__file__).with_name("shell") / "main.py"
PATIENCE_S = 120  # the first page of a store on a machine that is busy with other tests


def opener(monkeypatch: pytest.MonkeyPatch, page: str) -> Callable[..., AppTest]:
    """What opens `page` over a home with the parameters of an address, and fails where the page does."""

    def opened(home, **params):
        monkeypatch.setenv(ENVIRONMENT, str(home.path))
        app = AppTest.from_file(str(MAIN), default_timeout=PATIENCE_S)
        app.run()
        app.switch_page(page)
        app.query_params.update(params)
        app.run()
        assert not app.exception
        assert not app.error, app.error[0].value
        return app

    return opened


def text(app: AppTest) -> str:
    """What the page says, markup escapes taken away; errors are none of it, `opener` has looked for them."""
    said = [*app.title, *app.header, *app.markdown, *app.caption, *app.info, *app.warning]
    return "\n".join(str(element.value) for element in said).replace("\\", "")
