"""Money: what a design costs to build, to run and to own, and what renting would cost."""

from clusterwright.economics.account import Bill, MoneyTerms, account
from clusterwright.economics.rent import compare_with_rent, typical_offer

__all__ = ["Bill", "MoneyTerms", "account", "compare_with_rent", "typical_offer"]
