"""From what became of each job to the figures that people ask for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from clusterwright.model.cluster import NodeGroup
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
    bills = _bills(outcome, power)
    queues = tuple(dict.fromkeys(job.queue for job in outcome.jobs))
    shares = bills.values() or (_idle_bill(outcome, power),)
    whole = _Bill(*(math.fsum(column) for column in zip(*shares, strict=True)))
    everyone = _figures(outcome, None, whole)
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
        items=tuple(
            QueueSummary(name=queue, **_figures(outcome, queue, bills[queue])) for queue in queues
        ),
        status=RunStatus(
            **everyone,
            num_dropped_rows=num_dropped_rows,
            num_events=len(outcome.log),
            wall_s=wall_s,
        ),
    )


class _Bill(NamedTuple):
    """Energy with its cost and its carbon."""

    energy_j: float
    cost_usd: float
    carbon_g: float


def _figures(outcome: Outcome, queue: str | None, bill: _Bill) -> dict[str, Any]:
    mine = [
        (job, record)
        for job, record in zip(outcome.jobs, outcome.records, strict=True)
        if queue is None or job.queue == queue
    ]
    done = [record for _, record in mine if not math.isnan(record.end_s)]
    waits = np.array([record.waited_s for record in done] or [0.0])
    p50, p95, p99 = (float(one) for one in np.percentile(waits, [50, 95, 99]))
    allocated = _allocated(outcome, queue)
    held = math.fsum(record.held_s * job.quanta for job, record in mine)
    lost = math.fsum(record.lost_s * job.quanta for job, record in mine)
    goodput = max(0.0, 1 - lost / held) if held else 1.0
    return {
        "num_jobs": len(done),
        "num_unfinished": len(mine) - len(done),
        "avg_jct_s": _mean([record.end_s - record.submit_s for record in done]),
        "avg_wait_s": float(waits.mean()),
        "p50_wait_s": p50,
        "p95_wait_s": p95,
        "p99_wait_s": p99,
        "makespan_s": _makespan(done),
        "gpu_utilization_fraction": allocated * goodput,
        "gpu_allocation_fraction": allocated,
        "goodput_fraction": goodput,
        "num_preemptions": sum(record.num_preemptions for _, record in mine),
        "num_interruptions": sum(record.num_interruptions for _, record in mine),
        "num_guarantees_broken": None,
        **bill._asdict(),
    }


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


def _groups_of(outcome: Outcome, partition: str) -> list[NodeGroup]:
    """Return the nodes of a partition: those of a queue, or all of one kind when queues share."""
    shared = {"all-gpus": True, "all-cpus": False}
    own = [g for g in outcome.cluster.groups if g.queue == partition]
    if own or partition not in shared:
        return own
    return [g for g in outcome.cluster.groups if bool(g.gpus_per_node) == shared[partition]]


def _hours(outcome: Outcome) -> tuple[HourlyQueue, ...]:
    found = []
    for name in outcome.usage.queues:
        groups = _groups_of(outcome, name)
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


def _bills(outcome: Outcome, power: Power | None) -> Mapping[str, _Bill]:
    """Return energy, cost and carbon of each queue; they sum to the facility's.

    A queue pays for the nodes that it owns, idle or busy; queues that share nodes pay for them by
    what they held. What storage, network and management draw is shared in proportion to that.
    """
    queues = tuple(dict.fromkeys(job.queue for job in outcome.jobs))
    bills = dict.fromkeys(queues, _Bill(0.0, 0.0, 0.0))
    if power is None or not queues:
        return bills
    for name in outcome.usage.queues:
        groups = _groups_of(outcome, name)
        payers = tuple(q for q in queues if any(g.queue == q for g in groups)) or queues
        held = {queue: _held_quanta_s(outcome, queue) for queue in payers}
        _charge(bills, _hourly_bill(outcome, power, name, 0.0), held)
    drawn = {queue: bill.energy_j for queue, bill in bills.items()}
    _charge(bills, _hourly_bill(outcome, power, "", power.other_power_w), drawn)
    return bills


def _idle_bill(outcome: Outcome, power: Power | None) -> _Bill:
    """Return what a centre without jobs takes; there is no queue to book it on."""
    if power is None:
        return _Bill(0.0, 0.0, 0.0)
    parts = [_hourly_bill(outcome, power, name, 0.0) for name in outcome.usage.queues]
    parts.append(_hourly_bill(outcome, power, "", power.other_power_w))
    return _Bill(*(math.fsum(column) for column in zip(*parts, strict=True)))


def _charge(bills: dict[str, _Bill], bill: _Bill, shares: Mapping[str, float]) -> None:
    """Add a bill to those of the queues by their shares; evenly when all are zero."""
    whole = math.fsum(shares.values())
    for queue, share in shares.items():
        part = share / whole if whole else 1 / len(shares)
        sums = (mine + part * more for mine, more in zip(bills[queue], bill, strict=True))
        bills[queue] = _Bill(*sums)


def _held_quanta_s(outcome: Outcome, queue: str) -> float:
    return math.fsum(
        record.held_s * job.quanta
        for job, record in zip(outcome.jobs, outcome.records, strict=True)
        if job.queue == queue
    )


def _hourly_bill(outcome: Outcome, power: Power, partition: str, steady_w: float) -> _Bill:
    """Return what a partition's nodes, or something that draws steadily, cost hour by hour."""
    hours = max(1, math.ceil(outcome.end_s / SECONDS_PER_HOUR))
    lasts = np.full(hours, SECONDS_PER_HOUR)
    lasts[-1] = outcome.end_s - (hours - 1) * SECONDS_PER_HOUR
    joules = steady_w * lasts
    groups = _groups_of(outcome, partition)
    total = sum(g.num_nodes * g.quanta for g in groups)
    if total:
        nameplate = sum(g.num_nodes * g.node_power_w for g in groups)
        used = outcome.usage.quanta_s(partition)[:hours] / total
        used = np.pad(used, (0, hours - used.size))
        step = power.busy_fraction - power.idle_fraction
        joules = joules + nameplate * (power.idle_fraction * lasts + step * used)
    joules = joules * power.pue_ratio
    price = np.resize(np.array(power.price_usd_per_j), hours)
    carbon = np.resize(np.array(power.carbon_g_per_j), hours)
    return _Bill(float(joules.sum()), float(joules @ price), float(joules @ carbon))
