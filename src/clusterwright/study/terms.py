"""Which work of a demand can wait, by the demand's own words, and how long.

A deadline with time to spare is leave to wait; nothing else is. What the demand gives no time for
is not deferred, however much it draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clusterwright.catalog import Catalog
from clusterwright.model.compute import Strategy
from clusterwright.model.demand import Demand
from clusterwright.model.design import Design
from clusterwright.model.job import Job
from clusterwright.model.work import (
    Experiments,
    Inference,
    Processing,
    Seats,
    Simulation,
    Training,
    Workload,
)
from clusterwright.study.deferred import Task
from clusterwright.twin import Power, failures_of
from clusterwright.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Seconds
from clusterwright.units import format as show


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a demand says about the time of one workload."""

    name: str
    """Name of the workload."""
    kind: str
    """Its kind: training, experiments, simulation …"""
    deferrable: bool
    """True when it may wait for cheaper hours."""
    slack_s: Seconds | None
    """Time to spare between its deadline and its run time at design; absent where it has none."""
    reason: str
    """Which words of the demand decide it."""


def terms_of(demand: Demand, design: Design) -> tuple[Terms, ...]:
    """Return the terms of every workload that the design has a pool for."""
    return tuple(
        _terms(work, design)
        for work in demand.workloads
        if any(work.name in pool.workloads for pool in design.spec.compute.pools)
    )


def tasks_of(
    demand: Demand,
    design: Design,
    catalog: Catalog,
    jobs: Sequence[Job],
    power: Power,
    *,
    horizon_s: float,
    rng: np.random.Generator | None,
) -> dict[str, list[Task]]:
    """Return the tasks that may wait and whose deadline lies in the run, by pool.

    Parameters
    ----------
    demand, design, catalog
        What they come from.
    jobs
        Jobs of the demand, as the twin makes them.
    power
        What the centre draws.
    horizon_s
        End of the run.
    rng
        Draws the failures of each task; None where nothing fails.
    """
    failing = failures_of(catalog)
    pools = {pool.name: pool for pool in design.spec.compute.pools}
    by_name = {work.name: work for work in demand.workloads}
    waits = {one.name for one in terms_of(demand, design) if one.deferrable}
    found: dict[str, list[Task]] = {}
    for job in jobs:
        work = by_name.get(job.user)
        if not isinstance(work, Training) or work.name not in waits:
            continue
        pool = pools[job.queue]
        chosen = _strategy(design, work.name)
        due_s = job.submit_s + _within_s(work)
        if chosen is None or due_s > horizon_s:
            continue
        per_s = 0.0
        if rng is not None:
            per_s = failing.per_gpu_day * job.num_gpus_ratio / SECONDS_PER_DAY
        nodes = math.ceil(job.num_gpus_ratio * pool.num_servers / pool.num_accelerators)
        step = power.busy_fraction - power.idle_fraction
        found.setdefault(pool.name, []).append(
            Task(
                name=job.job_id,
                submit_s=job.submit_s,
                due_s=due_s,
                work_s=job.duration_s + _stalls_s(job),
                num_gpus_ratio=job.num_gpus_ratio,
                power_w=nodes * pool.server_power_w * step * power.pue_ratio,
                interruptible=job.checkpoint_interval_s is not None,
                restart_s=job.restart_s,
                failures_per_s=per_s,
                repair_s=failing.repair_s,
                redo_s=(job.checkpoint_interval_s or 0.0) / 2,
                error_fraction=chosen.error_bar_fraction,
                failures_at_s=_failures(rng, per_s, _within_s(work)),
            )
        )
    return found


def _terms(work: Workload, design: Design) -> Terms:
    slack: float | None = None
    match work:
        case Training():
            chosen = _strategy(design, work.name)
            slack = None if chosen is None else _within_s(work) - chosen.duration_s
            reason = (
                f"within {show(work.within_s, Seconds)}; its checkpoints let it pause"
                if chosen
                else "the design has no strategy for it"
            )
        case Simulation():
            slack = work.within_s % work.case.duration_s
            reason = f"its cases are spread to fill its {show(work.within_s, Seconds)}"
        case Experiments():
            slack = work.wait.p95_s if work.wait else None
            reason = (
                f"its wait of {show(work.wait.p95_s, Seconds)} is for the queue"
                if work.wait
                else "people wait for it"
            )
        case Processing():
            reason = "it keeps up with the data as it comes; no lateness is granted"
        case Seats():
            reason = "people are at work"
        case Inference():
            reason = "requests are answered as they come"
    deferrable = isinstance(work, Training) and slack is not None and slack >= SECONDS_PER_HOUR
    return Terms(
        name=work.name,
        kind=type(work).__name__.lower(),
        deferrable=deferrable,
        slack_s=slack,
        reason=reason,
    )


def _strategy(design: Design, workload: str) -> Strategy | None:
    chosen = (s for s in design.spec.compute.strategies if s.workload == workload and s.chosen)
    return next(chosen, None)


def _within_s(work: Training) -> float:
    """Return the time of a campaign: it must be through before the next one comes, too."""
    return min(work.within_s, work.every_s or math.inf)


def _stalls_s(job: Job) -> float:
    if not job.checkpoint_interval_s:
        return 0.0
    return (math.ceil(job.duration_s / job.checkpoint_interval_s) - 1) * job.checkpoint_stall_s


def _failures(rng: np.random.Generator | None, per_s: float, upto_s: float) -> tuple[float, ...]:
    if rng is None or not per_s:
        return ()
    count = int(rng.poisson(per_s * upto_s))
    return tuple(float(one) for one in np.sort(rng.uniform(0, upto_s, count)))
