"""Data on their way: from the lake to the hot tier, before the jobs that read them start.

The way is shared fairly: all transfers under way get the same part of its bandwidth. The hot tier
holds what fits; what no job that waits or runs reads makes room, the longest unread first. With
prefetch a transfer begins when a job that reads the data is submitted, and the job may not start
before it is through. Without, it begins when the job starts, on nodes that wait for it, and keeps
the bandwidth that it finds then.
"""

import heapq
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.job import Job
from clusterwright.model.run import StagingFigures
from clusterwright.units import Bytes, BytesPerSecond
from clusterwright.units import format as show


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """The hot tier and the way to it."""

    hot_bytes: Bytes
    """What the hot tier keeps for data that jobs read."""
    way_bytes_per_s: BytesPerSecond
    """What lake and hot tier move together."""
    prefetch: bool = True
    """True when data move while their jobs wait; else when they start."""


class Stager:
    """What is on the hot tier, and what is on its way."""

    def __init__(self, staging: Staging, jobs: Sequence[Job]) -> None:
        """Begin with an empty hot tier.

        Raises
        ------
        InvalidInput
            With every set of data that the hot tier could never hold.
        """
        self._jobs = jobs
        self._reader = {self._data(i): i for i in reversed(range(len(jobs)))}
        self._prefetch = staging.prefetch
        self._way_bytes_per_s = staging.way_bytes_per_s
        self._tier = _Tier(staging.hot_bytes, _sizes(jobs, staging))
        self._asked: dict[str, int] = {}  # data that are to come, by the job that asked first
        self._queue: deque[str] = deque()
        self._flows: list[tuple[float, str]] = []  # progress at which each is through
        self._progress = 0.0  # bytes that a transfer under way since the beginning has moved
        self._since_s = 0.0
        self._arrives_s: dict[str, float] = {}
        self._num_transfers = 0
        self._moved_bytes = 0.0
        self._num_reads = 0
        self._num_hits = 0
        self._waited_s = 0.0

    def submit(self, job: int, now_s: float) -> None:
        """Note that a job will read its data, and see to it that they come."""
        name = self._data(job)
        if not name:
            return
        self._tier.pin(name)
        if not self._prefetch:
            return
        self._num_reads += 1
        if name in self._asked:
            return
        if self._tier.read(name):
            self._num_hits += 1
        else:
            self._asked[name] = job
            self._queue.append(name)
            self._admit(now_s)

    def leave(self, job: int, now_s: float) -> None:
        """Note that a job is through with its data."""
        name = self._data(job)
        if name:
            self._tier.unpin(name)
            self._admit(now_s)

    def next_s(self) -> float:
        """Return when the next transfer is through, if no other begins before; never without."""
        if not self._flows:
            return math.inf
        left = max(0.0, self._flows[0][0] - self._progress)
        return self._since_s + left * len(self._flows) / self._way_bytes_per_s

    def finish(self, now_s: float) -> int:
        """Take the next transfer as through; return the job that asked for its data."""
        self._progress, name = heapq.heappop(self._flows)
        self._since_s = now_s
        self._arrives_s[name] = now_s
        self._tier.read(name)
        return self._asked.pop(name)

    def begin(self, job: int, now_s: float) -> None:
        """Note that a job starts; if at the moment its data came, it had waited for them."""
        one, name = self._jobs[job], self._data(job)
        if name and self._prefetch and self._arrives_s.get(name) == now_s:
            self._waited_s += now_s - max(one.submit_s, one.start_after_s or 0.0)

    def fetch_s(self, job: int, now_s: float) -> float:
        """Return how long a job that starts now waits on its nodes for its data."""
        name = self._data(job)
        if not name or self._prefetch:
            return 0.0
        self._num_reads += 1
        if self._tier.read(name):
            lasts = max(0.0, self._arrives_s[name] - now_s)
            self._num_hits += not lasts
        else:
            size = self._tier.bytes_of[name]
            beside = sum(end > now_s for end in self._arrives_s.values())
            lasts = size * (beside + 1) / self._way_bytes_per_s
            self._tier.add(name)  # where nothing makes room, it is read past the hot tier
            self._arrives_s[name] = now_s + lasts
            self._count(size)
        self._waited_s += lasts
        return lasts

    def gone(self) -> list[int]:
        """Return a job of each set of data that had to make room since this was asked last."""
        out = [self._reader[name] for name in self._tier.evicted]
        self._tier.evicted.clear()
        return out

    def figures(self) -> StagingFigures:
        """Return what moved, and what waited for it."""
        return StagingFigures(
            num_transfers=self._num_transfers,
            moved_bytes=self._moved_bytes,
            hit_fraction=self._num_hits / self._num_reads if self._num_reads else 1.0,
            waited_s=self._waited_s,
        )

    def _data(self, job: int) -> str:
        one = self._jobs[job]
        return one.dataset if one.dataset_bytes > 0 else ""

    def _admit(self, now_s: float) -> None:
        """Begin the transfers that there is room for, the first asked first."""
        while self._queue and self._tier.add(self._queue[0]):
            name = self._queue.popleft()
            if self._flows:
                each = self._way_bytes_per_s / len(self._flows)
                self._progress += (now_s - self._since_s) * each
            self._since_s = now_s
            size = self._tier.bytes_of[name]
            heapq.heappush(self._flows, (self._progress + size, name))
            self._count(size)

    def _count(self, size_bytes: float) -> None:
        self._num_transfers += 1
        self._moved_bytes += size_bytes


class _Tier:
    """What the hot tier holds or is about to hold."""

    def __init__(self, hot_bytes: float, bytes_of: Mapping[str, float]) -> None:
        self.bytes_of = bytes_of
        self.evicted: list[str] = []
        self._spare_bytes = hot_bytes
        self._held: dict[str, None] = {}  # the longest unread first
        self._pins: dict[str, int] = {}

    def pin(self, name: str) -> None:
        """Keep data for one reader more."""
        self._pins[name] = self._pins.get(name, 0) + 1

    def unpin(self, name: str) -> None:
        """Keep data for one reader less."""
        self._pins[name] -= 1
        self.read(name)

    def read(self, name: str) -> bool:
        """Return whether data are held, as the last read of all."""
        if name not in self._held:
            return False
        del self._held[name]
        self._held[name] = None
        return True

    def add(self, name: str) -> bool:
        """Make room for data and hold them; change nothing when there is not enough."""
        size = self.bytes_of[name]
        spare, out = self._spare_bytes, list[str]()
        for other in self._held:
            if spare >= size:
                break
            if not self._pins.get(other):
                out.append(other)
                spare += self.bytes_of[other]
        if spare < size:
            return False
        for other in out:
            del self._held[other]
        self.evicted += out
        self._spare_bytes = spare - size
        self._held[name] = None
        return True


def _sizes(jobs: Sequence[Job], staging: Staging) -> dict[str, float]:
    """Return the size of each set of data: the most that a job says of it."""
    found: dict[str, float] = {}
    for job in jobs:
        if job.dataset and job.dataset_bytes > 0:
            found[job.dataset] = max(found.get(job.dataset, 0.0), job.dataset_bytes)
    faults = [
        Fault(
            path=f"dataset {name}",
            message=f"is {show(size, Bytes)}, the hot tier holds {show(staging.hot_bytes, Bytes)}",
            remedy="make the hot tier larger, or read less",
        )
        for name, size in found.items()
        if size > staging.hot_bytes
    ]
    if faults:
        raise InvalidInput(faults)
    return found
