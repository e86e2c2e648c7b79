"""Run times from what has ended: tables from the coarse to the fine, each leaning on the one above.

The outlook of a table's cell is a Dirichlet mixture, F = (n F_own + k F_above) / (n + k), where

n   evidence of the cell: its jobs, weighted as below
k   `_LEAN`: the cell above counts as that many jobs
F   distribution over the steps of `outlook.EDGES_S`

so that a user seen once is judged like their queue, and one seen a thousand times by themselves.
Two things make a job weigh less than one. Evidence halves every `_HALF_LIFE_S`. And the n-th job
that a cell got from one day weighs √n - √(n-1): jobs come in sweeps of near copies, and a sweep of
four hundred tells no four hundred times what one job tells.

The order of the tables and the three constants were chosen on September 2017 of Philly and on the
first two weeks of a Helios cluster, not on what they are judged on: docs/decisions/0013.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clusterwright.learn.outlook import NUM_BINS, Outlook, bin_of
from clusterwright.model.job import Job
from clusterwright.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Seconds

_LEAN = 10.0  # jobs that the cell above counts as
_HALF_LIFE_S = 10 * SECONDS_PER_DAY
_WATCH_H = 4  # hours of the day that are taken together

_Feature = Callable[[Job], Hashable]


def _size(job: Job) -> Hashable:
    return job.num_gpus_ratio, 0 if job.num_gpus_ratio else job.num_cpus


def _watch(job: Job) -> int:
    return int(job.submit_s // SECONDS_PER_HOUR) % 24 // _WATCH_H


_TABLES: tuple[tuple[_Feature, ...], ...] = (
    (),
    (_size,),
    (lambda job: job.queue,),
    (lambda job: job.queue, _size),
    (lambda job: job.user,),
    (lambda job: job.user, _size),
    (lambda job: job.queue, _size, _watch),
    (lambda job: job.user, _size, _watch),
)
_OF_USERS = frozenset({4, 5, 7})  # tables that say nothing about a job without a user


@dataclass(slots=True)
class _Cell:
    """What one cell of a table has seen."""

    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(NUM_BINS))
    total: float = 0.0
    as_of_s: float = -math.inf
    per_day: dict[int, int] = field(default_factory=dict)

    def add(self, shares: NDArray[np.float64], day: int, now_s: float) -> None:
        """Take in one job, which may be known only as a distribution."""
        faded = self.faded(now_s) if now_s > self.as_of_s else 1.0
        late = _fading(self.as_of_s - now_s) if now_s < self.as_of_s else 1.0
        nth = self.per_day[day] = self.per_day.get(day, 0) + 1
        weight = late * (math.sqrt(nth) - math.sqrt(nth - 1))
        self.weights *= faded
        self.weights += weight * shares
        self.total = self.total * faded + weight
        self.as_of_s = max(self.as_of_s, now_s)

    def faded(self, now_s: float) -> float:
        """Return what is left of its evidence."""
        return _fading(max(0.0, now_s - self.as_of_s)) if self.total else 1.0


def _fading(age_s: float) -> float:
    return float(0.5 ** (age_s / _HALF_LIFE_S))


class History:
    """A table that learns each job as it ends, and is asked for a job as it is submitted."""

    def __init__(self) -> None:
        """Know nothing."""
        self._cells: dict[tuple[Hashable, ...], _Cell] = {}

    def learn(self, job: Job, end_s: Seconds) -> None:
        """Take in a job that has ended."""
        shares = np.zeros(NUM_BINS)
        shares[bin_of(job.duration_s)] = 1.0
        self._add(job, shares, end_s)

    def learn_running(self, running: Sequence[tuple[Job, Seconds]], now_s: Seconds) -> None:
        """Take in jobs that still run, each with how long: that is all one knows of the longest."""
        expected = [self.outlook(job, now_s).after(ran_s).shares for job, ran_s in running]
        for (job, _), shares in zip(running, expected, strict=True):
            self._add(job, shares, now_s)

    def outlook(self, job: Job, now_s: Seconds) -> Outlook:
        """Return how long a job will run, from what has been learned; its duration is not read."""
        root, *finer = _keys(job)
        every = self._cells.get(root)
        if every is None:
            return Outlook(shares=np.full(NUM_BINS, 1.0 / NUM_BINS))
        shares = every.weights / every.total
        for cell in filter(None, map(self._cells.get, finer)):
            faded = cell.faded(now_s)
            shares = (cell.weights * faded + _LEAN * shares) / (cell.total * faded + _LEAN)
        return Outlook(shares=shares)

    def _add(self, job: Job, shares: NDArray[np.float64], now_s: Seconds) -> None:
        day = int(job.submit_s // SECONDS_PER_DAY)
        for key in _keys(job):
            self._cells.setdefault(key, _Cell()).add(shares, day, now_s)


def _keys(job: Job) -> list[tuple[Hashable, ...]]:
    return [
        (number, *(feature(job) for feature in features))
        for number, features in enumerate(_TABLES)
        if job.user or number not in _OF_USERS
    ]
