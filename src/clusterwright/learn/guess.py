"""Which one number of an outlook a scheduler is told as the estimate of a job."""

from collections.abc import Callable, Mapping
from typing import Literal

from clusterwright.learn.order import order_value_s
from clusterwright.learn.outlook import Outlook
from clusterwright.units import Seconds

Guess = Literal["order", "mean", "p50", "p90"]

GUESSES: Mapping[Guess, Callable[[Outlook], Seconds]] = {
    "order": order_value_s,
    "mean": lambda outlook: outlook.mean_s(),
    "p50": lambda outlook: outlook.quantile_s(0.5),
    "p90": lambda outlook: outlook.quantile_s(0.9),
}
"""By name: what orders jobs when multiplied by accelerators, and what they are expected to take."""
