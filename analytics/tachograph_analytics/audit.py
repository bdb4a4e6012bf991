"""What `tachograph audit verify` needs of this package: the audit entries of a store, by their places in the chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tachograph.audit.verify import Stored
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.views import connect, damage_is_a_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS = "SELECT chain, sequence, hash, agent FROM audit WHERE chain IS NOT NULL ORDER BY chain, sequence"


def audit_rows(path: str | None) -> Iterator[Stored]:
    """The chained entries of the store at `path`, or of the default one; UsageError where there is no store."""
    home = Home.at(path).require()
    with connect(home) as connection, damage_is_a_sentence(home):
        for chain, sequence, hash_, agent in connection.execute(_ROWS).fetchall():
            yield Stored(chain, sequence, hash_, agent)
