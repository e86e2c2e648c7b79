"""The cheapest set of running jobs whose end makes room for one that waits.

One node, or nodes under one switch, are freed; jobs scattered over the cluster are not stopped for
room that nobody can use. Nothing is stopped in vain: the choice is tried on the pool first, and
whoever turns out not to be needed is left alone.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clusterwright.sched.nodes import ALL, Ask, Pool, Spot
from clusterwright.sched.state import State


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
    allowed: int = ALL,
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
        Mask of nodes that the job may use.

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
    if ordered or ask.share or ask.per_node:
        return room.tried(sorted(costs, key=lambda one: (costs[one], one)))
    if ask.units <= pool.node_units:
        found = room.on_one_node()
        return room.tried(found) if found else NOBODY
    return room.on_many_nodes()


class _Room:
    """What a job asks for, and who could make way for it."""

    def __init__(
        self, state: State, pool: Pool, ask: Ask, costs: Mapping[int, float], allowed: int
    ) -> None:
        self.state, self.pool, self.ask, self.costs = state, pool, ask, costs
        self.allowed = allowed
        self.on_node: dict[int, dict[int, int]] = {}  # units each job would free, by node
        for job in costs:
            for node, quanta in state.running[job].placed:
                bit = node - pool.first
                if pool.up & allowed & 1 << bit:
                    # A shared accelerator is free again only when nobody else holds a share of
                    # it; the trial finds out.
                    self.on_node.setdefault(bit, {})[job] = max(1, quanta // pool.scale)

    def on_one_node(self) -> list[int]:
        """Return the cheapest jobs whose end makes room on one node: a knapsack for each node."""
        pool, costs = self.pool, self.costs
        kinds = {id(kind) for kind in pool.matching(self.ask)}
        bounds = []
        for bit, held in self.on_node.items():
            lacking = self.ask.units - pool.free[bit]
            # Where nothing is lacking it is short of host cores or memory, which nobody is stopped
            # for.
            if id(pool.kind_at[bit]) in kinds and 0 < lacking <= sum(held.values()):
                bound = lacking * min(costs[job] / units for job, units in held.items())
                bounds.append((bound, bit, lacking))
        best: tuple[float, list[int]] = (float("inf"), [])
        for bound, bit, lacking in sorted(bounds):
            if bound >= best[0]:
                break
            cost, chosen = knapsack(lacking, self.on_node[bit], costs)
            if cost < best[0]:
                best = (cost, chosen)
        return best[1]

    def on_many_nodes(self) -> Choice:
        """Return the cheapest jobs whose end makes room for a gang, under one switch if it fits."""
        wish = self.ask.topology
        whole = wish is not None and not wish.segment_nodes
        level = None
        if wish is not None and whole:
            level = wish.level
        elif wish is None and self.state.policy.placement == "leaf":
            level = "leaf"
        if level is not None:
            best: tuple[float, Choice] = (float("inf"), NOBODY)
            for mask in self.pool.domains[level]:
                chosen = self.cleared(mask)
                if chosen is None or self.cost(chosen) >= best[0]:
                    continue
                choice = self.tried(chosen, mask)
                if choice.spot is not None:
                    best = (self.cost(choice.stopped), choice)
            if best[1].spot is not None:
                return best[1]
        if wish is not None and wish.required and whole:
            return NOBODY
        chosen = self.cleared(ALL)
        return NOBODY if chosen is None else self.tried(chosen)

    def cost(self, jobs: Iterable[int]) -> float:
        """Return what stopping some jobs costs."""
        return sum(self.costs[job] for job in jobs)

    def cleared(self, mask: int) -> list[int] | None:
        """Return jobs to stop so that enough nodes of a mask are empty; None when none are enough.

        Nodes are taken cheapest first. The cost of a gang is spread over its nodes within the mask,
        and once it is to be stopped, its other nodes cost nothing more.
        """
        kinds = self.pool.matching(self.ask)
        size = max(kind.size for kind in kinds)
        idle = 0
        for kind in kinds:
            if kind.size == size:
                idle |= kind.levels[size] & mask & self.allowed
        lacking = -(-self.ask.units // size) - idle.bit_count()
        if lacking <= 0:
            return []
        spans = self._spans(size, mask)
        share = {job: self.costs[job] / len(where) for job, where in spans.items()}
        stopped: dict[int, None] = {}

        def price(bit: int) -> float:
            return sum(share[job] for job in self.on_node[bit] if job not in stopped)

        heap = [(price(bit), bit) for bit in {bit for where in spans.values() for bit in where}]
        heapq.heapify(heap)
        done: set[int] = set()
        while heap and lacking > 0:
            cost, bit = heapq.heappop(heap)
            if bit in done:
                continue
            if price(bit) < cost:
                heapq.heappush(heap, (price(bit), bit))
                continue
            done.add(bit)
            lacking -= 1
            fresh = [job for job in self.on_node[bit] if job not in stopped]
            stopped.update(dict.fromkeys(fresh))
            for other in {other for job in fresh for other in spans[job]} - done:
                heapq.heappush(heap, (price(other), other))
        return list(stopped) if lacking <= 0 else None

    def tried(self, jobs: Iterable[int], mask: int = ALL) -> Choice:
        """Return those jobs of the given that must be stopped, tried on the pool and put back."""
        state, pool, ask = self.state, self.pool, self.ask
        mask &= self.allowed
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

    def _spans(self, size: int, mask: int) -> dict[int, list[int]]:
        """Return the nodes of a mask that each job helps to empty whole."""
        spans: dict[int, list[int]] = {}
        for bit, held in self.on_node.items():
            kind = self.pool.kind_at[bit]
            if kind is None or kind.size != size or not mask >> bit & 1:
                continue
            if self.pool.free[bit] + sum(held.values()) >= size:
                for job in held:
                    spans.setdefault(job, []).append(bit)
        return spans


def knapsack(
    lacking: int, held: Mapping[int, int], costs: Mapping[int, float]
) -> tuple[float, list[int]]:
    """Return the least cost of jobs that hold at least so many units together, and the jobs."""
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    best += [(float("inf"), ())] * lacking
    for job, units in held.items():
        for goal in range(lacking, 0, -1):
            before = best[max(0, goal - units)]
            cost = before[0] + costs[job]
            if cost < best[goal][0]:
                best[goal] = (cost, (*before[1], job))
    return best[lacking][0], list(best[lacking][1])
