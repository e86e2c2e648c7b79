"""From what became of each job to the figures that people ask for."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from clusterwright.model.run import HourlyQueue, QueueSummary, Run, RunSpec, RunStatus
from clusterwright.twin.bills import Bill, Meter, Power, groups_of
from clusterwright.twin.kernel import Outcome, Setting
from clusterwright.units import SECONDS_PER_HOUR, Seconds


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
    meter = Meter(outcome, power, sleep_after_s=setting.policy.sleep_after_s)
    bills = meter.queue_bills({q: table.held_quanta(q) for q in table.queues})
    shares = bills.values() or (meter.bill(),)
    whole = Bill(*(math.fsum(column) for column in zip(*shares, strict=True)))
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
            states=meter.states(),
            causes=tuple(outcome.causes),
            staging=outcome.staging,
        ),
    )


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

    def held_quanta(self, queue: str) -> float:
        """Return the quanta-seconds that a queue held."""
        return math.fsum(self.held_quanta_s[self.rows(queue)])


def _figures(outcome: Outcome, table: _Table, queue: str | None, bill: Bill) -> dict[str, Any]:
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


def _hours(outcome: Outcome) -> tuple[HourlyQueue, ...]:
    found = []
    for name in outcome.usage.queues:
        groups = groups_of(outcome, name)
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
