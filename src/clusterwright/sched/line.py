"""Waiting jobs of one queue, always in the order of the policy, and the heads of all queues."""

import heapq
import sys
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice

from clusterwright.model.job import Job
from clusterwright.sched.nodes import Ask, Pool
from clusterwright.sched.policies import Key
from clusterwright.sched.quotas import Account, Tier

Entry = tuple[Key, int]  # key, job; equal keys keep the order of the jobs' numbers
Rank = tuple[object, ...]


class Line:
    """The jobs that wait in one queue, or in all queues that share nodes without any rules.

    Sorted lists: ten thousand waiting jobs move in a microsecond when one is put in, and backfill
    reads them in order as they stand.
    """

    def __init__(
        self,
        name: str,
        number: int,
        pool: Pool,
        account: Account,
        *,
        by_user: bool,
        urgent: bool,
        depth: int,
    ) -> None:
        """Take the nodes and the account of the queue; nobody waits.

        `by_user` orders users by what they used, `urgent` keeps when each patience ends. A `depth`
        above zero, which is how many backfill looks at, keeps a second index by what jobs ask for.
        """
        self.name = name
        self.number = number
        self.pool = pool
        self.account = account
        self.version = 0
        self.entries: dict[int, tuple[str, Entry]] = {}
        self.used: dict[str, float] = {}
        self._by_user = by_user
        self._urgent = urgent
        self._lists: dict[str, list[Entry]] = {}
        self.by_shape = depth > 0 and not by_user
        self.fresh: dict[int, None] = {}  # waiting jobs that backfill has not looked at yet
        self._depth = depth
        self._shapes: dict[Ask, list[Entry]] = {}
        # Shapes that may fit once less is free, or of which so many wait that backfill may not come
        # to the last: half its depth, so that those of one look cannot bring more than that below.
        self._num_odd = 0
        self._units: list[tuple[int, int]] = []  # units of the shapes that wait, in order
        self._asks: list[Ask] = []  # the shapes in that order
        self._guess: dict[int, float] = {}
        self._least_guess: dict[Ask, float] = {}  # never above the shortest guess that waits
        self._dues: list[tuple[float, int]] = []  # when its patience ends, job

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self.entries)

    def add(
        self, index: int, job: Job, ask: Ask, key: Key, guess_s: float, due_s: float | None
    ) -> None:
        """Put a job in; one that comes back keeps its place among equals."""
        user = job.user if self._by_user else ""
        entry = (key, index)
        insort(self._lists.setdefault(user, []), entry)
        self.entries[index] = (user, entry)
        if self.by_shape:
            self._add_shape(ask, entry, guess_s)
        if due_s is not None:
            heapq.heappush(self._dues, (due_s, index))

    def remove(self, index: int, ask: Ask) -> None:
        """Take a job out."""
        user, entry = self.entries.pop(index)
        waiting = self._lists[user]
        del waiting[0 if waiting[0] is entry else bisect_left(waiting, entry)]
        if not waiting:
            del self._lists[user]
        if self.by_shape:
            alike = self._shapes[ask]
            del alike[0 if alike[0] is entry else bisect_left(alike, entry)]
            del self._guess[index]
            self.fresh.pop(index, None)
            self._num_odd -= len(alike) == self._depth // 2
            if not alike:
                self._num_odd -= _is_odd(ask)
                del self._shapes[ask], self._least_guess[ask]
                at = bisect_left(self._units, (ask.least or ask.units, id(ask)))
                del self._units[at], self._asks[at]

    def head(self, now_s: float) -> int | None:
        """Return the job that is first in order: the one whose patience has ended, else by key."""
        if self._urgent and (late := self.late(now_s)) is not None:
            return late
        if not self._by_user:
            first = self._lists.get("")
            return first[0][1] if first else None
        if not self._lists:
            return None
        used = self.used
        return min(
            (waiting[0][0][0], used.get(user, 0.0), waiting[0])
            for user, waiting in self._lists.items()
        )[2][1]

    def late(self, now_s: float) -> int | None:
        """Return the job whose patience has ended first, if any has."""
        dues = self._dues
        while dues and dues[0][1] not in self.entries:
            heapq.heappop(dues)
        return dues[0][1] if dues and dues[0][0] <= now_s else None

    def next_due_s(self, now_s: float) -> float | None:
        """Return when the first patience ends, if that is still to come."""
        dues = self._dues
        while dues and dues[0][1] not in self.entries:
            heapq.heappop(dues)
        return dues[0][0] if dues and dues[0][0] > now_s else None

    def ordered(self) -> Iterator[int]:
        """Yield the waiting jobs in order; usage is taken as it is now."""
        if not self._by_user:
            for entry in self._lists.get("", ()):
                yield entry[1]
            return
        used = self.used
        lists = [
            [(entry[0][0], used.get(user, 0.0), entry) for entry in waiting]
            for user, waiting in self._lists.items()
        ]
        for _, _, entry in heapq.merge(*lists):
            yield entry[1]

    def fitting(
        self, depth: int, closed: set[Ask], tight: set[Ask], *, spare_s: float, loose_units: int
    ) -> Iterator[int]:
        """Yield in order the waiting jobs that could start now, `depth` at most.

        Parameters
        ----------
        depth
            How many to yield.
        closed
            Shapes that do not fit at all; the caller adds to it as it finds out.
        tight
            Shapes that fit only where they must be gone after `spare_s`; likewise.
        spare_s
            Time after which what is promised must be free again.
        loose_units
            Free units that are promised to nobody; shapes that ask for more are tight.
        """
        if not self.by_shape:
            yield from islice(self.ordered(), depth)
            return
        pool, least = self.pool, self._least_guess
        last = bisect_right(self._units, (pool.free_units, sys.maxsize))
        loose = bisect_right(self._units, (loose_units, sys.maxsize), hi=last)
        asks, bound = self._asks[:loose], self._asks[loose:last]
        tight.update(bound)
        asks += [ask for ask in bound if least[ask] <= spare_s]
        lists = [self._shapes[ask] for ask in asks]
        ends = [min(depth, len(entries)) for entries in lists]
        heap = [(entries[0], i, 0) for i, entries in enumerate(lists)]
        heapq.heapify(heap)
        guesses = self._guess
        while heap and depth:
            entry, i, at = heap[0]
            ask, entries, end = asks[i], lists[i], ends[i]
            if ask in closed or (ask.least or ask.units) > pool.free_units:
                heapq.heappop(heap)
                continue
            if ask in tight:
                if least[ask] > spare_s:  # even the shortest of them is too long
                    heapq.heappop(heap)
                    continue
                while at < end and guesses[entries[at][1]] > spare_s:
                    at += 1
                if at == end:
                    self._learn_least(ask, entries)
                    heapq.heappop(heap)
                    continue
                if entries[at] is not entry:
                    heapq.heapreplace(heap, (entries[at], i, at))
                    continue
            depth -= 1
            yield entry[1]
            if at < len(entries) and entries[at] is entry:
                at += 1
            else:  # it has started, and left the list
                end = ends[i] = end - 1
            if at < end:
                heapq.heapreplace(heap, (entries[at], i, at))
            else:
                heapq.heappop(heap)

    def newcomers(self) -> list[int]:
        """Return in order the waiting jobs that backfill has not looked at yet."""
        return [job for _, job in sorted(self.entries[job][1] for job in self.fresh)]

    def sees_all(self, num_started: int, free_units: int) -> bool:
        """Return whether `fitting` looks at all that wait, when it leads to so many starts at most.

        Of each shape that asks for no more than is free it yields one job that finds nothing loose,
        one that finds nothing free at all, and those that start; and the first in order, which is
        not backfill's to start.
        """
        num_small = bisect_right(self._units, (free_units, sys.maxsize))
        return not self._num_odd and 2 * num_small + num_started + 1 < self._depth

    def jobs(self) -> Iterator[int]:
        """Yield the waiting jobs in no order."""
        yield from self.entries

    def _learn_least(self, ask: Ask, entries: list[Entry]) -> None:
        """Remember the shortest guess of a shape when all that wait of it have been seen."""
        if 0 < len(entries) <= self._depth:
            self._least_guess[ask] = min(self._guess[index] for _, index in entries)

    def _add_shape(self, ask: Ask, entry: Entry, guess_s: float) -> None:
        self._guess[entry[1]] = guess_s
        self._least_guess[ask] = min(guess_s, self._least_guess.get(ask, guess_s))
        self.fresh[entry[1]] = None
        alike = self._shapes.get(ask)
        if alike is None:
            self._shapes[ask] = [entry]
            units = (ask.least or ask.units, id(ask))
            at = bisect_left(self._units, units)
            self._num_odd += _is_odd(ask)
            self._units.insert(at, units)
            self._asks.insert(at, ask)
        else:
            insort(alike, entry)
            self._num_odd += len(alike) == self._depth // 2 + 1


class Heads:
    """The first jobs of all lines of a pool, in buckets of equal shape.

    Where one job of a shape does not fit, none does, so a cycle asks once for each shape, not once
    for each queue.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._buckets: dict[Ask, list[tuple[Rank, int, int, Line]]] = {}

    def __bool__(self) -> bool:
        """Return whether there may be any."""
        return bool(self._buckets)

    def put(self, line: Line, ask: Ask, rank: Rank) -> None:
        """Enter the head of a line under its rank; what stood for that line before is void."""
        line.version += 1
        bucket = self._buckets.setdefault(ask, [])
        heapq.heappush(bucket, (rank, line.number, line.version, line))

    def drop(self, line: Line) -> None:
        """Forget the head of a line."""
        line.version += 1

    def first(
        self, closed: "set[Ask]", pool: Pool, *, skip_large: bool
    ) -> tuple[Rank, Line, Ask] | None:
        """Return the head that is first among the shapes that are not closed.

        With `skip_large`, those that borrow and ask for more than is free are passed over: they
        can neither be held nor take anything back.
        """
        best: tuple[Rank, int, int, Line] | None = None
        shape: Ask | None = None
        for ask in list(self._buckets):
            if ask in closed:
                continue
            bucket = self._buckets[ask]
            while bucket and bucket[0][2] != bucket[0][3].version:
                heapq.heappop(bucket)
            if not bucket:
                del self._buckets[ask]
                continue
            entry = bucket[0]
            large = (ask.least or ask.units) > pool.free_units
            if skip_large and large and entry[0][0] is Tier.BORROWED:
                continue
            if best is None or entry < best:
                best, shape = entry, ask
        if best is None or shape is None:
            return None
        return best[0], best[3], shape


def rank_of(line: Line, entry: tuple[str, Entry], tier: Tier, *, fair: bool) -> Rank:
    """Return where the head of a line stands among the heads of its pool; lower goes first."""
    user, (key, index) = entry
    if fair:
        shares = line.account.shares()
        return (tier, key[0], shares, line.used.get(user, 0.0), key, index)
    return (tier, key, index)


def _is_odd(ask: Ask) -> bool:
    """Return whether a shape may fit where it did not before, though nothing came free.

    Fewer idle nodes may lead a search for near ones elsewhere; an elastic gang is passed over while
    it lacks its full size.
    """
    return bool(ask.least) or ask.topology is not None
