"""Comparisons and sweeps: what composes plan and twin."""

from clusterwright.study.compare import Difference, compare

__all__ = ["Difference", "compare"]
