"""How much more some accelerator models are in demand than others, given who may run where.

The demand, as shares by set of models that it may run on, is spread over what is free on each model
so that the sum of load² · free is least (load: demand over what is free). That evens the loads out
as far as the sets permit; the load of a model is then its price at the optimum. Solved by
Frank-Wolfe steps from the solution before, since little changes from one placement to the next.
"""

import numpy as np

from clusterwright.sched.shares import Ledger
from clusterwright.sched.workload import Floats, Kinds

_EVERY = 20
"""Changes of the pool after which loads are worked out again."""
_FIRST_STEPS, _STEPS = 500, 60
_DAMPING = 20
_CROWDED = 3.0
"""Load beyond which a model is simply full."""
_FLOOR = 1e-3
"""Share of the pool's free quanta that every model is counted with, so that loads stay finite."""


class Pressure:
    """Loads of the models of a pool."""

    def __init__(self, ledger: Ledger, kinds: Kinds) -> None:
        """Take the pool and the kinds of request with their chances."""
        self._ledger = ledger
        sets, which = np.unique(kinds.admitted[:, :-1], axis=0, return_inverse=True)
        quanta = kinds.probability * kinds.num_gpus * kinds.gpu_quanta
        demand = np.bincount(which.ravel(), quanta, minlength=len(sets))
        runs = sets.any(axis=1)
        self._sets = sets[runs]
        self._demand = demand[runs] / max(float(demand[runs].sum()), 1e-12)
        self._matters = not self._sets.all()
        self._spread: Floats | None = None
        self._load: Floats | None = None
        self._at = -_EVERY

    def by_model(self) -> Floats | None:
        """Return the load of each model, 0 for nodes without; None when all runs everywhere."""
        if not self._matters:
            return None
        if self._load is None or self._ledger.version - self._at >= _EVERY:
            self._at = self._ledger.version
            self._load = self._loads()
        return self._load

    def _loads(self) -> Floats:
        ledger = self._ledger
        has = ledger.up & (ledger.model >= 0)
        quanta = np.bincount(
            ledger.model[has], ledger.free[has].sum(axis=1), minlength=len(ledger.models)
        )
        free = quanta / max(float(quanta.sum()), 1.0) + _FLOOR
        steps, late = _STEPS, 2 * _DAMPING
        if self._spread is None:
            self._spread = self._sets * free
            self._spread /= self._spread.sum(axis=1, keepdims=True)
            steps, late = _FIRST_STEPS, 0
        spread, every = self._spread, np.arange(len(self._sets))
        for step in range(steps):
            load = self._demand @ spread / free
            lightest = np.where(self._sets, load, np.inf).argmin(axis=1)
            pace = 2 / (step + late + _DAMPING + 2)
            spread *= 1 - pace
            spread[every, lightest] += pace
        load = np.minimum(self._demand @ spread / free, _CROWDED)
        return np.append(load, 0.0)
