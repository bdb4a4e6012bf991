"""What a page shows when it cannot do its work: a sentence and the next step, never a stack trace."""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb
import streamlit as st

from tachograph.errors import UsageError
from tachograph_analytics.app.words import plain

if TYPE_CHECKING:
    from collections.abc import Generator

_log = logging.getLogger(__name__)


@contextmanager
def said() -> Generator[None]:
    """Turns an exception of the block into a sentence on the page; the details go to stderr under an id."""
    try:
        yield
    except UsageError as error:
        st.error(plain(_sentence(str(error))), icon=":material/info:")
    except duckdb.IOException as error:
        _diagnosed(error, "The store's files could not be read just now; load the page again.")
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader gets a sentence
        _diagnosed(error, "This page could not be drawn because of a fault in tachograph.")


def _diagnosed(error: Exception, sentence: str) -> None:
    number = secrets.token_hex(4)
    _log.error("diagnostics %s", number, exc_info=error)
    st.error(f"{sentence} Details are in the app's log under this id:", icon=":material/error:")
    st.code(f"tachograph diagnostics {number}", language=None)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
