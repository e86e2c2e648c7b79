"""What a start needs beyond free accelerators: nodes that are not kept for others meanwhile.

A job that cannot end before a reservation begins, by what is known of it, does not start on nodes
that are kept. Known is its guess or its limit, with the checkpoints and the restart on top that the
guess does not hold; the time to wake a node or to fetch data is not foreseen.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clusterwright.errors import Fault, InvalidInput, nearest
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Reason
from clusterwright.sched.nodes import ALL, Pool, Spot

if TYPE_CHECKING:
    from clusterwright.model.reservation import Reservation
    from clusterwright.sched.state import State

_ROUNDING_S = 1e-6  # an end that meets a start of a reservation is in time


class Permits:
    """Reservations of a cluster, as masks over its pools; nothing in it changes during a run."""

    def __init__(self, state: "State", cluster: Cluster) -> None:
        """Take the reservations of a cluster.

        Raises
        ------
        InvalidInput
            With every reservation of nodes or for queues that there are none of.
        """
        _check(state, cluster)
        self._state = state
        self._kept: dict[str, list[tuple[Reservation, int]]] = {}
        for one in cluster.reservations:
            masks: dict[str, int] = {}
            for node in one.nodes:
                pool = state.pool_at[node]
                masks[pool.name] = masks.get(pool.name, 0) | 1 << (node - pool.first)
            for name, mask in masks.items():
                self._kept.setdefault(name, []).append((one, mask))
        edges = {edge for one in cluster.reservations for edge in (one.start_s, one.end_s)}
        self._edges_s = sorted(edge for edge in edges if edge < math.inf)

    def next_s(self, now_s: float) -> float:
        """Return when time alone may change what may start."""
        at = bisect_right(self._edges_s, now_s)
        return self._edges_s[at] if at < len(self._edges_s) else math.inf

    def edges_s(self, now_s: float) -> Sequence[float]:
        """Return all such times to come."""
        return self._edges_s[bisect_right(self._edges_s, now_s) :]

    def lasts_s(self, job: int) -> float:
        """Return how long a job that starts is expected to hold its nodes where it stands best."""
        state = self._state
        one, guess_s = state.jobs[job], state.guess_s(job)
        if one.checkpoint_interval_s:
            stalls = math.ceil(guess_s / one.checkpoint_interval_s) - 1
            guess_s += max(0, stalls) * one.checkpoint_stall_s
        if job in state.remaining:
            guess_s += one.restart_s
        return guess_s if one.time_limit_s is None else min(guess_s, one.time_limit_s)

    def mask(self, pool: Pool, job: int, now_s: float, end_s: float) -> int:
        """Return the nodes that a job may hold from now to a time."""
        found, one = ALL, self._state.jobs[job]
        for kept, mask in self._kept.get(pool.name, ()):
            meets = kept.end_s > now_s and end_s > kept.start_s + _ROUNDING_S
            if meets and not kept.admits(one):
                found &= ~mask
        return found

    def best_mask(self, pool: Pool, job: int, now_s: float) -> int:
        """Return the nodes that a job may hold if it starts now where it stands best."""
        return self.mask(pool, job, now_s, now_s + self.lasts_s(job))

    def place(
        self, pool: Pool, job: int, now_s: float, *, within: int = ALL, to_try: Pool | None = None
    ) -> Spot | None:
        """Return where a job may start, on nodes kept for it before others; None when nowhere.

        Parameters
        ----------
        pool
            Its nodes.
        job
            The job.
        now_s
            When it would start.
        within
            Mask of nodes to choose from.
        to_try
            Copy of the pool on which others are thought to have ended; absent, as things are.
        """
        state, ask = self._state, self._state.ask(job)
        on = pool if to_try is None else to_try
        allowed = self.best_mask(pool, job, now_s) & within
        for mask in self._masks(pool, job, now_s, allowed):
            spot = state.place(on, ask, mask)
            if spot is not None and self.approves(pool, job, spot, now_s):
                return spot
        return None

    def approves(self, pool: Pool, job: int, spot: Spot, now_s: float) -> bool:
        """Return whether a job may hold a spot for as long as it takes at its speed there."""
        state = self._state
        lasts_s = self.lasts_s(job)
        wanted = state.ask(job).quanta(pool.scale)
        speed = sum(quanta for _, quanta in spot[0]) / wanted
        if state.rate is not None:
            speed *= state.rate(job, spot[0])
        if speed >= 1:
            return True
        limit_s = state.jobs[job].time_limit_s
        ends_s = now_s + min(lasts_s / speed, math.inf if limit_s is None else limit_s)
        allowed = self.mask(pool, job, now_s, ends_s)
        return all(allowed >> (node - pool.first) & 1 for node, _ in spot[0])

    def overstayers(self, now_s: float) -> list[int]:
        """Return the jobs that must leave nodes which are kept from now on."""
        state = self._state
        found: dict[int, None] = {}
        for one in {id(kept): kept for some in self._kept.values() for kept, _ in some}.values():
            if not (one.stops and one.start_s <= now_s < one.end_s):
                continue
            for node in one.nodes:
                strangers = (j for j in state.on_node[node] if not one.admits(state.jobs[j]))
                found.update(dict.fromkeys(strangers))
        return list(found)

    def why(self, pool: Pool, job: int, now_s: float) -> tuple[Reason, str] | None:
        """Return what keeps a job that fits from starting; None for nothing of this."""
        if self.place(pool, job, now_s) is not None:
            return None
        ends_s = now_s + self.lasts_s(job)
        one = self._state.jobs[job]
        meets = [
            (kept, mask.bit_count())
            for kept, mask in self._kept.get(pool.name, ())
            if kept.end_s > now_s and ends_s > kept.start_s and not kept.admits(one)
        ]
        if not meets:
            return None
        kept, count = min(meets, key=lambda pair: pair[0].start_s)
        message = (
            f"{count} nodes are kept for {kept.name!r} from {kept.start_s:.0f} s to "
            f"{kept.end_s:.0f} s, it would hold its nodes until {ends_s:.0f} s"
        )
        if len(meets) > 1:
            message += f"; {len(meets) - 1} more reservations are in its way"
        return Reason.RESERVATION, message

    def _masks(self, pool: Pool, job: int, now_s: float, allowed: int) -> Iterator[int]:
        """Yield where to look: what is kept for it, all that it may use, what nobody keeps later.

        The last is for a job that would be slower than hoped where it was put first.
        """
        one, mine, free = self._state.jobs[job], 0, ALL
        for kept, mask in self._kept.get(pool.name, ()):
            if kept.admits(one):
                mine |= mask if kept.start_s <= now_s < kept.end_s else 0
            elif kept.end_s > now_s:
                free &= ~mask
        if mine & allowed:
            yield mine & allowed
        yield allowed
        if free & allowed != allowed:
            yield free & allowed


def permits_of(state: "State", cluster: Cluster) -> Permits | None:
    """Return what starts need on a cluster; None when free accelerators are enough."""
    return Permits(state, cluster) if cluster.reservations else None


def _check(state: "State", cluster: Cluster) -> None:
    faults = []
    for one in cluster.reservations:
        path = f"reservations.{one.name}"
        outside = [node for node in one.nodes if not 0 <= node < len(state.pool_at)]
        if outside:
            message = f"keeps node {outside[0]}, the last one is {len(state.pool_at) - 1}"
            faults.append(Fault(path=path, message=message, remedy="count nodes from 0"))
            continue
        pools = {state.pool_at[node].name for node in one.nodes}
        for queue in one.queues:
            line = state.line_of_queue.get(queue)
            if line is None:
                near = nearest(queue, state.line_of_queue)
                hint = f"did you mean {near[0]}?" if near else "name a queue of the cluster"
                faults.append(Fault(path=path, message=f"there is no queue {queue!r}", remedy=hint))
            elif line.pool.name not in pools:
                message = f"queue {queue!r} may use none of its nodes"
                hint = "keep nodes of that queue, or let queues share nodes"
                faults.append(Fault(path=path, message=message, remedy=hint))
    if faults:
        raise InvalidInput(faults)
