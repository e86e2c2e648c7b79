"""What a queue is owed and allowed: guarantee, deserved share, limit, and the queue above it."""

from dataclasses import dataclass

from clusterwright.units import SECONDS_PER_HOUR, Ratio

BROKEN_AFTER_S = SECONDS_PER_HOUR / 6
"""A guarantee is broken when work that it covers waits longer than this for nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One queue of the tree, in accelerators (in cores, for queues on nodes without any)."""

    queue: str
    """Its name."""
    parent: str = ""
    """Name of the queue above it; empty at the top."""
    guarantee_ratio: Ratio = 0.0
    """Accelerators that it gets back within minutes when it has work for them."""
    deserved_ratio: Ratio | None = None
    """Accelerators that are its share when all want more; absent, its guarantee."""
    limit_ratio: Ratio | None = None
    """Most accelerators that it may use; absent for no limit."""
    weight_ratio: Ratio = 1.0
    """Its weight against its siblings in fair sharing."""
