"""How nodes fail and come back: the clocks of all accelerators as one."""

import zlib
from dataclasses import dataclass

import numpy as np

from clusterwright.model.cluster import Cluster
from clusterwright.units import SECONDS_PER_DAY, PerDay, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How nodes fail and come back."""

    per_gpu_day: PerDay
    """Failures of one accelerator in one day, which take its node down; 0 for none."""
    repair_s: Seconds
    """Time until a failed node is back."""


def stream(seed: int, cause: str) -> np.random.Generator:
    """Return the random stream of one cause of chance."""
    return np.random.default_rng([seed, zlib.crc32(cause.encode())])


class FailureClock:
    """The next failure anywhere, and where it strikes."""

    def __init__(self, failures: Failures | None, cluster: Cluster, seed: int) -> None:
        """Take the rates and the nodes."""
        self._rng = stream(seed, "failures")
        self._failures = failures
        counts = np.array([group.num_nodes for group in cluster.groups], dtype=np.int64)
        gpus = np.array([group.gpus_per_node for group in cluster.groups], dtype=np.float64)
        self._upto = np.cumsum(np.repeat(gpus, counts))
        total = float(self._upto[-1]) if self._upto.size else 0.0
        self.per_day = 0.0 if failures is None else failures.per_gpu_day * total

    def after(self, now: float) -> tuple[float, int]:
        """Return time and node of the next failure."""
        time_s = now + self._rng.exponential(SECONDS_PER_DAY / self.per_day)
        where = self._rng.uniform(0, self._upto[-1])
        return time_s, int(np.searchsorted(self._upto, where, side="right"))

    def repair_s(self) -> float:
        """Return how long the node that has just failed is away."""
        return 0.0 if self._failures is None else self._failures.repair_s
