"""Foresight: the node where least will be left unused once the typical workload has filled it.

What a node will leave unused is estimated from its state, without playing out any future:

    waste  = Σ_g W(f_g) + starved
    fill   = Σ_g (f_g - W(f_g))
    starved = E[(need(fill) - have)⁺] / κ,  need ~ Normal(κ·fill, σ²·fill)

f_g      quanta free of accelerator g
W(f)     quanta left of f after `OFFERS` random single-accelerator requests were offered to it, each
         taken if it fits: a recursion over offers, worked out once for every f and model
κ, σ     cores (or memory) that a quantum of typical requests brings along: mean and spread
starved  quanta that stay unused for want of cores or memory, whichever is scarcer

A placement costs what it adds to the waste, and what it takes from others:

    cost = Δwaste + GANG · Δlost + PRICE · quanta · pressure(model)

lost      quanta of typical gangs that find too few idle accelerators on the node, by probability
pressure  load of the model over that of the pool when the demand yet to come is spread over what is
          free as evenly as the requests' choice of models permits

`OFFERS`, `GANG` and `PRICE` change little within a factor of two; docs/decisions/0012.
"""

import numpy as np
from scipy.special import ndtr

from clusterwright.model.job import QUANTA
from clusterwright.sched.gradient import Gradient
from clusterwright.sched.pressure import Pressure
from clusterwright.sched.shares import Bools, Ints, Ledger, Request
from clusterwright.sched.workload import Floats, Kinds, Workload

OFFERS = 40
"""Requests offered to an accelerator until the pool is full."""
GANG = 2.0
"""Weight of keeping room for gangs, against leaving capacity unused."""
PRICE = 2.0
"""Weight of keeping models that others cannot do without, against leaving capacity unused."""

_LITTLE = 1e-9
_SQRT_2_PI = float(np.sqrt(2 * np.pi))


class Foresight(Gradient):
    """Costs of nodes as growth of what they will leave unused, in quanta."""

    def __init__(
        self,
        ledger: Ledger,
        workload: Workload,
        *,
        offers: int = OFFERS,
        gang: float = GANG,
        price: float = PRICE,
    ) -> None:
        """Take the pool and what is typical of it; weights other than those that are usual."""
        super().__init__(ledger)
        self._price = price
        kinds = Kinds.of(workload, ledger)
        self._gangs = kinds.only(kinds.num_gpus > 1)
        gangs = self._gangs
        self._gang_quanta = gang * gangs.probability * gangs.num_gpus * QUANTA
        self._pressure = Pressure(ledger, kinds)
        single = kinds.only(kinds.num_gpus == 1)
        codes = range(len(ledger.models) + 1)
        shares = [single.only(single.admitted[:, code]) for code in codes]
        self._left = np.array([_left_after_offers(one, offers) for one in shares])
        along = [
            (_brought_along(one, one.millicpus), _brought_along(one, one.memory_bytes))
            for one in shares
        ]
        # (2, num_models + 1) each, of cores and of memory by model.
        self._mean, self._spread = np.array(along).transpose(2, 1, 0)

    def surcharge(self, request: Request) -> Floats | None:
        """Return the price of the models for a request, by node."""
        pressure = self._pressure.by_model()
        if pressure is None or not request.num_gpus:
            return None
        return (self._price * request.quanta * pressure)[self._ledger.model]

    def value(self, free: Ints, millicpus: Ints, memory_bytes: Ints, model: Ints) -> Floats:
        """Return what nodes will leave unused, free quanta of shape (num_nodes, max_gpus)."""
        left = self._left[model[:, None], free].sum(axis=1)
        fill = free.sum(axis=1) - left
        have = np.array([millicpus, memory_bytes])
        starved = _starved(fill, have, self._mean[:, model], self._spread[:, model])
        room = self._room_for_gangs(free, millicpus, memory_bytes, model)
        waste: Floats = left + np.minimum(starved, fill) - room
        return waste

    def _room_for_gangs(
        self, free: Ints, millicpus: Ints, memory_bytes: Ints, model: Ints
    ) -> Floats:
        gangs = self._gangs
        idle = (free == QUANTA).sum(axis=1)
        room = np.zeros(len(free))
        rows = (idle > 1).nonzero()[0]
        if rows.size and gangs.probability.size:
            runs: Bools = idle[rows, None] >= gangs.num_gpus
            runs &= millicpus[rows, None] >= gangs.millicpus
            runs &= memory_bytes[rows, None] >= gangs.memory_bytes
            runs &= gangs.admitted.T[model[rows]]
            room[rows] = runs @ self._gang_quanta
        return room


def _left_after_offers(kinds: Kinds, offers: int) -> Floats:
    """Return W(f) for f of 0 to QUANTA, under single-accelerator kinds that one model admits."""
    free = np.arange(QUANTA + 1)
    left = free.astype(np.float64)
    if not kinds.probability.size:
        return left
    shares, which = np.unique(kinds.gpu_quanta, return_inverse=True)
    weight = np.bincount(which, kinds.probability) / kinds.probability.sum()
    for _ in range(offers):
        after = left * (1 - weight.sum())
        for share, chance in zip(shares.tolist(), weight.tolist(), strict=True):
            after[:share] += chance * left[:share]
            after[share:] += chance * left[: QUANTA + 1 - share]
        left = after
    return np.minimum(left, free)  # rounding may leave a hair more


def _brought_along(kinds: Kinds, amount: Ints) -> tuple[float, float]:
    """Return κ and σ of what kinds ask for beside accelerators; zeros without any."""
    if not kinds.probability.size:
        return 0.0, 0.0
    chance = kinds.probability / kinds.probability.sum()
    quanta = float(chance @ kinds.gpu_quanta)
    mean = float(chance @ amount) / quanta
    spread = float(chance @ (amount - mean * kinds.gpu_quanta) ** 2) / quanta
    return mean, spread**0.5


def _starved(fill: Floats, have: Ints, mean: Floats, spread: Floats) -> Floats:
    """Return the quanta of `fill` that lack cores or memory, whichever is scarcer.

    All but `fill` have the shape (2, num_nodes); the expectation is the loss of a normal need.
    """
    deviation = np.maximum(spread * np.sqrt(fill), _LITTLE)
    over = (mean * fill - have) / deviation
    loss = deviation * (over * ndtr(over) + np.exp(over * over / -2) / _SQRT_2_PI)
    scarcer: Floats = (loss / np.maximum(mean, _LITTLE)).max(axis=0)
    return scarcer
