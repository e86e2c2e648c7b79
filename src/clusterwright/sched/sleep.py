"""When an idle node is switched off: renting idle power by the second, or buying a wake-up.

Without a forecast a node idles until that has cost as much as a wake-up would, then sleeps. Its
energy above sleep is then at most twice what it would be if the end of the idling had been known.
(Karlin, Manasse, Rudolph and Sleator, "Competitive Snoopy Caching", Algorithmica 3, 1988, for the
bound of 2; Purohit, Svitkina and Kumar, "Improving Online Algorithms via ML Predictions", NeurIPS
2018, theorem 2.2, for the two bounds with a forecast.)
"""

import math
from dataclasses import dataclass

from clusterwright.errors import UsageError
from clusterwright.units import Fraction, Seconds, Watts


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepingNode:
    """What a node draws idle, asleep and while it wakes."""

    idle_w: Watts
    """Draw of an idle node."""
    asleep_w: Watts
    """Draw of a node that is off but can be woken; below the idle one."""
    wake_s: Seconds
    """Time from the call until it can run a job; 0 or more."""
    wake_w: Watts
    """Draw while it wakes; at least the one asleep."""

    def __post_init__(self) -> None:
        """Refuse a node that saves nothing asleep."""
        if not (0 <= self.asleep_w < self.idle_w and self.asleep_w <= self.wake_w):
            msg = (
                f"asleep {self.asleep_w:g} W, idle {self.idle_w:g} W, waking {self.wake_w:g} W: "
                "write 0 <= asleep < idle and asleep <= waking"
            )
            raise UsageError(msg)
        if not 0 <= self.wake_s < math.inf:
            msg = f"wake time is {self.wake_s:g} s; it must be 0 or more"
            raise UsageError(msg)

    @property
    def break_even_s(self) -> Seconds:
        """Idling that takes as much energy as a wake-up."""
        return self.wake_s * (self.wake_w - self.asleep_w) / (self.idle_w - self.asleep_w)


def sleeps_after_s(
    node: SleepingNode, *, expected_idle_s: Seconds | None = None, distrust_fraction: Fraction = 1.0
) -> Seconds:
    """Return how long a node idles before it is switched off.

    Parameters
    ----------
    node
        The node.
    expected_idle_s
        How long it is expected to idle; None when nobody knows.
    distrust_fraction
        λ from 0 to 1. The energy is at most 1 + λ times the least when the expectation is right,
        and 1 + 1/λ times whatever happens. 0 takes the expectation for certain, as when a pause
        has been decided; at 1 both bounds are 2.

    Examples
    --------
    >>> node = SleepingNode(idle_w=3000, asleep_w=200, wake_s=600, wake_w=3000)
    >>> sleeps_after_s(node), sleeps_after_s(node, expected_idle_s=7200, distrust_fraction=0)
    (600.0, 0.0)
    """
    if not 0 <= distrust_fraction <= 1:
        msg = f"distrust is {distrust_fraction:g}; it must be from 0 to 1"
        raise UsageError(msg)
    if expected_idle_s is None:
        return node.break_even_s
    if expected_idle_s >= node.break_even_s:
        return distrust_fraction * node.break_even_s
    return node.break_even_s / distrust_fraction if distrust_fraction else math.inf
