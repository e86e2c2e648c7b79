"""What is free on each node of a pool, down to the share of each accelerator, in whole numbers.

Who goes where is decided in `packing`; here is only what fits and what is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.errors import UsageError
from clusterwright.model.job import QUANTA

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MILLI = 1000
"""Parts of a core that cores are counted in, as container requests are written."""
NO_MODEL = -1
"""Code of the accelerator model of a node that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One node as it is when nothing runs on it."""

    name: str
    """Its name."""
    gpu_model: str = ""
    """Accelerator model; empty for a node without."""
    num_gpus: int = 0
    """Accelerators."""
    num_millicpus: int
    """Cores, in thousandths."""
    memory_bytes: int
    """Main memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a pod asks of one node: whole accelerators, a share of one, or none."""

    num_gpus: int = 0
    """Accelerators that it touches; 0 for a pod on cores."""
    gpu_quanta: int = QUANTA
    """What it takes of each; below QUANTA only with one accelerator."""
    num_millicpus: int = 0
    """Cores, in thousandths."""
    memory_bytes: int = 0
    """Main memory."""
    models: frozenset[str] = frozenset()
    """Accelerator models that it may run on; empty for any."""

    def __post_init__(self) -> None:
        """Refuse what no node could be asked for."""
        if min(self.num_gpus, self.num_millicpus, self.memory_bytes) < 0:
            msg = "a request asks for less than nothing; write zero or more"
            raise UsageError(msg)
        if not (
            0 < self.gpu_quanta <= QUANTA and (self.num_gpus == 1 or self.gpu_quanta == QUANTA)
        ):
            msg = f"{self.num_gpus} × {self.gpu_quanta}/{QUANTA} GPU; ask whole GPUs or part of one"
            raise UsageError(msg)

    @property
    def is_shared(self) -> bool:
        """Whether it leaves the rest of its accelerator to others."""
        return self.num_gpus == 1 and self.gpu_quanta < QUANTA

    @property
    def quanta(self) -> int:
        """What it takes of the pool's accelerators."""
        return self.num_gpus * self.gpu_quanta


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request goes."""

    node: int
    """Index of the node in the pool."""
    gpus: tuple[int, ...]
    """Accelerators of the node, in ascending order; empty for a pod on cores."""
    request: Request
    """What is taken there."""


class Ledger:
    """What is free on every node.

    Attributes
    ----------
    free : int64, shape (num_nodes, max_gpus)
        Quanta free of each accelerator; 0 where a node has fewer.
    millicpus, memory_bytes : int64, shape (num_nodes,)
        Free cores in thousandths, free memory.
    model : int64, shape (num_nodes,)
        Index into `models`, or `NO_MODEL`.
    up : bool, shape (num_nodes,)
        Whether the node may take work.
    kinds : int64, shape (num_nodes, max_gpus + 1)
        Running requests by accelerators asked for; column 0 counts shares.
    changed_at : int64, shape (num_nodes,)
        Value of `version` when the node last changed.
    version : int
        Changes so far.
    """

    def __init__(self, machines: Sequence[Machine]) -> None:
        """Take the nodes of a pool, idle and up."""
        self.machines = tuple(machines)
        self.models = tuple(sorted({one.gpu_model for one in machines if one.num_gpus}))
        codes = {name: code for code, name in enumerate(self.models)}
        self.num_gpus = np.array([one.num_gpus for one in machines], dtype=np.int64)
        width = max(1, int(self.num_gpus.max(initial=0)))
        self.free = np.where(np.arange(width) < self.num_gpus[:, None], QUANTA, 0)
        self.millicpus = np.array([one.num_millicpus for one in machines], dtype=np.int64)
        self.memory_bytes = np.array([one.memory_bytes for one in machines], dtype=np.int64)
        self.model = np.array(
            [codes[one.gpu_model] if one.num_gpus else NO_MODEL for one in machines], dtype=np.int64
        )
        self.up = np.ones(len(machines), dtype=np.bool_)
        self.kinds = np.zeros((len(machines), width + 1), dtype=np.int64)
        self.changed_at = np.zeros(len(machines), dtype=np.int64)
        self.version = 0
        self._admitted: dict[frozenset[str], Bools] = {}

    @property
    def total_quanta(self) -> int:
        """Quanta of all accelerators, free or not, up or not."""
        return int(self.num_gpus.sum()) * QUANTA

    def admits(self, request: Request) -> Bools:
        """Return by model code whether a request may run there, shape (num_models + 1,).

        The last entry, which `NO_MODEL` reaches as -1, is for nodes without accelerator.
        """
        if not request.num_gpus:
            return np.ones(len(self.models) + 1, dtype=np.bool_)
        if request.models not in self._admitted:
            names = request.models
            codes = [not names or name in names for name in self.models]
            self._admitted[names] = np.array([*codes, False], dtype=np.bool_)
        return self._admitted[request.models]

    def fits(self, request: Request, nodes: Ints) -> Bools:
        """Return whether a request fits each of some nodes now, shape (len(nodes),)."""
        fits = self.up[nodes] & (self.millicpus[nodes] >= request.num_millicpus)
        fits &= self.memory_bytes[nodes] >= request.memory_bytes
        if request.num_gpus:
            fits &= self.admits(request)[self.model[nodes]]
            enough = self.free[nodes] >= request.gpu_quanta
            fits &= enough.sum(axis=1) >= request.num_gpus
        return fits

    def place(self, request: Request, node: int, gpu: int) -> Place:
        """Return a place on a node: a share on `gpu`, whole accelerators from the lowest index."""
        if request.is_shared:
            return Place(node=node, gpus=(gpu,), request=request)
        idle = np.flatnonzero(self.free[node] >= QUANTA)[: request.num_gpus]
        return Place(node=node, gpus=tuple(idle.tolist()), request=request)

    def take(self, place: Place) -> None:
        """Hand a place out."""
        assert self.up[place.node], "a node that is down takes no work"
        self._move(place, -1)

    def give(self, place: Place) -> None:
        """Take a place back; on a node that is down it stays out of use."""
        self._move(place, 1)

    def fail(self, node: int) -> None:
        """Put a node out of use; what runs on it is given back by its owner."""
        self.up[node] = False
        self._touch(node)

    def repair(self, node: int) -> None:
        """Put a node back into use."""
        self.up[node] = True
        self._touch(node)

    def _move(self, place: Place, sign: int) -> None:
        node, asked, gpus = place.node, place.request, list(place.gpus)
        whole = self.machines[node]
        assert len(set(gpus)) == len(gpus) == asked.num_gpus, "as many accelerators as asked for"
        for gpu in gpus:
            assert 0 <= gpu < whole.num_gpus, "an accelerator that the node has"
            self.free[node, gpu] += sign * asked.gpu_quanta
            assert 0 <= self.free[node, gpu] <= QUANTA, "a share is handed out once"
        if gpus:
            self.kinds[node, 0 if asked.is_shared else len(gpus)] -= sign
        self.millicpus[node] += sign * asked.num_millicpus
        self.memory_bytes[node] += sign * asked.memory_bytes
        assert 0 <= self.millicpus[node] <= whole.num_millicpus, "a core is handed out once"
        assert 0 <= self.memory_bytes[node] <= whole.memory_bytes, "memory is handed out once"
        self._touch(node)

    def _touch(self, node: int) -> None:
        self.version += 1
        self.changed_at[node] = self.version
