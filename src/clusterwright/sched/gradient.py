"""Rules that value a node by its state: a placement costs what it adds to the node's value.

The value of what is on a node now is kept until the node changes; every way of placing a request on
every candidate node is valued in one call.
"""

import numpy as np

from clusterwright.sched.shares import Ints, Ledger, Request
from clusterwright.sched.workload import Floats

_DECIMALS = 3


class Gradient:
    """Costs of nodes as growth of a value that is better small; rules say what the value is."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the pool."""
        self._ledger = ledger
        self._value = np.zeros(len(ledger.machines))
        self._valued_at = np.full(len(ledger.machines), -1)

    def value(self, free: Ints, millicpus: Ints, memory_bytes: Ints, model: Ints) -> Floats:
        """Return the value of nodes in a state, free quanta of shape (num_nodes, max_gpus)."""
        raise NotImplementedError

    def surcharge(self, request: Request) -> Floats | None:
        """Return nothing: all depends on the node alone."""
        del request
        return None

    def costs(self, request: Request, nodes: Ints) -> tuple[Floats, Ints]:
        """Return the growth on each node, and the accelerator with the least."""
        ledger = self._ledger
        row, gpu, free = candidates(ledger, request, nodes)
        at = nodes[row]
        after = self.value(
            free,
            ledger.millicpus[at] - request.num_millicpus,
            ledger.memory_bytes[at] - request.memory_bytes,
            ledger.model[at],
        )
        # Rounded, so that what is equal on paper is equal here, whichever way sums were formed.
        growth = np.round(after - self._now(nodes)[row], _DECIMALS)
        if len(row) == len(nodes):
            return growth, gpu
        best, chosen = _least_of_each(growth, row, len(nodes))
        return best, gpu[chosen]

    def _now(self, nodes: Ints) -> Floats:
        ledger = self._ledger
        old = nodes[ledger.changed_at[nodes] > self._valued_at[nodes]]
        if old.size:
            self._valued_at[old] = ledger.version
            state = ledger.free[old], ledger.millicpus[old], ledger.memory_bytes[old]
            self._value[old] = self.value(*state, ledger.model[old])
        return self._value[nodes]


def candidates(ledger: Ledger, request: Request, nodes: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the ways that a request can go onto nodes that fit it.

    Returns
    -------
    row : shape (num_ways,)
        Index into `nodes`, ascending; every node has one.
    gpu : shape (num_ways,)
        Accelerator of a share; 0 otherwise. Of accelerators with equally much free, one is enough.
    free : shape (num_ways, max_gpus)
        Quanta free on the node afterwards.
    """
    free = ledger.free[nodes]
    if not request.is_shared:
        taken = (free >= request.gpu_quanta) & bool(request.num_gpus)
        taken &= taken.cumsum(axis=1) <= request.num_gpus
        every = np.arange(len(nodes))
        return every, np.zeros_like(every), free - taken * request.gpu_quanta
    order = free.argsort(axis=1, kind="stable")
    ranked = np.take_along_axis(free, order, axis=1)
    fresh = ranked >= request.gpu_quanta
    fresh[:, 1:] &= ranked[:, 1:] != ranked[:, :-1]
    row, rank = fresh.nonzero()
    gpu = order[row, rank]
    after = free[row]
    after[np.arange(len(row)), gpu] -= request.gpu_quanta
    return row, gpu, after


def _least_of_each(cost: Floats, row: Ints, num_rows: int) -> tuple[Floats, Ints]:
    """Return the least cost of each row, and where it stands; rows ascend and none is empty."""
    every = np.arange(num_rows)
    best = np.minimum.reduceat(cost, row.searchsorted(every))
    hits = (cost == best[row]).nonzero()[0]
    return best, hits[row[hits].searchsorted(every)]
