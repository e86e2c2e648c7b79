"""The jobs that wait for one set of nodes, always in the order of the policy."""

import heapq
from collections.abc import Iterator

from clusterwright.sched.policies import Key, Policy

_Entry = tuple[Key, int, int]  # key, order of arrival, job


class Waiting:
    """Waiting jobs, one heap in all or one for each user where the policy asks for usage."""

    def __init__(self, policy: Policy) -> None:
        """Take the policy; nobody waits."""
        self._by_usage = policy.by_usage
        self._heaps: dict[str, list[_Entry]] = {}
        self._here: set[int] = set()
        self._order: dict[int, int] = {}
        self.used: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._here)

    def add(self, job: int, key: Key, user: str) -> None:
        """Put a job in; one that comes back keeps its place among equals."""
        order = self._order.setdefault(job, len(self._order))
        heap = self._heaps.setdefault(user if self._by_usage else "", [])
        heapq.heappush(heap, (key, order, job))
        self._here.add(job)

    def remove(self, job: int) -> None:
        """Take a job out."""
        self._here.discard(job)

    def head(self) -> int | None:
        """Return the job that is first in order."""
        best: tuple[float, float, _Entry] | None = None
        for user in list(self._heaps):
            entry = self._first(user)
            if entry is None:
                continue
            rank = (entry[0][0], self.used.get(user, 0.0) if self._by_usage else 0.0, entry)
            if best is None or rank < best:
                best = rank
        return None if best is None else best[2][2]

    def ordered(self) -> Iterator[int]:
        """Yield the waiting jobs in order; usage is taken as it is now."""
        entries = (
            (entry[0][0], self.used.get(user, 0.0) if self._by_usage else 0.0, entry)
            for user, heap in self._heaps.items()
            for entry in heap
            if entry[2] in self._here
        )
        seen: set[int] = set()
        for _, _, (_, _, job) in sorted(entries):
            if job not in seen:
                seen.add(job)
                yield job

    def jobs(self) -> Iterator[int]:
        """Yield the waiting jobs in no order."""
        yield from self._here

    def _first(self, user: str) -> _Entry | None:
        heap = self._heaps[user]
        while heap and heap[0][2] not in self._here:
            heapq.heappop(heap)
        if not heap:
            del self._heaps[user]
            return None
        return heap[0]
