"""How much of a pool's accelerators a placement can hand out: pods arrive, none leaves.

The pods of a trace come in random order; when they are used up, more are drawn from them with
replacement, until the accelerators asked for reach a multiple of the pool's. A pod that does not
fit (cores, memory, accelerators or model) is passed over and does not come back. Pods without
accelerators are placed too, and take cores and memory where the placement puts them.

Source of the experiment: Weng et al., USENIX ATC 2023, section 6.2 (there with 130 %).
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clusterwright.errors import UsageError
from clusterwright.sched.packing import Packer, Packing
from clusterwright.sched.shares import Ledger, Machine, Request
from clusterwright.sched.workload import Workload
from clusterwright.units import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """One run of arrivals into an empty pool."""

    allocated_fraction: Fraction
    """Accelerators handed out in the end, of all."""
    allocated_at_full_fraction: Fraction
    """The same when as many were asked for as there are."""
    gangs_placed_fraction: Fraction | None
    """Pods of several accelerators that were placed, of those that came until then; absent when
    none came."""
    num_pods: int
    """Pods that came."""
    num_passed_over: int
    """Pods that did not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingResult:
    """What one placement reached over several seeds."""

    name: str
    """Placement."""
    allocated_fraction: Fraction
    """Mean of what was handed out in the end."""
    spread_fraction: Fraction
    """Standard deviation of it over the seeds; 0 for one seed."""
    allocated_at_full_fraction: Fraction
    """Mean of what was handed out when as many were asked for as there are."""
    gangs_placed_fraction: Fraction | None
    """Mean share of the pods of several accelerators that were placed until then; absent without
    such pods."""
    num_pods: int
    """Pods that came, in all."""
    num_passed_over: int
    """Pods that did not fit, in all."""


def arrivals(
    pods: Sequence[Request], total_quanta: int, arrival: float, rng: np.random.Generator
) -> Iterator[Request]:
    """Yield pods in random order, then drawn again, until enough accelerators are asked for."""
    wanted, asked = arrival * total_quanta, 0
    for place in rng.permutation(len(pods)).tolist():
        asked += pods[place].quanta
        yield pods[place]
    while asked < wanted:
        pod = pods[int(rng.integers(len(pods)))]
        asked += pod.quanta
        yield pod


def fill(
    machines: Sequence[Machine],
    pods: Sequence[Request],
    packing: Packing,
    *,
    typical: Workload,
    arrival: float,
    seed: int,
) -> Filling:
    """Return how one run ends. Arrivals depend on the seed alone, so placements see the same."""
    ledger = Ledger(machines)
    packer = Packer(ledger, packing, typical, np.random.default_rng((seed, 1)))
    coming = arrivals(pods, ledger.total_quanta, arrival, np.random.default_rng((seed, 0)))
    asked = given = at_full = num_pods = passed_over = gangs = gangs_placed = 0
    for pod in coming:
        num_pods += 1
        asked += pod.quanta
        place = packer.choose(pod)
        if place is None:
            passed_over += 1
        else:
            ledger.take(place)
            given += pod.quanta
        if asked <= ledger.total_quanta:
            at_full = given
            gangs += pod.num_gpus > 1
            gangs_placed += pod.num_gpus > 1 and place is not None
    return Filling(
        allocated_fraction=given / ledger.total_quanta,
        allocated_at_full_fraction=at_full / ledger.total_quanta,
        gangs_placed_fraction=gangs_placed / gangs if gangs else None,
        num_pods=num_pods,
        num_passed_over=passed_over,
    )


def study(
    machines: Sequence[Machine],
    pods: Sequence[Request],
    packing: Packing,
    *,
    typical: Workload,
    arrival: float,
    seeds: Sequence[int],
) -> PackingResult:
    """Return what a placement reaches over several seeds.

    Parameters
    ----------
    machines
        The pool.
    pods
        Pods that come; all of them once, then again.
    packing
        The placement.
    typical
        What the placement knows of the workload: frequencies of requests, never their order.
    arrival
        Accelerators asked for in the end, of those there are.
    seeds
        Seeds of the orders of arrival.

    Raises
    ------
    UsageError
        If nothing can be asked for or handed out.
    """
    if not any(one.num_gpus for one in machines) or not any(pod.num_gpus for pod in pods):
        msg = "neither nodes nor pods may be without accelerators; check the columns gpus"
        raise UsageError(msg)
    if not arrival > 0 or not seeds:
        msg = f"arrival {arrival} with {len(seeds)} seeds; take an arrival above 0 and one seed"
        raise UsageError(msg)
    runs = [
        fill(machines, pods, packing, typical=typical, arrival=arrival, seed=seed) for seed in seeds
    ]
    reached = [run.allocated_fraction for run in runs]
    gangs = [r.gangs_placed_fraction for r in runs if r.gangs_placed_fraction is not None]
    return PackingResult(
        name=packing.name,
        allocated_fraction=statistics.fmean(reached),
        spread_fraction=statistics.stdev(reached) if len(runs) > 1 else 0.0,
        allocated_at_full_fraction=statistics.fmean(r.allocated_at_full_fraction for r in runs),
        gangs_placed_fraction=statistics.fmean(gangs) if gangs else None,
        num_pods=sum(run.num_pods for run in runs),
        num_passed_over=sum(run.num_passed_over for run in runs),
    )
