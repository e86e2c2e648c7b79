"""Where a request goes among nodes that it shares: rules by name, costs kept until a node changes.

A rule gives every node that fits a cost; the node of least cost gets the request, the first of
equals unless the rule draws one. A cost depends only on the node, so it is kept by kind of request
and worked out again for the nodes that changed since; what changes for the whole pool at once is a
surcharge on top.

A request that fits somewhere is placed: no rule may turn it away in the hope of a better one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clusterwright.errors import UnknownName
from clusterwright.model.job import QUANTA
from clusterwright.sched.foresight import Foresight
from clusterwright.sched.fragmentation import Fragmentation
from clusterwright.sched.shares import MILLI, Ints, Ledger, Place, Request
from clusterwright.sched.workload import Floats, Workload

ANY = -1
"""Stands for whichever accelerator, drawn at random."""
_KINDS_KEPT = 512
_TIE = 1e-7  # far below any difference in cost that means something


class Rule(Protocol):
    """How one placement judges nodes."""

    def costs(self, request: Request, nodes: Ints) -> tuple[Floats, Ints]:
        """Return the cost of each node, which all fit, and the accelerator a share would take."""
        ...

    def surcharge(self, request: Request) -> Floats | None:
        """Return what is added to the cost of every node of the pool; None for nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """One way of packing."""

    name: str
    """Its name."""
    rule: str
    """What it does, in a sentence."""
    make: Callable[[Ledger, Workload, np.random.Generator], Rule]
    """Makes the rule for a pool, its typical workload and a stream of random numbers."""


@dataclass(slots=True)
class _Kept:
    cost: Floats  # (num_nodes,), infinite where it does not fit
    gpu: Ints  # (num_nodes,)
    seen: int  # version of the ledger that they hold for


class Packer:
    """Chooses places on a ledger by one rule."""

    def __init__(
        self, ledger: Ledger, packing: Packing, workload: Workload, rng: np.random.Generator
    ) -> None:
        """Take the pool and the workload that is typical of it."""
        self._ledger = ledger
        self._rng = rng
        self._rule = packing.make(ledger, workload, rng)
        self._kept: dict[Request, _Kept] = {}

    def choose(self, request: Request) -> Place | None:
        """Return where a request goes, or None when it fits nowhere now. Nothing is taken yet."""
        kept = self._current(request)
        surcharge = self._rule.surcharge(request)
        cost = kept.cost if surcharge is None else kept.cost + surcharge
        if not cost.size:
            return None
        node = int(cost.argmin())
        if not np.isfinite(cost[node]):
            return None
        gpu = int(kept.gpu[node])
        if gpu == ANY:
            gpu = int(
                self._rng.choice(np.flatnonzero(self._ledger.free[node] >= request.gpu_quanta))
            )
        return self._ledger.place(request, node, gpu)

    def _current(self, request: Request) -> _Kept:
        ledger = self._ledger
        kept = self._kept.pop(request, None)
        if kept is None:
            count = len(ledger.machines)
            kept = _Kept(np.full(count, np.inf), np.zeros(count, dtype=np.int64), -1)
        self._kept[request] = kept  # the latest asked for stands last
        if len(self._kept) > _KINDS_KEPT:
            del self._kept[next(iter(self._kept))]
        nodes = np.flatnonzero(ledger.changed_at > kept.seen)
        kept.seen = ledger.version
        if nodes.size:
            fits = ledger.fits(request, nodes)
            kept.cost[nodes] = np.inf
            nodes = nodes[fits]
            if nodes.size:
                kept.cost[nodes], kept.gpu[nodes] = self._rule.costs(request, nodes)
        return kept


def fullest_gpu(ledger: Ledger, request: Request, nodes: Ints) -> Ints:
    """Return the accelerator of each node with the least free that still holds the share."""
    free = ledger.free[nodes]
    fullest: Ints = np.where(free >= request.gpu_quanta, free, 2 * QUANTA).argmin(axis=1)
    return fullest


class _Simple:
    """A rule by what is free alone; equals are drawn at random, as where the rules come from."""

    def __init__(self, ledger: Ledger, rng: np.random.Generator) -> None:
        self.ledger = ledger
        self.rng = rng
        self.most_millicpus = float(ledger.millicpus.max(initial=MILLI))
        self.most_quanta = float(ledger.num_gpus.max(initial=1)) * QUANTA

    def surcharge(self, request: Request) -> Floats | None:
        del request
        return _TIE * self.rng.random(len(self.ledger.machines))

    def left(self, nodes: Ints) -> tuple[Floats, Floats]:
        """Return free cores and accelerators, as parts of the largest node of the pool."""
        cpus = self.ledger.millicpus[nodes] / self.most_millicpus
        return cpus, self.ledger.free[nodes].sum(axis=1) / self.most_quanta


class _Random(_Simple):
    def costs(self, request: Request, nodes: Ints) -> tuple[Floats, Ints]:
        gpu = ANY if request.is_shared else 0
        return np.zeros(len(nodes)), np.full(len(nodes), gpu)


class _BestFit(_Simple):
    def costs(self, request: Request, nodes: Ints) -> tuple[Floats, Ints]:
        cpus, gpus = self.left(nodes)
        return (cpus + gpus) / 2, fullest_gpu(self.ledger, request, nodes)


class _DotProduct(_Simple):
    def costs(self, request: Request, nodes: Ints) -> tuple[Floats, Ints]:
        cpus, gpus = self.left(nodes)
        cost = cpus * request.num_millicpus / self.most_millicpus
        cost += gpus * request.quanta / self.most_quanta
        return cost, fullest_gpu(self.ledger, request, nodes)


class _GpuPacking(_Simple):
    """In use before idle accelerators, and those of a node in use before an idle node."""

    def costs(self, request: Request, nodes: Ints) -> tuple[Floats, Ints]:
        gpu = fullest_gpu(self.ledger, request, nodes)
        if not request.num_gpus:
            return np.zeros(len(nodes)), gpu
        free = self.ledger.free[nodes]
        idle = np.count_nonzero(free == QUANTA, axis=1)
        taken = free[np.arange(len(nodes)), gpu]
        shared = (taken < QUANTA) & request.is_shared
        unused = idle == self.ledger.num_gpus[nodes]
        return np.where(shared, taken / QUANTA, np.where(unused, 20.0 + idle, 10.0)), gpu


class _GpuClustering(_Simple):
    """Like beside like: nodes that run requests for as many accelerators, and only such."""

    def costs(self, request: Request, nodes: Ints) -> tuple[Floats, Ints]:
        gpu = fullest_gpu(self.ledger, request, nodes)
        if not request.num_gpus:
            return np.zeros(len(nodes)), gpu
        kinds = self.ledger.kinds[nodes] > 0
        same = kinds[:, 0 if request.is_shared else request.num_gpus]
        others = np.count_nonzero(kinds, axis=1) - same
        tier = np.where(same, np.where(others == 0, 0.0, 1.0), np.where(others == 0, 2.0, 3.0))
        return tier + self.left(nodes)[1] / 2, gpu


PACKINGS: Mapping[str, Packing] = {
    packing.name: packing
    for packing in (
        Packing(
            name="random",
            rule="any node that fits, and any of its accelerators that fits",
            make=lambda ledger, _, rng: _Random(ledger, rng),
        ),
        Packing(
            name="dotprod",
            rule="smallest product of what is asked for and what is free",
            make=lambda ledger, _, rng: _DotProduct(ledger, rng),
        ),
        Packing(
            name="gpu-clustering",
            rule="beside requests for as many accelerators, then on the fullest node",
            make=lambda ledger, _, rng: _GpuClustering(ledger, rng),
        ),
        Packing(
            name="gpu-packing",
            rule="on accelerators in use, then on nodes in use, then on idle nodes",
            make=lambda ledger, _, rng: _GpuPacking(ledger, rng),
        ),
        Packing(
            name="bestfit",
            rule="the node with the least cores and accelerators left",
            make=lambda ledger, _, rng: _BestFit(ledger, rng),
        ),
        Packing(
            name="fgd",
            rule="where what is free loses least of its use to the typical workload now",
            make=lambda ledger, workload, _: Fragmentation(ledger, workload),
        ),
        Packing(
            name="foresight",
            rule="where least will be left unused once the typical workload has filled the pool",
            make=lambda ledger, workload, _: Foresight(ledger, workload),
        ),
    )
}


def packing_of(name: str) -> Packing:
    """Return a way of packing by its name.

    Raises
    ------
    UnknownName
        If there is none of that name.
    """
    if name not in PACKINGS:
        raise UnknownName.of("packing", name, PACKINGS)
    return PACKINGS[name]
