"""What a pool is typically asked for: kinds of request with their frequency, never their order."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from clusterwright.sched.shares import Bools, Ints, Ledger, Request

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A distribution over requests."""

    requests: tuple[Request, ...]
    """Kinds of request, most frequent first."""
    weights: tuple[int, ...]
    """How often each was seen."""

    @classmethod
    def seen(cls, requests: Iterable[Request]) -> Self:
        """Return the distribution of requests that were seen."""
        counted = Counter(requests).most_common()
        return cls(
            requests=tuple(request for request, _ in counted),
            weights=tuple(count for _, count in counted),
        )


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of a workload that use accelerators, as columns of length `num_kinds`."""

    probability: Floats  # among all requests, those on cores included
    num_gpus: Ints
    gpu_quanta: Ints
    millicpus: Ints
    memory_bytes: Ints
    admitted: Bools  # (num_kinds, num_models + 1), by model code of a ledger

    @classmethod
    def of(cls, workload: Workload, ledger: Ledger) -> Self:
        """Return the columns of a workload on the models of a pool."""
        total = sum(workload.weights) or 1
        used = [
            pair
            for pair in zip(workload.requests, workload.weights, strict=True)
            if pair[0].num_gpus
        ]
        rows = [
            (one.num_gpus, one.gpu_quanta, one.num_millicpus, one.memory_bytes) for one, _ in used
        ]
        gpus, quanta, millicpus, memory = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        admitted = [ledger.admits(one) for one, _ in used]
        return cls(
            np.array([weight / total for _, weight in used]),
            gpus,
            quanta,
            millicpus,
            memory,
            np.array(admitted, dtype=np.bool_).reshape(-1, len(ledger.models) + 1),
        )

    def only(self, chosen: Bools) -> Self:
        """Return the chosen kinds."""
        return type(self)(*(getattr(self, one.name)[chosen] for one in fields(self)))
