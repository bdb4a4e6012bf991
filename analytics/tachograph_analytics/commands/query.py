"""`tachograph query`: SQL over the views of a store."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", help="one SELECT over the views: runs, llm_calls, tool_calls, spans, events …")
    parser.add_argument("--home", help="the store's folder (default: TACHOGRAPH_HOME or ~/.tachograph)")
    parser.add_argument("--json", action="store_true", help="an array of row objects, times ISO-8601 UTC")


def _run(arguments: argparse.Namespace) -> int:
    from tachograph_analytics.store.home import Home
    from tachograph_analytics.store.query import QueryError, as_json, as_text, query

    try:
        answer = query(Home.at(arguments.home), arguments.sql)
    except QueryError as error:
        raise UsageError(f"{error}; `SHOW TABLES` lists the views, `DESCRIBE runs` the columns of one") from error
    if arguments.json:
        print(as_json(answer))
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(as_text(answer, width))
    return 0


COMMAND = Command(help="ask the store in SQL", configure=_configure, run=_run, extra="analytics")
