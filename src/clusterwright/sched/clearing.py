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
Found = tuple[float, list[int]]  # what stopping some jobs costs, and the jobs

STEPS = 2000
"""Steps of one branch and bound; what is found by then is good, and almost always the best."""
REPEATS = 12
"""Searches for a gang without one of the dearest jobs, at most."""
SITES_AGAIN = 20_000
"""Sites that they look at, over all searches: on ten thousand nodes there are fewer."""
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
) -> Found | None:
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
        self.cost, self.steps = float("inf"), STEPS
        self.best: list[int] | None = None
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
    bounds: Iterable[tuple[float, int]],
    site_of: Callable[[int], Site],
    need: Amounts,
    costs: Mapping[int, float],
    allowed: Allowed | None,
) -> Found | None:
    """Return the cheapest jobs to stop so that one of some sites has what is needed.

    `bounds` names the sites, each after a figure below which it cannot cost; those that cannot win
    are not looked at.
    """
    best: Found | None = None
    for bound, place in sorted(bounds):
        if best is not None and bound >= best[0]:
            break
        site = site_of(place)
        found = cover(_minus(need, site.free), site.items, costs, allowed)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return best


class Clearing:
    """Sites of a gang, and what stopping a job does to all that it stands on."""

    def __init__(
        self, sites: Sequence[Site], need: Need, costs: Mapping[int, float], allowed: Allowed | None
    ) -> None:
        """Take the sites that are not free already; the need has been lowered by those that are."""
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
        self._gains: dict[tuple[int, ...], int] = {}
        self.at_first = {place: self._offer(place) for place in self.sites} if need.count else {}
        self.offers = self.at_first

    def cheap(self) -> Found | None:
        """Return cheap jobs to stop so that enough sites are free; None when none are enough."""
        found = (self._cleared(frozenset(), capped=True), self._cleared(frozenset(), capped=False))
        return min((one for one in found if one is not None), key=_cost_of, default=None)

    def cheaper(self, found: Found) -> Found:
        """Return the same or better: the search is repeated without each of the dearest jobs."""
        best = found
        tried: set[int] = set()
        for _ in range(min(REPEATS, SITES_AGAIN // max(1, len(self.sites)))):
            dearest = max(
                (job for job in best[1] if job not in tried),
                key=lambda one: (self.costs[one], one),
                default=None,
            )
            if dearest is None:
                break
            tried.add(dearest)
            other = self._cleared(frozenset((dearest,)), capped=True)
            if other is not None and other[0] < best[0]:
                best = other
        return best

    def _cleared(self, banned: frozenset[int], *, capped: bool) -> Found | None:
        """Return jobs to stop without the banned ones, none of them in vain."""
        self.stopped, self.banned, self.ready = {}, banned, set()
        self._gains = {}
        if not self._take(capped=capped) or not self._take_rest():
            return None
        for job in sorted(self.stopped, key=lambda one: (-self.costs[one], one)):
            del self.stopped[job]
            lost = {p for p in self.places_of[job] if p in self.ready and self._lacks(p)}
            self.ready -= lost
            if len(self.ready) < self.need.count or not self._has_rest():
                self.stopped[job] = None
                self.ready |= lost
        jobs = list(self.stopped)
        return sum(self.costs[job] for job in jobs), jobs

    def _take(self, *, capped: bool) -> bool:
        """Free the sites that cost least for each that is had, until there are enough.

        A job may free more sites than are still wanted; `capped` counts only those that are.
        """
        count = self.need.count
        self.offers = dict(self.at_first)
        if not capped:
            count = len(self.sites)
        heap = [
            (one.cost / min(one.gain, count), place)
            for place, one in self.offers.items()
            if one is not None
        ]
        heapq.heapify(heap)
        while heap and len(self.ready) < self.need.count:
            price, place = heapq.heappop(heap)
            if place in self.ready:
                continue
            offer = self.offers[place]
            if offer is not None and not self.banned.isdisjoint(offer.jobs):
                offer = self.offers[place] = self._offer(place)
            if offer is None or not (self.allowed is None or self._also(offer.jobs)):
                continue
            wanted = count - len(self.ready) if capped else count
            now = offer.cost / min(offer.gain, wanted)
            if now > price:
                heapq.heappush(heap, (now, place))
                continue
            for other in self._stop(offer.jobs) - self.ready:
                again = self.offers[other] = self._offer(other)
                if again is not None:
                    heapq.heappush(heap, (again.cost / min(again.gain, wanted), other))
        return len(self.ready) >= self.need.count

    def _stop(self, jobs: Iterable[int]) -> set[int]:
        """Stop jobs; return the sites that they stood on, of which some are free now."""
        near = {place for job in jobs for place in self.places_of[job]}
        self.stopped.update(dict.fromkeys(jobs))
        self.ready |= {place for place in near if not self._lacks(place)}
        return near

    def _offer(self, place: int) -> "_Offer | None":
        """Return whom it takes to free a site, what that costs, and how many sites it frees."""
        found = self._fresh(place, self.need.each)
        if found is None:
            return None
        cost, jobs = found
        gain = 1
        if any(len(self.places_of[job]) > 1 for job in jobs):
            # The sites of one gang are alike: what it frees is counted once.
            key = len(self.stopped), *jobs
            if key not in self._gains:
                near = {p for job in jobs for p in self.places_of[job]} - self.ready
                self._gains[key] = max(1, sum(not self._lacks(p, jobs) for p in near))
            gain = self._gains[key]
        return _Offer(cost, jobs, gain)

    def _fresh(self, place: int, each: Amounts) -> Found | None:
        """Return whom else to stop so that a site has what is needed."""
        site = self.sites[place]
        items, free = [], site.free
        for item in site.items:
            jobs = tuple([job for job in item.jobs if job not in self.stopped])
            if not jobs:
                free = _plus(free, item.frees)
            elif self.banned.isdisjoint(jobs):
                items.append(item if jobs == item.jobs else Item(jobs, item.frees))
        lacking = _minus(each, free)
        if len(items) == 1 and len(items[0].jobs) == 1:  # the usual case, without a search
            (job,) = items[0].jobs
            enough = max(_minus(lacking, items[0].frees)) <= 0
            if not enough or (self.allowed is not None and not self._also((job,))):
                return None
            return self.costs[job], [job]
        return cover(lacking, items, self.costs, self._also if self.allowed else None)

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
        self._stop(best[1])
        return True


@dataclass(frozen=True, slots=True)
class _Offer:
    cost: float
    jobs: list[int]
    gain: int


def _cost_of(found: Found) -> float:
    return found[0]


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _minus(one: Amounts, other: Amounts) -> Amounts:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


def _worth(frees: Amounts, lacking: Amounts) -> float:
    """Return how much of what is lacking an item frees, as a part of it; never quite nothing."""
    parts = [min(f, w) / w for f, w in zip(frees, lacking, strict=True) if w > 0]
    return max(1e-9, sum(parts))
