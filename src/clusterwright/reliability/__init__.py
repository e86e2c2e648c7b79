"""How often work is interrupted, how often to save it, and what is left of the time."""

from clusterwright.reliability.goodput import assess, checkpoint_interval_s, goodput_fraction

__all__ = ["assess", "checkpoint_interval_s", "goodput_fraction"]
