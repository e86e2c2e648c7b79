"""Reserved nodes as masks over the pools: which a job may hold from when to when.

Nothing here changes during a run.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clusterwright.errors import Fault, InvalidInput, nearest
from clusterwright.model.reservation import Reservation
from clusterwright.sched.nodes import ALL, Pool

if TYPE_CHECKING:
    from clusterwright.sched.state import State

_ROUNDING_S = 1e-6  # an end that meets a start of a reservation is in time


class Reserved:
    """The reservations of a cluster."""

    def __init__(self, state: "State", reservations: Sequence[Reservation]) -> None:
        """Take the reservations of a cluster.

        Raises
        ------
        InvalidInput
            With every reservation of nodes or for queues that there are none of.
        """
        _check(state, reservations)
        self._state = state
        self._all = reservations
        self._in_pool: dict[str, list[tuple[Reservation, int]]] = {}
        for one in reservations:
            masks: dict[str, int] = {}
            for node in one.nodes:
                pool = state.pool_at[node]
                masks[pool.name] = masks.get(pool.name, 0) | 1 << (node - pool.first)
            for name, mask in masks.items():
                self._in_pool.setdefault(name, []).append((one, mask))

    def mask(self, pool: Pool, job: int, now_s: float, end_s: float) -> int:
        """Return the nodes that a job may hold from now to a time."""
        found = ALL
        for _, mask in self.in_its_way(pool, job, now_s, end_s):
            found &= ~mask
        return found

    def in_its_way(
        self, pool: Pool, job: int, now_s: float, end_s: float
    ) -> Iterator[tuple[Reservation, int]]:
        """Yield the reservations for others that a job from now to a time would meet."""
        one = self._state.jobs[job]
        for kept, mask in self._in_pool.get(pool.name, ()):
            meets = kept.end_s > now_s and end_s > kept.start_s + _ROUNDING_S
            if meets and not kept.admits(one):
                yield kept, mask

    def masks(self, pool: Pool, job: int, at_s: float, allowed: int) -> Iterator[int]:
        """Yield where to look: what is kept for it, all that it may use, what nobody keeps later.

        The last is for a job that would be slower than hoped where it was put first.
        """
        one, mine, free = self._state.jobs[job], 0, ALL
        for kept, mask in self._in_pool.get(pool.name, ()):
            if kept.admits(one):
                mine |= mask if kept.start_s <= at_s < kept.end_s else 0
            elif kept.end_s > at_s:
                free &= ~mask
        if mine & allowed:
            yield mine & allowed
        yield allowed
        if free & allowed != allowed:
            yield free & allowed

    def overstayers(self, now_s: float) -> list[int]:
        """Return the jobs that must leave nodes which are kept from now on."""
        state = self._state
        found: dict[int, None] = {}
        for one in self._all:
            if not (one.stops and one.start_s <= now_s < one.end_s):
                continue
            for node in one.nodes:
                strangers = (j for j in state.on_node[node] if not one.admits(state.jobs[j]))
                found.update(dict.fromkeys(strangers))
        return list(found)

    def why(self, pool: Pool, job: int, now_s: float, end_s: float) -> str | None:
        """Return which reservation keeps a job from starting; None when none does."""
        meets = [
            (kept, mask.bit_count()) for kept, mask in self.in_its_way(pool, job, now_s, end_s)
        ]
        if not meets:
            return None
        kept, count = min(meets, key=lambda pair: pair[0].start_s)
        message = (
            f"{count} nodes are kept for {kept.name!r} from {kept.start_s:.0f} s to "
            f"{kept.end_s:.0f} s, it would hold its nodes until {end_s:.0f} s"
        )
        if len(meets) > 1:
            message += f"; {len(meets) - 1} more reservations are in its way"
        return message


def _check(state: "State", reservations: Sequence[Reservation]) -> None:
    faults = []
    for one in reservations:
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
