"""From what became of each job to the figures that people ask for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clusterwright.model.cluster import NodeGroup
from clusterwright.model.run import HourlyQueue, QueueSummary, Run, RunSpec, RunStatus
from clusterwright.twin.kernel import Outcome, Setting
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
    table = _Table(outcome)
    bills = _bills(outcome, table, power)
    shares = bills.values() or (_idle_bill(outcome, power),)
    whole = _Bill(*(math.fsum(column) for column in zip(*shares, strict=True)))
    everyone = _figures(outcome, table, None, whole)
    return Run(
        name=name,
        spec=RunSpec(
            policy=setting.policy.name,
            placement=setting.policy.placement,
            backfill=setting.policy.backfill,
            borrowing=setting.pooled,
            seed=setting.seed,
            span_s=outcome.end_s,
            hours=_hours(outcome),
            log_digest=outcome.log.digest(),
        ),
        items=tuple(
            QueueSummary(name=queue, **_figures(outcome, table, queue, bills[queue]))
            for queue in table.queues
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


class _Table:
    """The records in columns of shape (num_jobs,), and which jobs are of which queue."""

    def __init__(self, outcome: Outcome) -> None:
        records = outcome.records
        self.submit_s = records.submit_s
        self.end_s = records.end_s
        self.waited_s = records.waited_s
        self.held_quanta_s = records.held_quanta_s
        self.lost_quanta_s = records.lost_quanta_s
        self.preemptions = records.num_preemptions
        self.interruptions = records.num_interruptions
        self.on_gpus = np.array([job.num_gpus_ratio > 0 for job in outcome.jobs], dtype=bool)
        number: dict[str, int] = {}
        self._codes = np.array(
            [number.setdefault(job.queue, len(number)) for job in outcome.jobs], dtype=np.int64
        )
        self.queues = tuple(number)
        self._number = number

    def rows(self, queue: str | None) -> npt.NDArray[np.bool_]:
        """Return which jobs are of a queue; all without one."""
        if queue is None:
            return np.ones(self._codes.size, dtype=bool)
        found: npt.NDArray[np.bool_] = self._codes == self._number.get(queue, -1)
        return found


def _figures(outcome: Outcome, table: _Table, queue: str | None, bill: _Bill) -> dict[str, Any]:
    mine = table.rows(queue)
    done = mine & ~np.isnan(table.end_s)
    count = int(done.sum())
    waits = table.waited_s[done] if count else np.zeros(1)
    p50, p95, p99 = (float(one) for one in np.percentile(waits, [50, 95, 99]))
    allocated = _allocated(outcome, table, queue)
    held = math.fsum(table.held_quanta_s[mine])
    lost = math.fsum(table.lost_quanta_s[mine])
    goodput = max(0.0, 1 - lost / held) if held else 1.0
    ends, submits = table.end_s[done], table.submit_s[done]
    return {
        "num_jobs": count,
        "num_unfinished": int(mine.sum()) - count,
        "avg_jct_s": math.fsum(ends - submits) / count if count else 0.0,
        "avg_wait_s": float(waits.mean()),
        "p50_wait_s": p50,
        "p95_wait_s": p95,
        "p99_wait_s": p99,
        "makespan_s": float(ends.max() - submits.min()) if count else 0.0,
        "gpu_utilization_fraction": allocated * goodput,
        "gpu_allocation_fraction": allocated,
        "goodput_fraction": goodput,
        "num_preemptions": int(table.preemptions[mine].sum()),
        "num_interruptions": int(table.interruptions[mine].sum()),
        "num_guarantees_broken": _broken(outcome, queue),
        **bill._asdict(),
    }


def _broken(outcome: Outcome, queue: str | None) -> int | None:
    if outcome.broken is None:
        return None
    return sum(queue in (None, name) for name, _ in outcome.broken)


def _allocated(outcome: Outcome, table: _Table, queue: str | None) -> float:
    """Return the share of the accelerator-time that was granted, to all or to one queue."""
    groups = [g for g in outcome.cluster.groups if g.gpus_per_node]
    mine = [g for g in groups if queue is None or g.queue == queue] or groups
    capacity = sum(g.num_nodes * g.quanta for g in mine) * outcome.end_s
    if not capacity:
        return 0.0
    used = math.fsum(table.held_quanta_s[table.rows(queue) & table.on_gpus])
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


def _bills(outcome: Outcome, table: _Table, power: Power | None) -> Mapping[str, _Bill]:
    """Return energy, cost and carbon of each queue; they sum to the facility's.

    A queue pays for the nodes that it owns, idle or busy; queues that share nodes pay for them by
    what they held. What storage, network and management draw is shared in proportion to that.
    """
    queues = table.queues
    bills = dict.fromkeys(queues, _Bill(0.0, 0.0, 0.0))
    if power is None or not queues:
        return bills
    for name in outcome.usage.queues:
        groups = _groups_of(outcome, name)
        payers = tuple(q for q in queues if any(g.queue == q for g in groups)) or queues
        held = {q: math.fsum(table.held_quanta_s[table.rows(q)]) for q in payers}
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


def hourly_energy_j(
    outcome: Outcome, power: Power, partition: str, steady_w: float
) -> npt.NDArray[np.float64]:
    """Return what a partition's nodes and something that draws steadily take, shape (num_hours,).

    The facility's share is in it; the last hour ends with the run.
    """
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
    return np.asarray(joules * power.pue_ratio)


def _hourly_bill(outcome: Outcome, power: Power, partition: str, steady_w: float) -> _Bill:
    """Return what a partition's nodes, or something that draws steadily, cost hour by hour."""
    joules = hourly_energy_j(outcome, power, partition, steady_w)
    price = np.resize(np.array(power.price_usd_per_j), joules.size)
    carbon = np.resize(np.array(power.carbon_g_per_j), joules.size)
    return _Bill(float(joules.sum()), float(joules @ price), float(joules @ carbon))
