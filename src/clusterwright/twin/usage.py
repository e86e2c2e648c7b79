"""What was in use and who waited, pool by pool: every change is kept, hours are summed at the end.

A run changes a level a hundred thousand times and asks for its hours once, so a change costs two
appends, and the integral is taken over whole columns.
"""

from array import array

import numpy as np
import numpy.typing as npt

from clusterwright.units import SECONDS_PER_HOUR

Hours = npt.NDArray[np.float64]


class Level:
    """Something that changes in steps."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._times = array("d")
        self._values = array("d")
        self.now = 0.0

    def add(self, now_s: float, change: float) -> None:
        """Change the level from now on."""
        self.now += change
        self._times.append(now_s)
        self._values.append(self.now)

    def set(self, now_s: float, value: float) -> None:
        """Put the level to a value from now on."""
        self.now = value
        self._times.append(now_s)
        self._values.append(value)

    def steps(self) -> tuple[Hours, Hours]:
        """Return times and the levels from then on, both of shape (num_changes,)."""
        return np.array(self._times), np.array(self._values)

    def hours(self, end_s: float) -> Hours:
        """Return the integral over each hour up to the end, shape (num_hours,), in units x s."""
        count = max(1, int(np.ceil(end_s / SECONDS_PER_HOUR)))
        edges = np.minimum(np.arange(count + 1) * SECONDS_PER_HOUR, end_s)
        times, values = self.steps()
        keep = times < end_s
        times = np.concatenate([[0.0], times[keep], [end_s]])
        values = np.concatenate([[0.0], values[keep]])
        whole = np.concatenate([[0.0], np.cumsum(values * np.diff(times))])
        # The integral is piecewise linear in time, so it may be read off at the edges.
        return np.diff(np.interp(edges, times, whole))


class Usage:
    """Quanta in use, jobs waiting and nodes down of each pool."""

    def __init__(self, pools: tuple[str, ...]) -> None:
        """Begin with nothing in use."""
        self.queues = pools
        self.used = {name: Level() for name in pools}
        self.queued = {name: Level() for name in pools}
        self.down = {name: Level() for name in pools}
        self._end_s = 0.0

    def start(self, pool: str, now_s: float, quanta: int) -> None:
        """Book quanta as in use from now on."""
        self.used[pool].add(now_s, quanta)

    def stop(self, pool: str, now_s: float, quanta: int) -> None:
        """Book quanta as free from now on."""
        self.used[pool].add(now_s, -quanta)

    def waiting(self, pool: str, now_s: float, count: int) -> None:
        """Book how many jobs wait from now on."""
        level = self.queued[pool]
        if level.now != count:
            level.set(now_s, count)

    def close(self, end_s: float) -> None:
        """Fix the end of the run."""
        self._end_s = end_s

    def quanta_s(self, pool: str) -> Hours:
        """Return quanta-seconds in use of each hour."""
        return self.used[pool].hours(self._end_s)

    def mean_waiting(self, pool: str) -> Hours:
        """Return the mean number of waiting jobs of each hour."""
        return self.queued[pool].hours(self._end_s) / SECONDS_PER_HOUR

    def down_node_s(self, pool: str) -> Hours:
        """Return node-seconds out of use of each hour."""
        return self.down[pool].hours(self._end_s)
