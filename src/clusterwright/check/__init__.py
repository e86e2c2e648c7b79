"""Lints of a design: what an experienced eye would stop at, as rules with stable ids."""

from clusterwright.check.rules import RULES, Finding, Level, Rule, check

__all__ = ["RULES", "Finding", "Level", "Rule", "check"]
