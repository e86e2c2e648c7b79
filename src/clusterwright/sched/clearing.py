"""Which running jobs to stop so that nodes become free: the searches, on plain figures.

A site is a node, or one shared accelerator, with what is free there and what its items would free.
An item is a job, or all the jobs that share one accelerator, which is free only when all are gone.
One site is searched by branch and bound. For a gang many sites are needed at once, and a job that
stands on several frees them together: the cheapest by site are taken first, then what turned out
not to be needed is left alone, then the search is repeated without each of the dearest.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

Amounts = tuple[float, float, float]  # units of accelerators (or quanta, or cores), cores, bytes
Allowed = Callable[[Collection[int]], bool]

STEPS = 2000
"""Steps of one branch and bound; what is found by then is good, and almost always the best."""
TRIED_AGAIN = 4096
"""Sites looked at by repeated searches, over all repeats: small gangs are searched more closely."""
MOST_REPEATS = 12
_NOTHING: Amounts = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Item:
    """Jobs that free something of a site together."""

    jobs: tuple[int, ...]
    """The jobs."""
    frees: Amounts
    """What is free once all of them are gone."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place that a job, or one part of a gang, could go to."""

    place: int
    """Bit of its node, or the number of an accelerator."""
    free: Amounts
    """What is free now."""
    items: tuple[Item, ...]
    """What could be freed."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a gang needs of some sites."""

    count: int
    """Sites that must be had, beyond those that are free already."""
    each: Amounts
    """What each of them must have."""
    rest: Amounts | None = None
    """What one more must have; None when there is no remainder, or when it finds room already."""


def cover(
    lacking: Amounts, items: Sequence[Item], costs: Mapping[int, float], allowed: Allowed | None
) -> tuple[float, list[int]] | None:
    """Return the cheapest jobs that free so much together, with their cost; None if none do.

    Parameters
    ----------
    lacking
        What is needed beyond what is free.
    items
        What may be stopped.
    costs
        What stopping a job costs; jobs that are gone already are left out, or cost nothing.
    allowed
        Whether a set of jobs may be stopped together; None when any may.
    """
    if max(lacking) <= 0:
        return 0.0, []
    priced = [(sum(costs[job] for job in one.jobs), one) for one in items]
    priced.sort(key=lambda pair: (pair[0] / _worth(pair[1].frees, lacking), pair[1].jobs))
    search = _Cover([cost for cost, _ in priced], [one for _, one in priced], allowed)
    search.extend(0, lacking, 0.0, [])
    return None if search.best is None else (search.cost, search.best)


class _Cover:
    """Depth first, the best value for its cost first; a branch ends when it cannot win."""

    def __init__(self, prices: list[float], items: list[Item], allowed: Allowed | None) -> None:
        self.prices, self.items, self.allowed = prices, items, allowed
        self.cost, self.best, self.steps = float("inf"), None, STEPS
        self.best: list[int] | None
        self.after: list[Amounts] = [_NOTHING]  # what all items from one on would free
        self.rates: list[Amounts] = [(float("inf"),) * 3]  # least cost by unit among them
        for price, one in zip(reversed(prices), reversed(items), strict=True):
            self.after.append(_plus(self.after[-1], one.frees))
            a, b, c = (price / f if f > 0 else float("inf") for f in one.frees)
            x, y, z = self.rates[-1]
            self.rates.append((min(a, x), min(b, y), min(c, z)))
        self.after.reverse()
        self.rates.reverse()

    def extend(self, at: int, lacking: Amounts, cost: float, chosen: list[int]) -> None:
        """Take or leave each item from one on."""
        if max(lacking) <= 0:
            if cost < self.cost:
                self.cost, self.best = cost, list(chosen)
            return
        self.steps -= 1
        if at == len(self.items) or (self.steps < 0 and self.best is not None):
            return
        for need, have, rate in zip(lacking, self.after[at], self.rates[at], strict=True):
            if need > 0 and (need > have or cost + need * rate >= self.cost):
                return
        one = self.items[at]
        more = [*chosen, *one.jobs]
        if self.allowed is None or self.allowed(more):
            self.extend(at + 1, _minus(lacking, one.frees), cost + self.prices[at], more)
        self.extend(at + 1, lacking, cost, chosen)


def on_one(
    sites: Iterable[Site], need: Amounts, costs: Mapping[int, float], allowed: Allowed | None
) -> tuple[float, list[int]] | None:
    """Return the cheapest jobs to stop so that one of some sites has what is needed."""
    bounds = []
    for number, site in enumerate(sites):
        lacking = _minus(need, site.free)
        if any(w > sum(i.frees[d] for i in site.items) for d, w in enumerate(lacking) if w > 0):
            continue
        bound = max(
            w
            * min(
                (sum(costs[j] for j in i.jobs) / i.frees[d] for i in site.items if i.frees[d] > 0)
            )
            for d, w in enumerate(lacking)
            if w > 0
        )
        bounds.append((bound, number, lacking, site))
    best: tuple[float, list[int]] | None = None
    for bound, _, lacking, site in sorted(bounds, key=lambda one: one[:2]):
        if best is not None and bound >= best[0]:
            break
        found = cover(lacking, site.items, costs, allowed)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return best


def on_many(
    sites: Sequence[Site], need: Need, costs: Mapping[int, float], allowed: Allowed | None
) -> tuple[float, list[int]] | None:
    """Return cheap jobs to stop so that as many sites as needed are free; None if none are enough.

    Sites that are free already are not among the given; the need has been lowered by them.
    """
    search = _Clearing(sites, need, costs, allowed)
    best = search.cleared(frozenset())
    if best is None:
        return None
    repeats = min(MOST_REPEATS, TRIED_AGAIN // max(1, len(sites)))
    banned: set[int] = set()
    while repeats > 0:
        dearest = [job for job in best if job not in banned]
        if not dearest:
            break
        job = max(dearest, key=lambda one: (costs[one], one))
        banned.add(job)
        other = search.cleared(frozenset((job,)))
        repeats -= 1
        if other is not None and search.cost(other) < search.cost(best):
            best = other
    return search.cost(best), best


class _Clearing:
    """Sites of a gang, and what stopping a job does to all that it stands on."""

    def __init__(
        self, sites: Sequence[Site], need: Need, costs: Mapping[int, float], allowed: Allowed | None
    ) -> None:
        self.need, self.costs, self.allowed = need, costs, allowed
        self.sites = {site.place: site for site in sites}
        self.places_of: dict[int, list[int]] = {}
        for site in sites:
            for item in site.items:
                for job in item.jobs:
                    self.places_of.setdefault(job, []).append(site.place)
        self.stopped: dict[int, None] = {}
        self.banned: frozenset[int] = frozenset()
        self.ready: set[int] = set()

    def cost(self, jobs: Iterable[int]) -> float:
        """Return what stopping some jobs costs."""
        return sum(self.costs[job] for job in jobs)

    def cleared(self, banned: frozenset[int]) -> list[int] | None:
        """Return jobs to stop without the banned ones, none of them in vain; None if not enough."""
        self.stopped, self.banned, self.ready = {}, banned, set()
        if not self._take(self.need.count) or not self._take_rest():
            return None
        for job in sorted(self.stopped, key=lambda one: (-self.costs[one], one)):
            del self.stopped[job]
            lost = {p for p in self.places_of[job] if p in self.ready and self._lacks(p)}
            self.ready -= lost
            if len(self.ready) < self.need.count or not self._has_rest():
                self.stopped[job] = None
                self.ready |= lost
        return list(self.stopped)

    def _take(self, count: int) -> bool:
        """Free the sites that cost least for each that is had, until there are enough."""
        heap = [one for place in self.sites if (one := self._offer(place, count)) is not None]
        heapq.heapify(heap)
        while heap and len(self.ready) < count:
            price, place, _ = heapq.heappop(heap)
            if place in self.ready:
                continue
            offer = self._offer(place, count - len(self.ready))
            if offer is None:
                continue
            if offer[0] > price:
                heapq.heappush(heap, offer)
                continue
            near = {p for job in offer[2] for p in self.places_of[job]}
            self.stopped.update(dict.fromkeys(offer[2]))
            self.ready |= {p for p in near if not self._lacks(p)}
            for other in near - self.ready:
                again = self._offer(other, count - len(self.ready))
                if again is not None:
                    heapq.heappush(heap, again)
        return len(self.ready) >= count

    def _offer(self, place: int, wanted: int) -> tuple[float, int, list[int]] | None:
        """Return the price by site of freeing one, and whom that stops."""
        found = self._fresh(place, self.need.each)
        if found is None:
            return None
        cost, jobs = found
        gain = 1
        if any(len(self.places_of[job]) > 1 for job in jobs):
            near = {p for job in jobs for p in self.places_of[job]} - self.ready
            gain = sum(not self._lacks(p, jobs) for p in near)
        return cost / max(1, min(gain, wanted)), place, jobs

    def _fresh(self, place: int, each: Amounts) -> tuple[float, list[int]] | None:
        """Return whom else to stop so that a site has what is needed."""
        items, free = [], self.sites[place].free
        for item in self.sites[place].items:
            jobs = tuple(job for job in item.jobs if job not in self.stopped)
            if not jobs:
                free = _plus(free, item.frees)
            elif self.banned.isdisjoint(jobs):
                items.append(Item(jobs, item.frees))
        return cover(_minus(each, free), items, self.costs, self._also if self.allowed else None)

    def _also(self, jobs: Collection[int]) -> bool:
        assert self.allowed is not None
        return self.allowed([*self.stopped, *jobs])

    def _lacks(self, place: int, more: Collection[int] = (), each: Amounts | None = None) -> bool:
        site = self.sites[place]
        free = site.free
        for item in site.items:
            if all(job in self.stopped or job in more for job in item.jobs):
                free = _plus(free, item.frees)
        return max(_minus(each or self.need.each, free)) > 0

    def _has_rest(self) -> bool:
        rest = self.need.rest
        if rest is None or len(self.ready) > self.need.count:
            return True
        return any(not self._lacks(p, (), rest) for p in self.sites if p not in self.ready)

    def _take_rest(self) -> bool:
        """Make room for the remainder on one more site."""
        rest = self.need.rest
        if rest is None or self._has_rest():
            return True
        found = [self._fresh(place, rest) for place in self.sites if place not in self.ready]
        best = min((one for one in found if one is not None), default=None)
        if best is None:
            return False
        self.stopped.update(dict.fromkeys(best[1]))
        near = {p for job in best[1] for p in self.places_of[job]}
        self.ready |= {p for p in near if not self._lacks(p)}
        return True


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _minus(one: Amounts, other: Amounts) -> Amounts:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


def _worth(frees: Amounts, lacking: Amounts) -> float:
    """Return how much of what is lacking an item frees, as a part of it; never quite nothing."""
    parts = [min(f, w) / w for f, w in zip(frees, lacking, strict=True) if w > 0]
    return max(1e-9, sum(parts))
