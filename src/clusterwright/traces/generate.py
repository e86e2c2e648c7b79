"""Jobs drawn from a workload model: as many, as long and as large as asked for, by a seed."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from clusterwright.errors import UsageError
from clusterwright.model.job import Job
from clusterwright.traces.workload import HOURS_PER_WEEK, Floats, Kind, Workload
from clusterwright.units import SECONDS_PER_HOUR

Whole = NDArray[np.int64]

_MORE = 1.1  # how much more is drawn than is asked for, so that jobs can be left out


def generate(
    workload: Workload,
    *,
    rng: np.random.Generator,
    num_jobs: int | None = None,
    span_s: float | None = None,
    rate_ratio: float = 1.0,
    size_ratio: float = 1.0,
) -> tuple[Job, ...]:
    """Return jobs of a workload, in the order of their submission.

    Parameters
    ----------
    workload
        The model.
    rng
        Source of all draws.
    num_jobs
        Jobs, exactly; without a span they come at the trace's rate and take the time they need.
    span_s
        Time in which they come; the trace's own when neither is given.
    rate_ratio
        Arrivals against the trace's.
    size_ratio
        Accelerators of a job against the trace's, rounded to whole ones; shares of one stay.

    Raises
    ------
    UsageError
        If a number is not above zero, or number, span and rate contradict each other.
    """
    given = {"number of jobs": num_jobs, "time": span_s, "scale": rate_ratio}
    for name, value in {**given, "scale of sizes": size_ratio}.items():
        if value is not None and not 0 < value < math.inf:
            msg = f"{name} {value:g}: must be above zero"
            raise UsageError(msg)
    if num_jobs and span_s and rate_ratio != 1.0:
        msg = "number of jobs, time and scale are one too many: two of them give the third"
        raise UsageError(msg)
    usual = workload.num_jobs / workload.span_s
    if num_jobs is None:
        span = span_s or workload.span_s
        return _jobs(workload, rng, span, rate_ratio, size_ratio, None)
    span = span_s or num_jobs / (usual * rate_ratio)
    return _jobs(workload, rng, span, num_jobs / (usual * span), size_ratio, num_jobs)


def _jobs(
    workload: Workload,
    rng: np.random.Generator,
    span_s: float,
    rate_ratio: float,
    size_ratio: float,
    num_jobs: int | None,
) -> tuple[Job, ...]:
    wanted = rate_ratio if num_jobs is None else rate_ratio * _MORE
    while True:
        submits, durations, kinds = _draw(workload, rng, span_s, wanted)
        if num_jobs is None or len(submits) >= num_jobs:
            break
        wanted *= _MORE
    if num_jobs is not None:
        kept = np.sort(rng.choice(len(submits), num_jobs, replace=False))
        submits, durations, kinds = submits[kept], durations[kept], kinds[kept]
    gpus = [_scaled(kind, size_ratio) for kind in workload.kinds]
    width = max(6, len(str(len(submits))))
    return tuple(
        Job(
            job_id=f"g{n:0{width}}",
            queue=workload.kinds[kind].queue,
            user=workload.kinds[kind].user,
            submit_s=submit,
            duration_s=duration,
            num_gpus_ratio=gpus[kind],
            num_cpus=workload.kinds[kind].num_cpus,
            priority=workload.kinds[kind].priority,
        )
        for n, (submit, duration, kind) in enumerate(
            zip(submits.tolist(), durations.tolist(), kinds.tolist(), strict=True), 1
        )
    )


def _scaled(kind: Kind, size_ratio: float) -> float:
    if kind.num_gpus_ratio < 1 or size_ratio == 1.0:
        return kind.num_gpus_ratio
    return float(max(1, round(kind.num_gpus_ratio * size_ratio)))


def _draw(
    workload: Workload, rng: np.random.Generator, span_s: float, rate_ratio: float
) -> tuple[Floats, Floats, Whole]:
    """Return submissions, durations and kinds of jobs, each of shape (num_jobs,)."""
    # 1. Batches: how many in each hour, when, and of which kind.
    starts = _starts(workload, rng, span_s, rate_ratio)
    weights = np.array([kind.num_batches for kind in workload.kinds], dtype=float)
    kind_of: Whole = rng.choice(len(weights), len(starts), p=weights / weights.sum())
    sizes = np.ones(len(starts), dtype=int)
    for kind, rows in _rows_of(kind_of):
        counts = workload.kinds[kind].num_jobs_of_batch
        chances = np.array(list(counts.values()), dtype=float)
        sizes[rows] = rng.choice([int(n) for n in counts], len(rows), p=chances / chances.sum())
    # 2. Jobs of the batches: after the first of a batch each comes some gap later.
    batch = np.repeat(np.arange(len(starts)), sizes)
    kinds = kind_of[batch]
    gaps = np.zeros(len(batch))
    for kind, rows in _rows_of(kinds):
        usual = workload.kinds[kind].gaps_s
        gaps[rows] = rng.choice(usual, len(rows)) if usual else 0.0
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
    gaps[firsts[firsts < len(gaps)]] = 0.0
    since = np.cumsum(gaps)
    submits = starts[batch] + since - since[firsts][batch] if len(batch) else starts
    # 3. Durations: what a batch has in common, and what each job has for itself.
    common = math.sqrt(workload.likeness_fraction) * rng.standard_normal(len(starts))
    own = math.sqrt(1.0 - workload.likeness_fraction) * rng.standard_normal(len(batch))
    chance, moved = ndtr(common[batch] + own), rng.standard_normal(len(batch))
    durations = np.zeros(len(batch))
    for kind, rows in _rows_of(kinds):
        durations[rows] = _durations(workload.kinds[kind], chance[rows], moved[rows])
    inside = submits < span_s
    submits, durations, kinds = submits[inside], durations[inside], kinds[inside]
    order = np.argsort(submits, kind="stable")
    return np.floor(submits[order]), np.round(durations[order]), kinds[order]


def _starts(
    workload: Workload, rng: np.random.Generator, span_s: float, rate_ratio: float
) -> Floats:
    """Return when batches come, hour by hour."""
    num_hours = math.ceil(span_s / SECONDS_PER_HOUR)
    rates = np.array(workload.batches_per_s)[np.arange(num_hours) % HOURS_PER_WEEK]
    expected = rates * SECONDS_PER_HOUR * rate_ratio
    if workload.burst_ratios:
        busy = np.array(workload.burst_ratios)
        place = ndtr(_wander(workload.burst_memory_ratio, rng, num_hours))
        bursts = expected * busy[np.minimum((place * len(busy)).astype(int), len(busy) - 1)]
        # Bursts move arrivals, they do not add any: how many jobs come is the caller's to say.
        bursts = bursts * expected.sum() / bursts.sum() if bursts.any() else expected
        # The chance of counting is in the bursts already; what is left is the part of a batch.
        counts = np.floor(bursts + rng.random(num_hours)).astype(int)
    else:
        counts = rng.poisson(expected)
    hours = np.repeat(np.arange(num_hours), counts)
    starts = (hours + rng.random(len(hours))) * SECONDS_PER_HOUR
    return np.sort(starts[starts < span_s])


def _wander(memory: float, rng: np.random.Generator, num_hours: int) -> Floats:
    """Return a normal process of that correlation from one hour to the next."""
    state, step = float(rng.standard_normal()), math.sqrt(1.0 - memory**2)
    states = np.empty(num_hours)
    for hour, noise in enumerate(rng.standard_normal(num_hours)):
        states[hour] = state
        state = memory * state + step * noise
    return states


def _durations(kind: Kind, chance: Floats, moved: Floats) -> Floats:
    cells = np.searchsorted(kind.edges[1:-1], chance, side="right")
    # Lowered by half the variance, so that the mean duration, and with it the load, stays.
    factor = np.exp(kind.smoothing_ratio * moved - kind.smoothing_ratio**2 / 2)
    return np.asarray(np.array(kind.mean_durations_s)[cells] * factor)


def _rows_of(kinds: Whole) -> Sequence[tuple[int, Whole]]:
    """Return which rows are of which kind."""
    order = np.argsort(kinds, kind="stable")
    found, firsts = np.unique(kinds[order], return_index=True)
    parts = np.split(order, firsts[1:])
    return [(int(kind), rows) for kind, rows in zip(found, parts, strict=False)]
