"""What is expected of a job's run time: a distribution, and what one asks of it.

Run times of one queue span six orders of magnitude, so the distribution is a histogram of equal
steps of the logarithm. Inside a step the logarithm is taken as uniform: with a step from l to h,
E[d] = (h - l) / ln(h / l).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusterwright.units import Fraction, Seconds

_BINS_PER_DECADE = 10
_DECADES = 8  # from a second to three years
NUM_BINS = _BINS_PER_DECADE * _DECADES
EDGES_S: NDArray[np.float64] = np.logspace(0, _DECADES, NUM_BINS + 1)
"""Bounds of the steps in seconds, shape (NUM_BINS + 1,)."""


def bin_of(duration_s: Seconds) -> int:
    """Return the step that a run time falls into; shorter and longer ones go into the last ones."""
    place = int(np.searchsorted(EDGES_S, duration_s, side="right")) - 1
    return min(max(place, 0), NUM_BINS - 1)


def _mean_s(low_s: NDArray[np.float64], high_s: NDArray[np.float64]) -> NDArray[np.float64]:
    width = np.log(high_s / low_s)
    return np.where(width > 0, (high_s - low_s) / np.where(width > 0, width, 1.0), low_s)


_LOW_S, _HIGH_S = EDGES_S[:-1], EDGES_S[1:]
_MEANS_S = _mean_s(_LOW_S, _HIGH_S)
_WIDTHS = np.log(_HIGH_S / _LOW_S)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """How long a job will run, as far as one can tell."""

    shares: NDArray[np.float64]
    """Chance of each step of `EDGES_S`, shape (NUM_BINS,); they sum to one."""

    def mean_s(self) -> Seconds:
        """Return the expected run time."""
        return float(self.shares @ _MEANS_S)

    def capped_mean_s(self, cap_s: Seconds) -> Seconds:
        """Return what is expected of the next `cap_s` seconds: the mean of min(d, cap).

        Unlike the mean it does not hang on a few jobs that ran for weeks.
        """
        below = np.clip(np.log(cap_s / _LOW_S) / _WIDTHS, 0.0, 1.0)
        inside = _mean_s(_LOW_S, np.clip(cap_s, _LOW_S, _HIGH_S))
        return float(self.shares @ (below * inside + (1.0 - below) * cap_s))

    def quantile_s(self, fraction: Fraction) -> Seconds:
        """Return the run time that is not passed with this chance."""
        upto = np.concatenate(([0.0], np.cumsum(self.shares)))
        return float(np.exp(np.interp(fraction, upto, np.log(EDGES_S))))

    def after(self, ran_s: Seconds) -> "Outlook":
        """Return what is expected in all of a job that still runs after `ran_s` seconds.

        A job that has outrun everything known is expected to run as long again.
        """
        lasting = np.clip(np.log(_HIGH_S / max(ran_s, EDGES_S[0])) / _WIDTHS, 0.0, 1.0)
        left = self.shares * lasting
        if not left.sum() > 0.0:
            left = np.zeros(NUM_BINS)
            left[bin_of(2.0 * ran_s)] = 1.0
        return Outlook(shares=left / left.sum())

    def remaining_s(self, ran_s: Seconds) -> Seconds:
        """Return how much longer a job is expected to run that has run for `ran_s` seconds.

        With heavy tails this grows: what has run long will run longer still.
        """
        means_s = _mean_s(np.clip(ran_s, _LOW_S, _HIGH_S), _HIGH_S)
        return max(0.0, float(self.after(ran_s).shares @ means_s) - ran_s)
