"""How often a design is interrupted, and what is left of its time."""

from dataclasses import dataclass

from clusterwright.units import Fraction, PerDay, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureShare:
    """One cause of interruptions."""

    component: str
    """Component of the catalogue's failure rates."""
    interruptions_per_day: PerDay
    """Interruptions of the largest gang that it causes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """The reliability of the largest gang of a design."""

    num_accelerators: int
    """Accelerators of that gang."""
    interruptions_per_day: PerDay
    """How often something stops it."""
    mean_time_between_s: Seconds
    """Mean time between interruptions."""
    detect_and_restart_s: Seconds
    """Time to notice, replace and load again."""
    checkpoint_write_s: Seconds
    """Time that one checkpoint stops the work."""
    checkpoint_interval_s: Seconds
    """Time between checkpoints that loses least."""
    goodput_fraction: Fraction
    """Share of the wall time that moves the training forward."""
    shares: tuple[FailureShare, ...]
    """Interruptions by cause; they sum to the whole."""
    source: str
    """Where the rates come from."""
