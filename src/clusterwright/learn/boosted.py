"""Run times by boosted trees (the extra `ml`): one thread, no chance, the same trees every time.

Trees give the logarithm of the run time; how far they were off in training gives the distribution
around it. Jobs of one queue, size and day weigh together like the root of their number, as in
`history`. Rounds, leaves and rate were chosen on the earlier periods: docs/decisions/0013.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clusterwright.errors import TargetMissing, UsageError
from clusterwright.learn.causal import Past, ended
from clusterwright.learn.outlook import EDGES_S, Outlook
from clusterwright.model.job import Job
from clusterwright.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Seconds

if TYPE_CHECKING:
    from types import ModuleType

_NUM_ROUNDS = 60
_FEWEST_JOBS = 100  # below that the tables of `history` are the better choice
_SETTINGS = {
    "objective": "l2",
    "num_leaves": 7,
    "learning_rate": 0.05,
    "min_data_in_leaf": 20,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
    "verbosity": -1,
}
_QUEUE, _USER = 0, 3  # columns that are names, not amounts


class Boosted:
    """Trees fitted to what had ended by a time."""

    def __init__(self, past: Sequence[Past], until_s: Seconds) -> None:
        """Fit them.

        Raises
        ------
        TargetMissing
            If LightGBM is not installed.
        UsageError
            If too few jobs had ended.
        """
        lightgbm = _lightgbm()
        jobs = [one.job for one in ended(past, until_s)]
        if len(jobs) < _FEWEST_JOBS:
            msg = (
                f"{len(jobs)} jobs had ended before the period judged; trees need {_FEWEST_JOBS}. "
                "Give a longer history, or take --model history."
            )
            raise UsageError(msg)
        self._queues = _numbers(job.queue for job in jobs)
        self._users = _numbers(job.user for job in jobs)
        weights = _weights(jobs)
        logs = np.log(np.maximum([job.duration_s for job in jobs], 1.0))
        rows = self._rows(jobs)
        table = lightgbm.Dataset(
            rows, logs, weight=weights, categorical_feature=[_QUEUE, _USER], free_raw_data=False
        )
        self._trees: Any = lightgbm.train(_SETTINGS, table, _NUM_ROUNDS)  # LightGBM has no types
        misses = logs - self._trees.predict(rows)
        order = np.argsort(misses, kind="stable")
        self._misses = misses[order]
        self._upto = np.cumsum(weights[order]) / weights.sum()

    def outlooks(self, jobs: Sequence[Job]) -> list[Outlook]:
        """Return how long jobs will run; their durations are not read."""
        if not jobs:
            return []
        return [self._around(float(log)) for log in self._trees.predict(self._rows(jobs))]

    def _around(self, log: float) -> Outlook:
        upto = np.interp(np.log(EDGES_S) - log, self._misses, self._upto, left=0.0, right=1.0)
        upto[0], upto[-1] = 0.0, 1.0
        return Outlook(shares=np.diff(upto))

    def _rows(self, jobs: Sequence[Job]) -> NDArray[np.float64]:
        return np.array(
            [
                (
                    self._queues.get(job.queue, -1),
                    job.num_gpus_ratio,
                    job.submit_s // SECONDS_PER_HOUR % 24,
                    self._users.get(job.user, -1),
                )
                for job in jobs
            ],
            dtype=np.float64,
        )


def _lightgbm() -> "ModuleType":
    try:
        return import_module("lightgbm")
    except ImportError as error:
        msg = (
            "--model lightgbm needs LightGBM, which is not installed here. "
            "Install the extra: pip install 'clusterwright[ml]'; or take --model history."
        )
        raise TargetMissing(msg) from error


def _numbers(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted(set(names)))}


def _weights(jobs: Sequence[Job]) -> NDArray[np.float64]:
    keys: list[tuple[Hashable, ...]] = [
        (job.queue, job.num_gpus_ratio, job.submit_s // SECONDS_PER_DAY) for job in jobs
    ]
    counts = Counter(keys)
    return np.array([counts[key] ** -0.5 for key in keys])
