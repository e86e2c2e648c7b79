"""What is broken: which cause strikes next and where, and which hardware stands in which place.

A node of the scheduler is a place. A unit of hardware stands in it, and a spare may take over
while the unit is repaired; the unit then becomes a spare. All clocks of one cause are one clock at
the sum of their rates. Each strike draws the same numbers whatever comes of it, so that one more
repair moves no other chance.
"""

import heapq
import math
from collections import deque
from typing import NamedTuple

import numpy as np

from clusterwright import compute
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import QUANTA
from clusterwright.model.run import CauseFigures
from clusterwright.sched import State
from clusterwright.sched.state import Running
from clusterwright.twin.failures import Cause, Failures, Lemons, stream
from clusterwright.twin.places import Places
from clusterwright.units import SECONDS_PER_DAY


class Hit(NamedTuple):
    """What a strike takes."""

    jobs: list[int]
    """Jobs that stop."""
    nodes: list[int]
    """Nodes that are lost, none of them down already."""
    repair_s: float
    """How long the repair of what was hit would take."""


class Breakage:
    """The hardware of a cluster under its failures."""

    def __init__(self, failures: Failures | None, cluster: Cluster, seed: int) -> None:
        """Put a healthy unit, or a lemon, in every place."""
        self._failures = failures or Failures(causes=())
        self.causes: tuple[Cause, ...] = self._failures.causes
        self._num_lost = [0] * len(self.causes)
        self._num_stopped = [0] * len(self.causes)
        self._lost_quanta_s = [0.0] * len(self.causes)
        self._rng = [stream(seed, f"failures.{cause.name}") for cause in self.causes]
        counts = np.array([group.num_nodes for group in cluster.groups], dtype=np.int64)
        gpus = np.array([group.gpus_per_node for group in cluster.groups], dtype=np.float64)
        self._upto = np.cumsum(np.repeat(gpus, counts))
        self._gpus = float(self._upto[-1]) if self._upto.size else 0.0
        self._places = Places.of(cluster)
        self._has_leaves = [group.nodes_per_leaf > 0 for group in cluster.groups]
        self._unit_at = list(range(int(counts.sum())))
        self._spares: list[deque[int]] = []
        self._mending: list[list[tuple[float, int]]] = [[] for _ in cluster.groups]
        unit = len(self._unit_at)
        for group in cluster.groups:
            self._spares.append(deque(range(unit, unit + group.num_spares)))
            unit += group.num_spares
        self._losses: dict[int, deque[float]] = {}
        self._place_of_lemon: dict[int, int] = {}
        self._lemon_upto = np.zeros(0)
        self._lemons: tuple[int, ...] = ()
        self._others = 1.0
        weights = np.repeat(
            np.concatenate([gpus, gpus]), [*counts, *(len(s) for s in self._spares)]
        )
        if self._failures.lemons is not None and weights.sum() > 0:
            self._draw_lemons(self._failures.lemons, weights, stream(seed, "lemons"))

    def next_s(self, number: int, now_s: float) -> float:
        """Return when a cause strikes next; never when it does not."""
        cause = self.causes[number]
        per_day = cause.per_gpu_day * self._weight(cause)
        if not per_day:
            return math.inf
        return now_s + float(self._rng[number].exponential(SECONDS_PER_DAY / per_day))

    def strike(self, number: int, state: State) -> Hit:
        """Return what a cause that strikes now takes."""
        cause, rng = self.causes[number], self._rng[number]
        at, lot, normal = rng.uniform(0, self._weight(cause)), rng.random(), rng.standard_normal()
        place = self._place_at(float(at), cause)
        if place < 0:
            return Hit([], [], 0.0)
        if cause.repair is None:
            return Hit(_holder(state, place, float(lot)), [], 0.0)
        places = [place]
        if cause.hits == "leaf" and self._has_leaves[self._places.group[place]]:
            leaf = self._places.leaf
            places = np.flatnonzero(leaf == leaf[place]).tolist()
        nodes = [node for node in places if not state.pool_at[node].is_down(node)]
        mu, sigma = compute.lognormal(cause.repair)
        jobs = sorted({job for node in nodes for job in state.on_node[node]})
        self._num_lost[number] += len(nodes)
        return Hit(jobs, nodes, math.exp(mu + sigma * normal))

    def book(self, number: int, run: Running, now_s: float, kept_s: float) -> None:
        """Book a job that a cause has stopped."""
        self._num_stopped[number] += 1
        self._lost_quanta_s[number] += (now_s - run.since_s - kept_s / run.rate) * run.quanta

    def away_s(self, place: int, number: int, repair_s: float, now_s: float) -> float:
        """Return how long a place that has just been lost takes no jobs."""
        if self.causes[number].hits == "leaf":
            return repair_s  # the nodes are whole; a spare elsewhere does not mend their switch
        unit, group = self._unit_at[place], int(self._places.group[place])
        back_s = repair_s
        lemons = self._failures.lemons
        if lemons is not None and self._condemned(lemons, unit, now_s):
            back_s = lemons.exchange_s
        if back_s <= self._failures.swap_s:
            return back_s
        mending, spares = self._mending[group], self._spares[group]
        while mending and mending[0][0] <= now_s:
            spares.append(heapq.heappop(mending)[1])
        heapq.heappush(mending, (now_s + back_s, unit))
        # Without a spare the place waits for the unit that is mended first, its own or another.
        ready_s, other = (now_s, spares.popleft()) if spares else heapq.heappop(mending)
        if other == unit:
            return back_s
        self._unit_at[place] = other
        for one, where in ((unit, -1), (other, place)):
            if one in self._place_of_lemon:
                self._place_of_lemon[one] = where
        return ready_s - now_s + self._failures.swap_s

    def figures(self) -> tuple[CauseFigures, ...]:
        """Return what each cause did."""
        return tuple(
            CauseFigures(
                name=cause.name,
                num_nodes_lost=lost,
                num_interruptions=stopped,
                lost_gpu_s=vain / QUANTA,
            )
            for cause, lost, stopped, vain in zip(
                self.causes, self._num_lost, self._num_stopped, self._lost_quanta_s, strict=True
            )
        )

    def _place_at(self, at: float, cause: Cause) -> int:
        """Return the place of a weight; -1 where it meets a lemon that is not in use."""
        scale = self._scale(cause)
        if at < self._gpus * scale:
            return int(np.searchsorted(self._upto, at / scale, side="right"))
        extra = at / scale - self._gpus
        lemon = self._lemons[int(np.searchsorted(self._lemon_upto, extra, side="right"))]
        return self._place_of_lemon.get(lemon, -1)

    def _draw_lemons(
        self,
        lemons: Lemons,
        weights: np.ndarray[tuple[int], np.dtype[np.float64]],
        rng: np.random.Generator,
    ) -> None:
        """Choose which units are lemons, and lower the rate of the others for it."""
        able = np.flatnonzero(weights)
        count = round(lemons.share_fraction * able.size)
        self._lemons = tuple(sorted(rng.choice(able, size=count, replace=False).tolist()))
        more = weights[list(self._lemons)] * (lemons.rate_ratio - 1)
        self._lemon_upto = np.cumsum(more)
        self._others = float(weights.sum() / (weights.sum() + more.sum()))
        places = len(self._unit_at)
        self._place_of_lemon = {one: one if one < places else -1 for one in self._lemons}

    def _condemned(self, lemons: Lemons, unit: int, now_s: float) -> bool:
        """Note a loss; return whether its unit goes for good: a new one takes its number."""
        losses = self._losses.setdefault(unit, deque())
        losses.append(now_s)
        while losses[0] < now_s - lemons.history_s:
            losses.popleft()
        if lemons.out_after is None or len(losses) < lemons.out_after:
            return False
        losses.clear()
        self._place_of_lemon.pop(unit, None)
        return True

    def _scale(self, cause: Cause) -> float:
        """Return the rate of a node that is no lemon, as a share of the mean."""
        return self._others if cause.hits == "node" else 1.0

    def _weight(self, cause: Cause) -> float:
        """Return the accelerators that a cause strikes at, a lemon's counted many times."""
        if cause.hits != "node" or not self._lemons:
            return self._gpus
        return (self._gpus + float(self._lemon_upto[-1])) * self._others


def _holder(state: State, node: int, lot: float) -> list[int]:
    """Return the job that holds one part of a node; nobody where that part is free."""
    left = lot * state.pool_at[node].size_at(node)
    for job in state.on_node[node]:
        left -= sum(quanta for one, quanta in state.running[job].placed if one == node)
        if left < 0:
            return [job]
    return []
