"""Money: what a design costs to build, to run and to own, and what renting would cost."""

from clusterwright.economics.account import Bill, MoneyTerms, account
from clusterwright.economics.rent import cheapest_offer, compare_with_rent

__all__ = ["Bill", "MoneyTerms", "account", "cheapest_offer", "compare_with_rent"]
