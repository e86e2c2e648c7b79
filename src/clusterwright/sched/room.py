"""The cheapest set of running jobs whose end makes room for one that waits.

One node, or nodes under one switch, are freed; jobs scattered over the cluster are not stopped for
room that nobody can use. Nothing is stopped in vain: the choice is tried on the pool first, and
whoever turns out not to be needed is left alone. The searches themselves are in `clearing`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from operator import gt

from clusterwright.model.job import QUANTA, Topology
from clusterwright.sched.clearing import Allowed, Amounts, Item, Need, Site, on_many, on_one
from clusterwright.sched.nodes import ALL, Ask, Kind, Pool, Spot
from clusterwright.sched.state import State

_Found = tuple[float, list[int]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom to stop, and where the job then fits; no spot when nobody should be stopped."""

    spot: Spot | None = None
    """Where it fits once they are gone."""
    stopped: tuple[int, ...] = ()
    """Jobs to stop."""
    wake_s: float = float("inf")
    """When time alone may let more be stopped."""


NOBODY = Choice()


def cheapest(
    state: State,
    pool: Pool,
    job: int,
    costs: Mapping[int, float],
    *,
    ordered: bool = False,
    allowed: Allowed | None = None,
) -> Choice:
    """Return the cheapest of some running jobs to stop so that a job fits.

    Parameters
    ----------
    state
        What runs; it is left as it was.
    pool
        Nodes of the job.
    job
        The job that waits.
    costs
        Running jobs that may be stopped, with what that costs.
    ordered
        True when they are to be stopped in the order of their cost, wherever they are.
    allowed
        Whether some of them may be stopped together; a part of what may be stopped may be too.

    Returns
    -------
    Choice
        Nobody, when stopping all of them would not be enough.
    """
    ask = state.ask(job)
    if not costs:
        return NOBODY
    units = sum(state.running[one].quanta for one in costs) // pool.scale + 1
    if ask.units > pool.free_units + units:
        return NOBODY
    room = _Room(state, pool, ask, costs, allowed)
    if ordered:
        return room.tried(sorted(costs, key=lambda one: (costs[one], one)))
    if ask.share:
        return room.tried_first([room.on_one_accelerator()])
    choice = room.tried_first([room.on_one_node()])
    return choice if choice.spot is not None else room.on_many_nodes()


class _Room:
    """What a job asks for, and who could make way for it."""

    def __init__(
        self,
        state: State,
        pool: Pool,
        ask: Ask,
        costs: Mapping[int, float],
        allowed: Allowed | None,
    ) -> None:
        self.state, self.pool, self.ask, self.costs = state, pool, ask, costs
        self.allowed = allowed
        places = {node - pool.first for job in costs for node, _ in state.running[job].placed}
        self.sites = {bit: self._site(bit) for bit in sorted(places) if pool.up >> bit & 1}
        self.roomy = pool.roomy(ask, ALL)

    def on_one_accelerator(self) -> _Found | None:
        """Return the cheapest jobs whose end leaves a share of one accelerator."""
        pool, state = self.pool, self.state
        cores, memory = self._beside()
        kinds = {id(kind) for kind in pool.matching(self.ask)}
        sites = []
        for bit in self.sites:
            if id(pool.kind_at[bit]) not in kinds:
                continue
            free = self.sites[bit].free[1:]
            by_part: dict[int, list[Item]] = {}
            for job in state.on_node[pool.first + bit]:
                if job in self.costs:
                    run = state.running[job]
                    frees = (float(QUANTA if run.part < 0 else run.quanta), *self._beside_of(job))
                    by_part.setdefault(run.part, []).append(Item((job,), frees))
            for part, items in by_part.items():
                spare = float(pool.shares.get((bit, part), 0))
                if part >= 0:
                    sites.append(Site(bit, (spare, *free), tuple(items)))
                else:  # each job on whole accelerators would free one of its own
                    sites += [Site(bit, (0.0, *free), (item,)) for item in items]
        return on_one(sites, (float(self.ask.share), cores, memory), self.costs, self.allowed)

    def on_one_node(self) -> _Found | None:
        """Return the cheapest jobs whose end makes room for a job that one node can hold."""
        ask, sites = self.ask, []
        for kind in self.pool.matching(ask):
            if ask.units <= (ask.per_node or kind.size):
                sites += self._within(kind, ALL)
        need = (float(ask.units), *self._beside())
        return on_one(sites, need, self.costs, self.allowed) if sites else None

    def on_many_nodes(self) -> Choice:
        """Return the cheapest jobs whose end makes room for a gang, under one switch if it fits."""
        wish = self.ask.topology
        level = None
        if wish is not None:
            level = wish.level
        elif self.state.policy.placement == "leaf":
            level = "leaf"
        if level is not None:
            if wish is not None and wish.segment_nodes:
                choice = self.tried_first([self._in_segments(wish, k) for k in self._gang_kinds()])
            else:
                choice = self.tried_first(*self._in_each(self.pool.domains[level]))
            if choice.spot is not None:
                return choice
        if wish is not None and wish.required:
            return NOBODY
        return self.tried_first(*self._in_each([ALL]))

    def tried_first(self, found: Iterable[_Found | None], masks: Sequence[int] = (ALL,)) -> Choice:
        """Return the cheapest of some sets that proves enough on the pool."""
        sets = [(one, n) for n, one in enumerate(found) if one is not None]
        for (_, jobs), number in sorted(sets, key=lambda one: (one[0][0], one[1])):
            choice = self.tried(jobs, masks[min(number, len(masks) - 1)])
            if choice.spot is not None:
                return choice
        return NOBODY

    def tried(self, jobs: Iterable[int], mask: int = ALL) -> Choice:
        """Return those jobs of the given that must be stopped, tried on the pool and put back."""
        state, pool, ask = self.state, self.pool, self.ask
        gone: list[int] = []
        spot = None
        for job in jobs:
            run = state.running[job]
            pool.give(run.placed, run.part, state.ask(job))
            gone.append(job)
            if ask.share or ask.units <= pool.free_units:
                spot = state.place(pool, ask, mask)
                if spot is not None:
                    break
        if spot is not None:
            for job in sorted(gone[:-1], key=lambda one: (-self.costs[one], one)):
                run = state.running[job]
                pool.take(run.placed, run.part, state.ask(job))
                without = state.place(pool, ask, mask)
                if without is None:
                    pool.give(run.placed, run.part, state.ask(job))
                else:
                    spot = without
                    gone.remove(job)
        for job in gone:
            run = state.running[job]
            pool.take(run.placed, run.part, state.ask(job))
        return Choice(spot=spot, stopped=tuple(gone)) if spot is not None else NOBODY

    def _in_each(self, masks: Sequence[int]) -> tuple[list[_Found | None], list[int]]:
        """Return for each mask, and each kind of node, the jobs to stop within it."""
        found: list[_Found | None] = []
        where = []
        for kind in self._gang_kinds():
            for mask in masks:
                count, each, rest = self._parts(kind)
                found.append(self._cleared(kind, mask, count, each, rest))
                where.append(mask)
        return found, where

    def _gang_kinds(self) -> list[Kind]:
        ask = self.ask
        return [
            kind
            for kind in self.pool.matching(ask)
            if (ask.per_node <= kind.size if ask.per_node else ask.units > kind.size)
        ]

    def _parts(self, kind: Kind) -> tuple[int, Amounts, Amounts | None]:
        """Return how many equal nodes a gang takes, what of each, and what of one more."""
        ask, beside = self.ask, self._beside()
        size = ask.per_node or kind.size
        count, rest = divmod(ask.units, size)
        return count, (float(size), *beside), (float(rest), *beside) if rest else None

    def _cleared(
        self, kind: Kind, mask: int, count: int, each: Amounts, rest: Amounts | None
    ) -> _Found | None:
        """Return jobs to stop so that enough nodes of a mask have room for a gang."""
        mask &= kind.mask
        ready = self._with_room(kind, each) & mask
        sites = [site for site in self._within(kind, mask) if not ready >> site.place & 1]
        if rest is not None:
            mine = sum(1 << site.place for site in sites)
            spare = self._with_room(kind, rest) & mask & ~ready & ~mine
            if ready.bit_count() > count or spare:
                rest = None
        need = Need(max(0, count - ready.bit_count()), each, rest)
        return on_many(sites, need, self.costs, self.allowed)

    def _in_segments(self, wish: Topology, kind: Kind) -> _Found | None:
        """Return jobs to stop so that a gang fits in segments, each within one group.

        What it costs to have so many nodes of one group is looked up for each group alone; then
        the groups are joined, the cheapest way to reach each number of segments kept.
        """
        count, each, rest = self._parts(kind)
        full, part = divmod(count, wish.segment_nodes)
        goal = (full, int(part > 0), int(rest is not None))
        best: dict[tuple[int, ...], _Found] = {(0, 0, 0): (0.0, [])}
        for mask in self.pool.domains[wish.level]:
            ways = {}
            for way in product(*(range(most + 1) for most in goal)):
                nodes = way[0] * wish.segment_nodes + way[1] * part
                if 0 < nodes <= (mask & kind.mask).bit_count():
                    ways[way] = self._cleared(kind, mask, nodes, each, rest if way[2] else None)
            for (had, before), (way, found) in product(list(best.items()), ways.items()):
                key = tuple(map(sum, zip(had, way, strict=True)))
                if found is None or any(map(gt, key, goal)):
                    continue
                jobs = list(dict.fromkeys([*before[1], *found[1]]))
                cost = sum(self.costs[job] for job in jobs)
                if key not in best or cost < best[key][0]:
                    best[key] = cost, jobs
        return best.get(goal)

    def _with_room(self, kind: Kind, need: Amounts) -> int:
        """Return the nodes of a kind that have what is needed now."""
        mask = 0
        for level in kind.levels[int(need[0]) :]:
            mask |= level
        return mask & self.roomy

    def _within(self, kind: Kind, mask: int) -> list[Site]:
        mask &= kind.mask
        return [site for bit, site in self.sites.items() if mask >> bit & 1]

    def _site(self, bit: int) -> Site:
        """Return what stopping jobs would free of a node."""
        pool, state = self.pool, self.state
        sharing: dict[int, list[int]] = {}
        items = []
        for job in state.on_node[pool.first + bit]:
            run = state.running[job]
            if run.part >= 0:
                sharing.setdefault(run.part, []).append(job)
            elif job in self.costs:
                quanta = next(q for node, q in run.placed if node == pool.first + bit)
                frees = (float(quanta // pool.scale), *self._beside_of(job))
                items.append(Item((job,), frees))
        for jobs in sharing.values():
            if all(job in self.costs for job in jobs):
                cores, memory = map(sum, zip(*map(self._beside_of, jobs), strict=True))
                items.append(Item(tuple(jobs), (1.0, cores, memory)))
        cores = 0.0 if pool.cores is None else float(pool.cores[bit])
        memory = 0.0 if pool.memory is None else pool.memory[bit]
        return Site(bit, (float(pool.free[bit]), cores, memory), tuple(items))

    def _beside(self) -> tuple[float, float]:
        """Return the cores and the memory that the job asks of each of its nodes."""
        pool, ask = self.pool, self.ask
        if pool.cores is None:
            return 0.0, 0.0
        count = max(1, -(-ask.units // max(1, ask.per_node or pool.node_units)))
        # Half a byte less: what is taken in thirds and given back does not sum to the last bit.
        return float(-(-ask.cores // count)), ask.memory_bytes / count - 0.5

    def _beside_of(self, job: int) -> tuple[float, float]:
        ask, count = self.state.ask(job), len(self.state.running[job].placed)
        if self.pool.cores is None:
            return 0.0, 0.0
        return float(-(-ask.cores // count)), ask.memory_bytes / count
