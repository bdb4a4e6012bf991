"""Who uses the platform: nine tenants of unequal size, and what each has ordered."""

from __future__ import annotations

from typing import Final

from tachograph.demo.support.budget import Contract

SHARES: Final = {
    "northwind": 30,
    "acme": 18,
    "globex": 14,
    "initech": 11,
    "hooli": 9,
    "contoso": 7,
    "umbrella": 5,
    "stark": 4,
    "wonka": 2,
}
"""Percent of all requests."""

_DAILY: Final = 2.0  # US dollars: twice what the largest spends on a busy day

CONTRACTS: Final = {
    **dict.fromkeys(SHARES, Contract(_DAILY)),
    "contoso": Contract(0.3),
    "stark": Contract(0.2, overdraft=True),
    # taken over from another platform without naming who changes accounts
    "umbrella": Contract(_DAILY, unserved=frozenset({"account_change"})),
}
