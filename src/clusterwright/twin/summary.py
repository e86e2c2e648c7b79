"""From what became of each job to the figures that people ask for."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clusterwright.model.run import HourlyQueue, QueueSummary, Run, RunSpec, RunStatus
from clusterwright.twin.kernel import Outcome, Record, Setting
from clusterwright.units import (
    SECONDS_PER_HOUR,
    Fraction,
    GramsPerJoule,
    Ratio,
    Seconds,
    UsdPerJoule,
    Watts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a run draws, pays and emits."""

    idle_fraction: Fraction
    """Draw of an idle node as a share of its maximum."""
    busy_fraction: Fraction
    """Draw of a busy node as a share of its maximum."""
    other_power_w: Watts
    """What storage, network and management draw all the time."""
    pue_ratio: Ratio
    """Facility energy over IT energy."""
    price_usd_per_j: tuple[UsdPerJoule, ...]
    """Price by hour, repeated when the run is longer; one value is a flat price."""
    carbon_g_per_j: tuple[GramsPerJoule, ...]
    """Carbon intensity by hour, likewise."""


def summarise(
    name: str,
    outcome: Outcome,
    setting: Setting,
    *,
    power: Power | None = None,
    num_dropped_rows: int = 0,
    wall_s: Seconds = 0.0,
) -> Run:
    """Return the summary of a run."""
    queues = tuple(dict.fromkeys(job.queue for job in outcome.jobs))
    everyone = _queue("all", outcome, None)
    energy, cost, carbon = _energy(outcome, power)
    fields = {
        field: getattr(everyone, field)
        for field in (one.name for one in dataclasses.fields(QueueSummary))
        if field != "name"
    }
    return Run(
        name=name,
        spec=RunSpec(
            policy=setting.policy,
            placement=setting.placement,
            backfill=setting.backfill,
            borrowing=setting.pooled,
            seed=setting.seed,
            span_s=outcome.end_s,
            hours=_hours(outcome),
            log_digest=outcome.log.digest(),
        ),
        items=tuple(_queue(queue, outcome, queue) for queue in queues),
        status=RunStatus(
            **fields,
            num_dropped_rows=num_dropped_rows,
            num_events=len(outcome.log),
            energy_j=energy,
            cost_usd=cost,
            carbon_g=carbon,
            wall_s=wall_s,
        ),
    )


def _queue(name: str, outcome: Outcome, queue: str | None) -> QueueSummary:
    mine = [
        record
        for job, record in zip(outcome.jobs, outcome.records, strict=True)
        if queue is None or job.queue == queue
    ]
    done = [record for record in mine if not math.isnan(record.end_s)]
    waits = np.array([record.waited_s for record in done] or [0.0])
    p50, p95, p99 = (float(one) for one in np.percentile(waits, [50, 95, 99]))
    allocated = _allocated(outcome, queue)
    return QueueSummary(
        name=name,
        num_jobs=len(done),
        num_unfinished=len(mine) - len(done),
        avg_jct_s=_mean([record.end_s - record.submit_s for record in done]),
        avg_wait_s=float(waits.mean()),
        p50_wait_s=p50,
        p95_wait_s=p95,
        p99_wait_s=p99,
        makespan_s=_makespan(done),
        gpu_utilization_fraction=allocated * outcome.useful,
        gpu_allocation_fraction=allocated,
        goodput_fraction=outcome.useful,
        num_preemptions=sum(record.num_preemptions for record in mine),
        num_interruptions=sum(record.num_interruptions for record in mine),
        num_guarantees_broken=0,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _makespan(done: Sequence[Record]) -> float:
    if not done:
        return 0.0
    return max(one.end_s for one in done) - min(one.submit_s for one in done)


def _allocated(outcome: Outcome, queue: str | None) -> float:
    """Return the share of the accelerator-time that was granted, to all or to one queue."""
    groups = [g for g in outcome.cluster.groups if g.gpus_per_node]
    mine = [g for g in groups if queue is None or g.queue == queue] or groups
    capacity = sum(g.num_nodes * g.quanta for g in mine) * outcome.end_s
    if not capacity:
        return 0.0
    used = math.fsum(
        record.held_s * job.quanta
        for job, record in zip(outcome.jobs, outcome.records, strict=True)
        if job.num_gpus_ratio and (queue is None or job.queue == queue)
    )
    return min(1.0, used / capacity)


def _hours(outcome: Outcome) -> tuple[HourlyQueue, ...]:
    found = []
    for name in outcome.usage.queues:
        groups = [g for g in outcome.cluster.groups if g.queue == name or name.startswith("all-")]
        if name.startswith("all-"):
            groups = [g for g in groups if bool(g.gpus_per_node) == (name == "all-gpus")]
        total = sum(g.num_nodes * g.quanta for g in groups)
        used = outcome.usage.quanta_s(name) / (total or 1) / SECONDS_PER_HOUR
        found.append(
            HourlyQueue(
                name=name,
                num_gpus=sum(g.num_nodes * g.gpus_per_node for g in groups),
                used_fraction=tuple(round(min(1.0, float(one)), 6) for one in used),
                mean_waiting_ratio=tuple(
                    round(float(one), 3) for one in outcome.usage.mean_waiting(name)
                ),
            )
        )
    return tuple(found)


def _energy(outcome: Outcome, power: Power | None) -> tuple[float, float, float]:
    """Return energy, its cost and its carbon, hour by hour at that hour's price."""
    if power is None:
        return 0.0, 0.0, 0.0
    hours = max(1, math.ceil(outcome.end_s / SECONDS_PER_HOUR))
    lasts = np.full(hours, SECONDS_PER_HOUR)
    lasts[-1] = outcome.end_s - (hours - 1) * SECONDS_PER_HOUR
    joules = power.other_power_w * lasts
    for name in outcome.usage.queues:
        groups = [g for g in outcome.cluster.groups if g.queue == name]
        nameplate = sum(g.num_nodes * g.node_power_w for g in groups)
        total = sum(g.num_nodes * g.quanta for g in groups)
        used = outcome.usage.quanta_s(name)[:hours] / total if total else np.zeros(hours)
        used = np.pad(used, (0, hours - used.size))
        step = power.busy_fraction - power.idle_fraction
        joules = joules + nameplate * (power.idle_fraction * lasts + step * used)
    joules = joules * power.pue_ratio
    price = np.resize(np.array(power.price_usd_per_j), hours)
    carbon = np.resize(np.array(power.carbon_g_per_j), hours)
    return float(joules.sum()), float(joules @ price), float(joules @ carbon)
