"""Jobs that wait for a better hour in a run: `sched.deferral` asked with what is known of each.

Nodes fail while a job waits, too, and where no spare stands in, repairs differ by more than their
mean tells. So time is kept free for as many failures as may come until the deadline, and for one
long repair.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from clusterwright.model.job import Job
from clusterwright.sched.deferral import Deferrable, decide, expected_loss_s, reserve_s
from clusterwright.sched.deferrals import Defer
from clusterwright.sched.prospect import Prospect
from clusterwright.twin.failures import Failures
from clusterwright.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, Fraction, Ratio


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deferral:
    """How jobs with a deadline wait."""

    prospect: Prospect
    """Price or carbon, and what of it is known when."""
    first_hour: int = 0
    """Hour of the series in which the run begins."""
    risk_fraction: Fraction
    """Chance of more failures than the time kept free holds."""
    error_fraction: Mapping[str, float] = field(default_factory=dict)
    """How far the run time of a user's jobs may be off before they have run; absent, not at all."""
    caution_ratio: Ratio = 1.0
    """How many times its cost a pause must be expected to save."""

    def on(
        self, jobs: Sequence[Job], failures: Failures | None, spared: Collection[str] = ()
    ) -> Defer:
        """Return the rule for the jobs of a run; `spared` are queues whose nodes have spares."""
        per_gpu_s, repair_s, long_s, swap_s = 0.0, 0.0, 0.0, 0.0
        if failures is not None:
            per_gpu_s = failures.per_gpu_day / SECONDS_PER_DAY
            repair_s, long_s, swap_s = failures.repair_s, failures.long_repair_s, failures.swap_s
        num_hours = self.prospect.price_usd_per_j.size

        def defer(
            job: int,
            now_s: float,
            *,
            left_s: float,
            due_s: float,
            started: bool,
            running: bool,
            restart_owed: bool,
        ) -> float | None:
            one = jobs[job]
            hour = self.first_hour + int(now_s // SECONDS_PER_HOUR)
            if hour >= num_hours:
                return None  # nothing is known of this hour, so none is better
            per_s = per_gpu_s * one.num_gpus_ratio
            away_s = swap_s if one.queue in spared else repair_s
            each_s = away_s + one.restart_s + (one.checkpoint_interval_s or 0.0) / 2
            kept_s = reserve_s(
                max(left_s, due_s),
                failures_per_s=per_s,
                each_s=each_s,
                risk_fraction=self.risk_fraction,
            )
            if kept_s and one.queue not in spared:
                kept_s += max(0.0, long_s - repair_s)
            error = 0.0 if started else self.error_fraction.get(one.user, 0.0)
            work = Deferrable(
                need_s=left_s,
                due_s=due_s,
                lost_s=expected_loss_s(left_s, failures_per_s=per_s, each_s=each_s),
                reserve_s=kept_s + left_s * error,
                interruptible=one.checkpoint_interval_s is not None,
                restart_s=0.0 if restart_owed else one.restart_s,
                started=started,
                running=running,
            )
            ahead = max(1, math.ceil(due_s / SECONDS_PER_HOUR))
            seen = self.prospect.seen(hour, ahead)
            decision = decide(work, seen, caution_ratio=self.caution_ratio)
            return None if decision.run else now_s + decision.until_s

        return defer
