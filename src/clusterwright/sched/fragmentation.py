"""Fragmentation gradient descent: the node where a placement adds least to the fragmentation.

The fragment of a node for one kind of request is what is free on its accelerators and of no use to
that kind: all of it where the kind cannot run there (cores, memory, model, number of accelerators),
else what is free on accelerators with less than its share. The fragmentation of a node is the mean
over the typical workload. To a request on cores everything is a fragment; such kinds only dilute.

Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
Gradient Descent", USENIX ATC 2023, section 4. Here main memory counts as cores do, and gradients
are compared exactly rather than in hundredths.
"""

import numpy as np

from clusterwright.sched.gradient import Gradient
from clusterwright.sched.shares import Ints, Ledger
from clusterwright.sched.workload import Floats, Kinds, Workload


class Fragmentation(Gradient):
    """Costs of nodes as growth of their fragmentation, in quanta."""

    def __init__(self, ledger: Ledger, workload: Workload) -> None:
        """Take the pool and what is typical of it."""
        super().__init__(ledger)
        self._kinds = kinds = Kinds.of(workload, ledger)
        self._shares, self._level = np.unique(kinds.gpu_quanta, return_inverse=True)
        # (num_kinds, num_shares): the chance of a kind, in the column of its share.
        chance = np.arange(len(self._shares)) == self._level[:, None]
        self._chance = chance * kinds.probability[:, None]

    def value(self, free: Ints, millicpus: Ints, memory_bytes: Ints, model: Ints) -> Floats:
        """Return the fragmentation of nodes, free quanta of shape (num_nodes, max_gpus)."""
        kinds = self._kinds
        enough = free[:, :, None] >= self._shares
        useful = (free[:, :, None] * enough).sum(axis=1)
        count = enough.sum(axis=1)
        runs = kinds.admitted.T[model] & (millicpus[:, None] >= kinds.millicpus)
        runs &= memory_bytes[:, None] >= kinds.memory_bytes
        runs &= count[:, self._level] >= kinds.num_gpus
        fragment: Floats = free.sum(axis=1) - ((runs @ self._chance) * useful).sum(axis=1)
        return fragment
