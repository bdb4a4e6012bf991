"""The hash chain: each record carries the hash of the one before it, so none can be changed, dropped or moved unseen.

With a key the hashes are HMACs: who does not have it cannot make a chain anew that fits.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tachograph.audit.entry import TIME, canonical, iso
from tachograph.registry import names as n

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: Final = "0" * 64
"""What the first record names as the hash before it."""

KEYED: Final = "keyed"
PROCESS: Final = "process.pid"
HOST: Final = "host.name"
VERSION: Final = "tachograph.version"

FILED: Final = "auditfile"
UNFILED: Final = "audit"
"""What a chain's id begins with, by whether it is kept in a file: so the store knows which files there were."""


@dataclass(frozen=True, slots=True)
class Link:
    """The end of a chain, to which the next record is tied. The first record has the sequence 0."""

    chain: str
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Who began a chain, with which entry's `time`, in nanoseconds since 1970."""

    agent: str
    time: int
    process: int
    host: str
    version: str


def genesis(chain: str, origin: Origin, key: bytes | None) -> dict[str, Any]:
    """The first record of a chain: it says who began it, and is no entry."""
    facts = {
        n.GEN_AI_AGENT_NAME: origin.agent,
        TIME: iso(origin.time),
        PROCESS: origin.process,
        HOST: origin.host,
        VERSION: origin.version,
        KEYED: key is not None,
    }
    return sealed(facts, Link(chain, -1, NOTHING), key)


def sealed(facts: Mapping[str, Any], after: Link, key: bytes | None) -> dict[str, Any]:
    """The facts with their place in the chain, and the hash over both."""
    record = {
        **facts,
        n.AUDIT_CHAIN: after.chain,
        n.AUDIT_SEQUENCE: after.sequence + 1,
        n.AUDIT_PREVIOUS: after.hash,
    }
    return {**record, n.AUDIT_HASH: digest(record, key)}


def digest(record: Mapping[str, Any], key: bytes | None) -> str:
    """The record's hash, 64 hex digits: SHA-256, keyed where there is a key, over the hash before and all else."""
    rest = {name: value for name, value in record.items() if name != n.AUDIT_HASH}
    data = str(rest[n.AUDIT_PREVIOUS]).encode("ascii", "replace") + canonical(rest)
    return (hmac.digest(key, data, "sha256") if key is not None else hashlib.sha256(data).digest()).hex()


def link_of(record: Mapping[str, Any]) -> Link:
    """The end of the chain once the record is in it."""
    return Link(record[n.AUDIT_CHAIN], record[n.AUDIT_SEQUENCE], record[n.AUDIT_HASH])
