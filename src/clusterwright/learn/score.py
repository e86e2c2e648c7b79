"""How good outlooks were, once the true run times are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusterwright.learn.outlook import Outlook
from clusterwright.model.job import Job
from clusterwright.units import Fraction, Ratio, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How far predictions were from what happened."""

    num_jobs: int
    """Jobs predicted."""
    log_error_ratio: Ratio
    """Mean factor by which the median was off, as a natural logarithm."""
    pinball_p50_s: Seconds
    """Mean pinball loss of the median: half of the mean absolute error."""
    pinball_p90_s: Seconds
    """Mean pinball loss of the ninetieth percentile."""
    below_p90_fraction: Fraction
    """Jobs that ran no longer than their ninetieth percentile; 0.9 is right."""
    rank_correlation_ratio: Ratio
    """Spearman's correlation of median and run time; 0 where all predictions are equal."""


def score(jobs: Sequence[Job], outlooks: Sequence[Outlook]) -> Score:
    """Return how good outlooks were for jobs whose durations are known."""
    p50 = np.array([one.quantile_s(0.5) for one in outlooks])
    p90 = np.array([one.quantile_s(0.9) for one in outlooks])
    return _score(jobs, p50, p90)


def score_points(jobs: Sequence[Job], points_s: Sequence[Seconds]) -> Score:
    """Return how good one guess per job was, held against both percentiles."""
    points = np.asarray(points_s, dtype=np.float64)
    return _score(jobs, points, points)


def _score(jobs: Sequence[Job], p50: NDArray[np.float64], p90: NDArray[np.float64]) -> Score:
    true = np.array([job.duration_s for job in jobs])
    return Score(
        num_jobs=len(jobs),
        log_error_ratio=float(np.abs(_log(true) - _log(p50)).mean()),
        pinball_p50_s=_pinball_s(true - p50, 0.5),
        pinball_p90_s=_pinball_s(true - p90, 0.9),
        below_p90_fraction=float((true <= p90).mean()),
        rank_correlation_ratio=_rank_correlation(true, p50),
    )


def _log(durations_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(durations_s, 1.0))  # below a second all are alike


def _pinball_s(short_s: NDArray[np.float64], quantile: float) -> float:
    return float(np.maximum(quantile * short_s, (quantile - 1.0) * short_s).mean())


def _rank_correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    a, b = _ranks(left), _ranks(right)
    if not a.std() or not b.std():
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the place of each value; equal ones share the middle of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
