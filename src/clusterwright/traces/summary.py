"""A trace in figures: how much, how large, how long, and whose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clusterwright.model.job import Job
from clusterwright.units import SECONDS_PER_HOUR, AcceleratorHours, Fraction, Ratio, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The jobs of one queue, user or size."""

    group: str
    """What they have in common: queue, user or size."""
    name: str
    """Which of them."""
    num_jobs: int
    """How many."""
    jobs_fraction: Fraction
    """Of all jobs."""
    accelerator_hours: AcceleratorHours
    """Accelerators times their durations."""
    accelerator_hours_fraction: Fraction
    """Of all; 0 where no job takes an accelerator."""
    p50_duration_s: Seconds
    """Median duration."""
    p95_duration_s: Seconds
    """95th percentile of the durations."""
    max_gpus_ratio: Ratio
    """Accelerators of the largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A whole trace."""

    num_jobs: int
    """Jobs."""
    num_cpu_jobs: int
    """Jobs that take no accelerator."""
    num_queues: int
    """Queues."""
    num_users: int
    """Users that are named."""
    span_s: Seconds
    """From the first submission to the last."""
    accelerator_hours: AcceleratorHours
    """Accelerators times their durations, all jobs together."""
    mean_busy_gpus_ratio: Ratio
    """Accelerators that would be busy on average over the span if no job waited."""
    p5_duration_s: Seconds
    """5th percentile of the durations; percentiles are linear ones."""
    p50_duration_s: Seconds
    """Median."""
    p95_duration_s: Seconds
    """95th percentile."""
    p99_duration_s: Seconds
    """99th percentile."""
    max_duration_s: Seconds
    """Longest."""


def summarise(jobs: Sequence[Job]) -> Summary:
    """Return a trace in figures; zeros when it has no job."""
    durations = np.array([job.duration_s for job in jobs] or [0.0])
    hours = _hours(jobs)
    submits = [job.submit_s for job in jobs] or [0.0]
    span = max(submits) - min(submits)
    p5, p50, p95, p99 = (float(value) for value in np.percentile(durations, (5, 50, 95, 99)))
    return Summary(
        num_jobs=len(jobs),
        num_cpu_jobs=sum(1 for job in jobs if not job.num_gpus_ratio),
        num_queues=len({job.queue for job in jobs}),
        num_users=len({job.user for job in jobs if job.user}),
        span_s=span,
        accelerator_hours=hours,
        mean_busy_gpus_ratio=hours * SECONDS_PER_HOUR / span if span else 0.0,
        p5_duration_s=p5,
        p50_duration_s=p50,
        p95_duration_s=p95,
        p99_duration_s=p99,
        max_duration_s=float(durations.max()),
    )


def shares(jobs: Sequence[Job], *, most_users: int = 20) -> list[Share]:
    """Return the jobs by queue, by user and by size.

    Parameters
    ----------
    jobs
        Jobs of a trace.
    most_users
        Users that are told, those with most accelerator time first; the rest are one row.
    """
    total = _hours(jobs)
    by_queue = _by(jobs, lambda job: job.queue)
    by_user = _by([job for job in jobs if job.user], lambda job: job.user)
    users = sorted(by_user, key=lambda name: (-_hours(by_user[name]), name))
    rest = [job for name in users[most_users:] for job in by_user[name]]
    by_size = _by(jobs, size_of)
    rows = [
        *(("size", name, by_size[name]) for name in sorted(by_size, key=_size_order)),
        *(("queue", name, by_queue[name]) for name in sorted(by_queue)),
        *(("user", name, by_user[name]) for name in users[:most_users]),
    ]
    if rest:
        rows.append(("user", f"{len(users) - most_users} others", rest))
    return [_share(group, name, some, len(jobs), total) for group, name, some in rows]


def size_of(job: Job) -> str:
    """Return the class of a job's size; accelerators double from one class to the next.

    Examples
    --------
    >>> size_of(Job(job_id="a", queue="q", submit_s=0, duration_s=1, num_gpus_ratio=24))
    '17-32'
    """
    gpus = job.num_gpus_ratio
    if not gpus:
        return "no accelerator"
    if gpus < 1:
        return "below 1"
    if gpus <= 2:
        return "1" if gpus == 1 else "2"
    upper = 1 << (int(np.ceil(gpus)) - 1).bit_length()
    return f"{upper // 2 + 1}-{upper}"


def _size_order(name: str) -> float:
    if name == "no accelerator":
        return -1.0
    return 0.5 if name == "below 1" else float(name.partition("-")[0])


def _by(jobs: Sequence[Job], key: Callable[[Job], str]) -> dict[str, list[Job]]:
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(key(job), []).append(job)
    return groups


def _hours(jobs: Sequence[Job]) -> float:
    return sum(job.num_gpus_ratio * job.duration_s for job in jobs) / SECONDS_PER_HOUR


def _share(group: str, name: str, jobs: Sequence[Job], num_all: int, total: float) -> Share:
    hours = _hours(jobs)
    p50, p95 = np.percentile([job.duration_s for job in jobs], (50, 95))
    return Share(
        group=group,
        name=name,
        num_jobs=len(jobs),
        jobs_fraction=len(jobs) / num_all,
        accelerator_hours=hours,
        accelerator_hours_fraction=hours / total if total else 0.0,
        p50_duration_s=float(p50),
        p95_duration_s=float(p95),
        max_gpus_ratio=max(job.num_gpus_ratio for job in jobs),
    )
