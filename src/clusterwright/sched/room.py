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
from clusterwright.sched.clearing import Allowed, Amounts, Clearing, Found, Item, Need, Site, on_one
from clusterwright.sched.nodes import ALL, Ask, Kind, Pool, Spot, bits
from clusterwright.sched.state import State


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom to stop, and where the job then fits; no spot when nobody should be stopped."""

    spot: Spot | None = None
    """Where it fits once they are gone."""
    stopped: tuple[int, ...] = ()
    """Jobs to stop."""
    moved: tuple[tuple[int, Spot], ...] = ()
    """Those of them that start again at once, and where."""
    wake_s: float = float("inf")
    """When time alone may let more be stopped."""


NOBODY = Choice()
SEARCHED_AGAIN = 3
"""Groups, the cheapest ones, in which whom to stop for a gang is searched for again."""
SEARCHED_CLOSELY = 32
"""Nodes of a group up to which the same is done for every number of segments in it."""
MOST_GROUPS = 8
"""Groups that are joined for a gang in segments, at least; more for a gang of many segments."""


def cheapest(
    state: State,
    pool: Pool,
    job: int,
    costs: Mapping[int, float],
    *,
    ordered: bool = False,
    allowed: Allowed | None = None,
    within: int = ALL,
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
    within
        Mask of the nodes that the job may use.

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
    room = _Room(state, pool, ask, costs, allowed, within)
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
        within: int,
    ) -> None:
        self.state, self.pool, self.ask, self.costs = state, pool, ask, costs
        self.allowed, self.within = allowed, within
        self.held: dict[int, dict[int, int]] = {}  # by node, units that each job frees at most
        for job in costs:
            for node, quanta in state.running[job].placed:
                bit = node - pool.first
                if (pool.up & within) >> bit & 1:
                    self.held.setdefault(bit, {})[job] = max(1, quanta // pool.scale)
        self._sites: dict[int, Site] = {}
        self._roomy: int | None = None  # nodes with the cores and the memory, once asked for

    def on_one_accelerator(self) -> Found | None:
        """Return the cheapest jobs whose end leaves a share of one accelerator."""
        pool, state = self.pool, self.state
        kinds = {id(kind) for kind in pool.matching(self.ask)}
        sites: list[Site] = []
        for bit, held in self.held.items():
            if id(pool.kind_at[bit]) not in kinds:
                continue
            beside = self._site(bit).free[1:]
            by_part: dict[int, list[Item]] = {}
            for job in held:
                run = state.running[job]
                frees = (float(QUANTA if run.part < 0 else run.quanta), *self._beside_of(job))
                by_part.setdefault(run.part, []).append(Item((job,), frees))
            for part, items in by_part.items():
                spare = float(pool.shares.get((bit, part), 0))
                # Each job on whole accelerators would free one of its own.
                ways = [(one,) for one in items] if part < 0 else [tuple(items)]
                sites += [Site(bit, (spare, *beside), way) for way in ways]
        need = (float(self.ask.share), *self._beside())
        bounds = ((0.0, number) for number in range(len(sites)))
        return on_one(bounds, sites.__getitem__, need, self.costs, self.allowed)

    def on_one_node(self) -> Found | None:
        """Return the cheapest jobs whose end makes room for a job that one node can hold."""
        pool, ask, costs = self.pool, self.ask, self.costs
        kinds = {id(k) for k in pool.matching(ask) if ask.units <= (ask.per_node or k.size)}
        bounds = []
        for bit, held in self.held.items():
            lacking = max(0, ask.units - pool.free[bit])
            if id(pool.kind_at[bit]) in kinds and lacking <= sum(held.values()):
                bound = lacking * min(costs[job] / units for job, units in held.items())
                bounds.append((bound, bit))
        return on_one(bounds, self._site, (float(ask.units), *self._beside()), costs, self.allowed)

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

    def tried_first(self, found: Iterable[Found | None], masks: Sequence[int] = (ALL,)) -> Choice:
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
        mask &= self.within
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
                pool.put_back(run.placed, run.part, state.ask(job))
                without = state.place(pool, ask, mask)
                if without is None:
                    pool.give(run.placed, run.part, state.ask(job))
                else:
                    spot = without
                    gone.remove(job)
        for job in gone:
            run = state.running[job]
            pool.put_back(run.placed, run.part, state.ask(job))
        return Choice(spot=spot, stopped=tuple(gone)) if spot is not None else NOBODY

    def _in_each(self, masks: Sequence[int]) -> tuple[list[Found | None], list[int]]:
        """Return for each kind of node and each mask whom to stop within it.

        Where it is cheapest the search is repeated.
        """
        found: list[Found | None] = []
        searches = []
        for kind in self._gang_kinds():
            parts = self._parts(kind)
            searches += [self._clearing(kind, mask, *parts) for mask in masks]
        found = [search.cheap() for search in searches]
        sets = [(one[0], number) for number, one in enumerate(found) if one is not None]
        for _, number in sorted(sets)[:SEARCHED_AGAIN]:
            before = found[number]
            assert before is not None
            found[number] = searches[number].cheaper(before)
        return found, [*masks] * (len(searches) // len(masks))

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

    def _clearing(
        self, kind: Kind, mask: int, count: int, each: Amounts, rest: Amounts | None
    ) -> Clearing:
        """Return the search for jobs to stop so that nodes of a mask have room for a gang."""
        mask &= kind.mask & self.within
        ready = self._with_room(kind, each) & mask
        sites = [site for site in self._within(kind, mask) if not ready >> site.place & 1]
        if rest is not None:
            mine = sum(1 << site.place for site in sites)
            spare = self._with_room(kind, rest) & mask & ~ready & ~mine
            if ready.bit_count() > count or spare:
                rest = None
        need = Need(max(0, count - ready.bit_count()), each, rest)
        return Clearing(sites, need, self.costs, self.allowed)

    def _in_segments(self, wish: Topology, kind: Kind) -> Found | None:
        """Return jobs to stop so that a gang fits in segments, each within one group.

        What it costs to have so many nodes of one group is looked up for each group alone; then
        the groups are joined, the cheapest way to reach each number of segments kept.
        """
        count, each, rest = self._parts(kind)
        full, part = divmod(count, wish.segment_nodes)
        goal = (full, int(part > 0), int(rest is not None))
        best: dict[tuple[int, ...], Found] = {(0, 0, 0): (0.0, [])}
        first = min(count, wish.segment_nodes)
        for mask in self._promising(wish, kind, first, each, max(MOST_GROUPS, full + 4)):
            ways = {}
            closely = mask.bit_count() <= SEARCHED_CLOSELY
            for way in product(*(range(most + 1) for most in goal)):
                nodes = way[0] * wish.segment_nodes + way[1] * part
                if 0 < nodes <= (mask & kind.mask & self.within).bit_count():
                    search = self._clearing(kind, mask, nodes, each, rest if way[2] else None)
                    if (found := search.cheap()) is not None:
                        ways[way] = search.cheaper(found) if closely else found
            for (had, before), (way, found) in product(list(best.items()), ways.items()):
                key = tuple(map(sum, zip(had, way, strict=True)))
                if any(map(gt, key, goal)):
                    continue
                jobs = list(dict.fromkeys([*before[1], *found[1]]))
                cost = sum(self.costs[job] for job in jobs)
                if key not in best or cost < best[key][0]:
                    best[key] = cost, jobs
        return best.get(goal)

    def _promising(
        self, wish: Topology, kind: Kind, nodes: int, each: Amounts, most: int
    ) -> list[int]:
        """Return the groups of a level in which one segment costs least, where there are many."""
        masks = self.pool.domains[wish.level]
        if len(masks) <= most:
            return masks
        found = [self._clearing(kind, mask, nodes, each, None).cheap() for mask in masks]
        sets = sorted((one[0], number) for number, one in enumerate(found) if one is not None)
        return [masks[number] for _, number in sets[:most]]

    def _with_room(self, kind: Kind, need: Amounts) -> int:
        """Return the nodes of a kind that have what is needed now."""
        mask = 0
        for level in kind.levels[int(need[0]) :]:
            mask |= level
        if self._roomy is None:
            self._roomy = self.pool.roomy(self.ask, ALL)
        return mask & self._roomy

    def _within(self, kind: Kind, mask: int) -> list[Site]:
        mask &= kind.mask
        return [self._site(bit) for bit in bits(mask) if bit in self.held]

    def _site(self, bit: int) -> Site:
        """Return what stopping jobs would free of a node."""
        if bit not in self._sites:
            self._sites[bit] = self._new_site(bit)
        return self._sites[bit]

    def _new_site(self, bit: int) -> Site:
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
                beside = [self._beside_of(job) for job in jobs]
                frees = (1.0, sum(one[0] for one in beside), sum(one[1] for one in beside))
                items.append(Item(tuple(jobs), frees))
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
