"""What a centre may draw, and what its nodes draw towards that."""

from dataclasses import dataclass

from clusterwright.units import Fraction, Ratio, Seconds, Watts


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCap:
    """The most that a centre may draw from the grid, in steps over time."""

    since_s: tuple[Seconds, ...]
    """When each step begins, from the start of the run, in order; the first one at 0."""
    cap_w: tuple[Watts, ...]
    """The most from then on, cooling and losses included; the last one holds for good."""
    idle_fraction: Fraction
    """Draw of an idle node as a share of its maximum; one that sleeps or is down counts as much,
    because it may come back at any time."""
    busy_fraction: Fraction
    """Draw of a busy node as a share of its maximum."""
    other_power_w: Watts = 0.0
    """What storage, network and management draw all the time."""
    pue_ratio: Ratio = 1.0
    """Facility energy over IT energy."""

    def __post_init__(self) -> None:
        """Refuse steps that are none."""
        ordered = all(a < b for a, b in zip(self.since_s, self.since_s[1:], strict=False))
        if len(self.since_s) != len(self.cap_w) or self.since_s[:1] != (0.0,) or not ordered:
            msg = "a power cap has one value for each step, steps in order, the first one at 0 s"
            raise ValueError(msg)
        if not all(one > 0 for one in self.cap_w):
            msg = "a power cap is above zero in every step; leave out what has none"
            raise ValueError(msg)
        if not 0 <= self.idle_fraction < self.busy_fraction:
            msg = "a busy node draws more than an idle one"
            raise ValueError(msg)
