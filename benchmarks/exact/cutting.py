"""MIG instances on accelerators, and shares of accelerators on nodes with cores and memory."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from clusterwright import catalog
from clusterwright.model.job import QUANTA
from clusterwright.sched.mig import Cut, Geometry, Instance
from clusterwright.sched.packing import Packer, packing_of
from clusterwright.sched.shares import Ledger, Machine, Request
from clusterwright.sched.workload import Workload
from exact.table import Case, Row, Solver

ABSENT = 1000
"""Weight of an instance that is missing, against one that is destroyed or created."""
PODS = ((0.1, 20), (0.2, 15), (0.3, 10), (0.5, 20), (0.7, 5), (1.0, 20), (2.0, 7), (4.0, 3))
"""Pods: accelerators asked for, and how many of a hundred do."""


def rows() -> list[Row]:
    """Return what is measured about parts of accelerators."""
    made = [
        Row(
            f"MIG instances as they come, {count} accelerator{'s' if count > 1 else ''}",
            partial(_as_they_come, count),
            most=True,
            bar=False,
        )
        for count in (1, 4)
    ]
    made.append(Row("MIG recut: instances missing, then changes", _recut))
    made += [
        Row(f"shares at 130 % arrival, {name}", partial(_shares, name), most=True, bar=False)
        for name in ("bestfit", "gpu-packing", "fgd", "foresight")
    ]
    return made


@cache
def _geometries() -> tuple[Geometry, ...]:
    return tuple(Geometry(one) for one in catalog.load().accelerators.values() if one.mig)


def _geometry(rng: np.random.Generator) -> Geometry:
    return _geometries()[int(rng.integers(len(_geometries())))]


def _cut(rng: np.random.Generator, geometry: Geometry) -> list[Instance]:
    """Return instances that some of the many that came have left behind."""
    made: list[Instance] = []
    for name in rng.choice(list(geometry.profiles), 6).tolist():
        start = geometry.best_start(name, made)
        if start is not None:
            made.append(Instance(profile=name, start=start))
    return [one for one in made if rng.random() < 0.5]


def _as_they_come(count: int, rng: np.random.Generator, solver: Solver) -> Case:
    geometry = _geometry(rng)
    cuts = [_cut(rng, geometry) for _ in range(count)]
    names = rng.choice(list(geometry.profiles), int(rng.integers(2, 4 * count + 2))).tolist()
    worth = {name: geometry.profiles[name].compute_slices for name in geometry.profiles}
    best = solver.optimum(
        {
            "kind": "mig",
            "gpus": [geometry.taken(cut) for cut in cuts],
            "slices": _slices(geometry),
            "positions": [(one.profile, bits) for one, bits in geometry.positions.items()],
            "wanted": {name: names.count(name) for name in set(names)},
            "worth": worth,
        }
    )
    served = 0
    for name in names:
        for cut in cuts:
            start = geometry.best_start(name, cut)
            if start is not None:
                cut.append(Instance(profile=name, start=start))
                served += worth[name]
                break
    return Case(served, best)


def _recut(rng: np.random.Generator, solver: Solver) -> Case:
    geometry = _geometry(rng)
    cuts = []
    for _ in range(int(rng.integers(1, 5))):
        made = _cut(rng, geometry)
        runs = [one for one in made if rng.random() < 0.5]
        idle = [one for one in made if one not in runs]
        cuts.append(Cut(running=tuple(sorted(runs)), idle=tuple(sorted(idle))))
    names = rng.choice(list(geometry.profiles), int(rng.integers(1, 3 * len(cuts) + 1))).tolist()
    wanted = {name: names.count(name) for name in dict.fromkeys(names)}
    positions = list(geometry.positions.items())
    number = {one: i for i, (one, _) in enumerate(positions)}
    best = solver.optimum(
        {
            "kind": "recut",
            "gpus": [
                {"taken": geometry.taken(cut.running), "idle": [number[one] for one in cut.idle]}
                for cut in cuts
            ],
            "slices": _slices(geometry),
            "positions": [(one.profile, bits) for one, bits in positions],
            "wanted": wanted,
            "absent": ABSENT,
        }
    )
    found = geometry.recut(cuts, wanted)
    return Case(ABSENT * sum(found.missing.values()) + found.num_changes, best)


def _slices(geometry: Geometry) -> int:
    return max(bits.bit_length() for bits in geometry.positions.values())


def _shares(name: str, rng: np.random.Generator, solver: Solver) -> Case:
    gpus = int(rng.choice([2, 4]))
    machine = Machine(
        name="node",
        gpu_model="A",
        num_gpus=gpus,
        num_millicpus=12_000 * gpus,
        memory_bytes=64 * gpus << 30,
    )
    machines = [machine] * int(rng.integers(2, 5))
    asked = [size for size, _ in PODS if size <= gpus]
    weights = np.array([many for size, many in PODS if size <= gpus], dtype=np.float64)
    pods: list[Request] = []
    while sum(pod.quanta for pod in pods) < 1.3 * QUANTA * gpus * len(machines):
        size = float(rng.choice(asked, p=weights / weights.sum()))
        beside = size * float(rng.choice([0.25, 0.5, 1.0, 1.5]))
        pods.append(
            Request(
                num_gpus=max(1, int(size)),
                gpu_quanta=round(min(1.0, size) * QUANTA),
                num_millicpus=int(min(beside, gpus) * 12_000),
                memory_bytes=int(min(beside, gpus) * 64) << 30,
            )
        )
    best = solver.optimum(
        {
            "kind": "shares",
            "full": QUANTA,
            "nodes": [
                {"gpus": gpus, "cores": one.num_millicpus, "memory": one.memory_bytes >> 30}
                for one in machines
            ],
            "pods": [
                {
                    "gpus": pod.num_gpus,
                    "quanta": pod.gpu_quanta,
                    "cores": pod.num_millicpus,
                    "memory": pod.memory_bytes >> 30,
                }
                for pod in pods
            ],
        }
    )
    ledger = Ledger(machines)
    packer = Packer(ledger, packing_of(name), Workload.seen(pods), rng)
    held = 0
    for pod in pods:
        place = packer.choose(pod)
        if place is not None:
            ledger.take(place)
            held += pod.quanta
    return Case(held, best)
