"""What an LLM call costs, from a price table that is committed with its date."""

from tachograph.prices.lookup import Price, Usage, price

__all__ = ["Price", "Usage", "price"]
