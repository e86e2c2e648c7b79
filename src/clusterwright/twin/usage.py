"""What was in use and who waited, hour by hour and queue by queue."""

import numpy as np
import numpy.typing as npt

from clusterwright.units import SECONDS_PER_HOUR

Hours = npt.NDArray[np.float64]


class Usage:
    """Quanta in use and jobs waiting, as integrals over each hour."""

    def __init__(self, queues: tuple[str, ...]) -> None:
        """Begin with nothing in use."""
        self.queues = queues
        self._level = dict.fromkeys(queues, 0)
        self._since = dict.fromkeys(queues, 0.0)
        self._used = {name: np.zeros(24) for name in queues}
        self._queued = dict.fromkeys(queues, 0)
        self._queued_since = dict.fromkeys(queues, 0.0)
        self._waiting = {name: np.zeros(24) for name in queues}

    def start(self, queue: str, now: float, quanta: int) -> None:
        """Book quanta as in use from now on."""
        self._advance(queue, now)
        self._level[queue] += quanta

    def stop(self, queue: str, now: float, quanta: int) -> None:
        """Book quanta as free from now on."""
        self._advance(queue, now)
        self._level[queue] -= quanta

    def waiting(self, queue: str, now: float, count: int) -> None:
        """Book how many jobs wait from now on."""
        self._waiting[queue] = _spread(
            self._waiting[queue], self._queued_since[queue], now, self._queued[queue]
        )
        self._queued_since[queue], self._queued[queue] = now, count

    def close(self, now: float) -> None:
        """Book everything up to the end of the run."""
        hours = int(np.ceil(now / SECONDS_PER_HOUR)) or 1
        for queue in self.queues:
            self._advance(queue, now)
            self.waiting(queue, now, self._queued[queue])
            self._used[queue] = _sized(self._used[queue], hours)[:hours]
            self._waiting[queue] = _sized(self._waiting[queue], hours)[:hours]

    def quanta_s(self, queue: str) -> Hours:
        """Return quanta-seconds in use of each hour."""
        return self._used[queue]

    def mean_waiting(self, queue: str) -> Hours:
        """Return the mean number of waiting jobs of each hour."""
        return self._waiting[queue] / SECONDS_PER_HOUR

    def _advance(self, queue: str, now: float) -> None:
        self._used[queue] = _spread(self._used[queue], self._since[queue], now, self._level[queue])
        self._since[queue] = now


def _spread(hours: Hours, since: float, now: float, level: float) -> Hours:
    """Add `level` for the time between to the hours that it covers."""
    if now <= since or not level:
        return hours
    first, last = int(since // SECONDS_PER_HOUR), int(now // SECONDS_PER_HOUR)
    hours = _sized(hours, last + 1)
    if first == last:
        hours[first] += level * (now - since)
        return hours
    hours[first] += level * ((first + 1) * SECONDS_PER_HOUR - since)
    hours[first + 1 : last] += level * SECONDS_PER_HOUR
    hours[last] += level * (now - last * SECONDS_PER_HOUR)
    return hours


def _sized(hours: Hours, length: int) -> Hours:
    if hours.size >= length:
        return hours
    return np.concatenate([hours, np.zeros(max(length, 2 * hours.size) - hours.size)])
