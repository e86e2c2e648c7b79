"""A workload model fitted to a trace: when jobs come, in which batches, how large and how long.

Batches (jobs of one user and queue, of one size, submitted within a minute of each other) arrive
by an inhomogeneous Poisson process: a rate for each hour of the week, times a multiplier that
wanders from hour to hour and so makes bursts. A batch takes its kind - user, queue, size, priority
- as often as the trace has it, and its number of jobs from the batches of that kind. Durations are
drawn from the kind's own distribution of logarithms, smoothed by what is usual for its size, and
jobs of one batch resemble each other as much as they do in the trace.

The model is plain data: it can be written as JSON and read back, and does not hold the trace.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.job import Job
from clusterwright.traces.summary import size_of
from clusterwright.units import SECONDS_PER_HOUR, Count, Fraction, PerSecond, Ratio, Seconds

HOURS_PER_WEEK = 168

_BATCH_GAP_S = 60.0
_NUM_KNOTS = 33  # quantiles of a kind's durations, ends included
_PRIOR_BATCHES = 20.0  # batches that the usual day weighs against the hour's own count
_NUM_REPEATS = 9  # quantiles of the number of jobs in a batch

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Batches of one user, queue, size and priority."""

    queue: str
    """Queue."""
    user: str
    """User; empty where the trace names none."""
    num_gpus_ratio: Ratio
    """Accelerators of one job."""
    num_cpus: int
    """Cores of one job."""
    priority: int
    """Priority."""
    num_batches: int
    """Batches of the trace that are of this kind; how often it is drawn."""
    num_jobs_of_batch: tuple[Count, ...]
    """Quantiles of the number of jobs in one batch, evenly spaced from least to most."""
    gap_s: Seconds
    """Mean time between the jobs of one batch."""
    log_durations: tuple[Ratio, ...]
    """Quantiles of the logarithm of one more than the duration in seconds, evenly spaced."""
    smoothing_ratio: Ratio
    """Standard deviation by which a drawn logarithm is moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload model; `fit` makes one."""

    num_jobs: int
    """Jobs of the trace that it was fitted to."""
    span_s: Seconds
    """Time that the trace covers."""
    batches_per_s: tuple[PerSecond, ...]
    """Arrivals of batches by hour of the week, the trace's start being the first hour."""
    burst_spread_ratio: Ratio
    """Standard deviation of the logarithm of an hour's multiplier."""
    burst_memory_ratio: Ratio
    """Correlation of that logarithm with the one of the hour before."""
    likeness_fraction: Fraction
    """Share of the variance of log durations of a kind that lies between its batches."""
    kinds: tuple[Kind, ...]
    """What batches there are."""


def fit(jobs: Sequence[Job]) -> Workload:
    """Return the model of a trace.

    Raises
    ------
    InvalidInput
        If the trace has fewer than two jobs, or all come at one moment.
    """
    ordered = sorted(jobs, key=lambda job: job.submit_s)
    span = ordered[-1].submit_s - ordered[0].submit_s if ordered else 0.0
    if not span:
        message = f"{len(jobs)} jobs over {span:g} s say nothing about when jobs come"
        raise InvalidInput([Fault(message=message, remedy="give a trace with jobs over time")])
    # The last job is no boundary: on average one more gap passes before the next would come.
    span *= len(ordered) / (len(ordered) - 1)
    batches = _batches(ordered)
    starts = np.array([batch[0].submit_s - ordered[0].submit_s for batch in batches])
    rates = _rates(starts, span)
    spread, memory = _bursts(starts, span, rates)
    return Workload(
        num_jobs=len(ordered),
        span_s=span,
        batches_per_s=tuple(float(rate) for rate in rates),
        burst_spread_ratio=spread,
        burst_memory_ratio=memory,
        likeness_fraction=_likeness(batches),
        kinds=_kinds(batches),
    )


def to_json(workload: Workload) -> str:
    """Return a model as text."""
    return json.dumps({"kind": "Workload", **asdict(workload)}) + "\n"


def from_json(text: str, *, file: str) -> Workload:
    """Return the model of a text.

    Raises
    ------
    InvalidInput
        If it is none.
    """
    try:
        given: Mapping[str, Any] = json.loads(text)
        fields = {name: value for name, value in given.items() if name not in {"kind", "kinds"}}
        fields["batches_per_s"] = tuple(fields["batches_per_s"])
        kinds = tuple(
            Kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in one.items()})
            for one in given["kinds"]
        )
        return Workload(kinds=kinds, **fields)
    except (ValueError, TypeError, KeyError) as error:
        fault = Fault(
            file=file,
            message=f"is no workload model ({error!r})",
            remedy="`clusterwright trace generate --like TRACE --model FILE` writes one",
        )
        raise InvalidInput([fault]) from error


# --- fitting --------------------------------------------------------------------------------------


def _key(job: Job) -> tuple[str, str, float, int, int]:
    return job.queue, job.user, job.num_gpus_ratio, job.num_cpus, job.priority


def _batches(ordered: Sequence[Job]) -> list[list[Job]]:
    """Return jobs in batches, in the order of their first jobs."""
    batches: list[list[Job]] = []
    last: dict[tuple[str, str, float, int, int], list[Job]] = {}
    for job in ordered:
        batch = last.get(_key(job))
        if batch is None or job.submit_s - batch[-1].submit_s > _BATCH_GAP_S:
            batch = last[_key(job)] = []
            batches.append(batch)
        batch.append(job)
    return batches


def _rates(starts: Floats, span_s: float) -> Floats:
    """Return arrivals by hour of the week: the hour's own count, weighed against the usual day."""
    hours = (starts // SECONDS_PER_HOUR).astype(int) % HOURS_PER_WEEK
    counts = np.bincount(hours, minlength=HOURS_PER_WEEK).astype(float)
    exposure = _exposure(span_s)
    overall = counts.sum() / span_s
    by_hour = _ratio(counts, exposure, overall, axis=0)
    by_day = _ratio(counts, exposure, overall, axis=1)
    usual = overall * by_day[:, None] * by_hour[None, :]
    usual *= counts.sum() / max((usual.ravel() * exposure).sum(), 1e-12)
    prior_s = _PRIOR_BATCHES / np.maximum(usual.ravel(), overall * 1e-3)
    return (counts + usual.ravel() * prior_s) / (exposure + prior_s)


def _exposure(span_s: float) -> Floats:
    """Return the seconds of each hour of the week that a span covers."""
    edges = np.arange(math.ceil(span_s / SECONDS_PER_HOUR))
    held = np.minimum(SECONDS_PER_HOUR, span_s - edges * SECONDS_PER_HOUR)
    return np.bincount(edges % HOURS_PER_WEEK, weights=held, minlength=HOURS_PER_WEEK)


def _ratio(counts: Floats, exposure: Floats, overall: float, *, axis: int) -> Floats:
    """Return rates of the hours of the day (axis 0) or days (axis 1) against the mean."""
    expected = (exposure * overall).reshape(7, 24).sum(axis=axis)
    # Twenty batches at the mean rate keep a day or an hour without data at the mean.
    seen = counts.reshape(7, 24).sum(axis=axis) + _PRIOR_BATCHES
    return np.asarray(seen / (expected + _PRIOR_BATCHES))


def _bursts(starts: Floats, span_s: float, rates: Floats) -> tuple[float, float]:
    """Return spread and memory of the hourly multiplier, from what Poisson counts do not explain.

    With counts N of mean E times a multiplier M of mean 1: Var(N / E) = Var(M) + 1 / E.
    """
    whole = int(span_s // SECONDS_PER_HOUR)
    if whole < 3:
        return 0.0, 0.0
    counts = np.bincount((starts // SECONDS_PER_HOUR).astype(int), minlength=whole)[:whole]
    expected = rates[np.arange(whole) % HOURS_PER_WEEK] * SECONDS_PER_HOUR
    weight = expected / expected.sum()
    excess = counts / expected - 1.0
    variance = float((weight * (excess**2 - 1.0 / expected)).sum())
    if variance <= 0:
        return 0.0, 0.0
    both = np.sqrt(weight[1:] * weight[:-1])
    covariance = float((both * excess[1:] * excess[:-1]).sum() / both.sum())
    spread = math.log1p(variance)
    memory = math.log1p(max(covariance, 0.0)) / spread
    return math.sqrt(spread), min(memory, 0.99)


def _likeness(batches: Sequence[Sequence[Job]]) -> float:
    """Return the share of the variance of log durations, within kinds, that is between batches."""
    several = [batch for batch in batches if len(batch) > 1]
    if not several:
        return 0.0
    logs = {id(batch): _logs(batch) for batch in several}
    by_kind: dict[tuple[str, str, float, int, int], list[Floats]] = {}
    for batch in several:
        by_kind.setdefault(_key(batch[0]), []).append(logs[id(batch)])
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in logs.values())
    free_within = sum(len(one) - 1 for one in logs.values())
    total, free = 0.0, 0
    for some in by_kind.values():
        every = np.concatenate(some)
        total += float(((every - every.mean()) ** 2).sum())
        free += len(every) - 1
    if not total:
        return 0.0
    return min(max(1.0 - (within / free_within) / (total / free), 0.0), 1.0)


def _kinds(batches: Sequence[Sequence[Job]]) -> tuple[Kind, ...]:
    by_kind: dict[tuple[str, str, float, int, int], list[Sequence[Job]]] = {}
    by_size: dict[str, list[float]] = {}
    for batch in batches:
        by_kind.setdefault(_key(batch[0]), []).append(batch)
        by_size.setdefault(size_of(batch[0]), []).extend(_logs(batch))
    spread = {name: float(np.std(logs)) for name, logs in by_size.items()}
    kinds = []
    for key, some in by_kind.items():
        queue, user, gpus, cpus, priority = key
        logs = np.concatenate([_logs(batch) for batch in some])
        gaps = [
            batch[n + 1].submit_s - batch[n].submit_s for batch in some for n in range(len(batch) - 1)
        ]
        kinds.append(
            Kind(
                queue=queue,
                user=user,
                num_gpus_ratio=gpus,
                num_cpus=cpus,
                priority=priority,
                num_batches=len(some),
                num_jobs_of_batch=_quantiles([float(len(batch)) for batch in some], _NUM_REPEATS),
                gap_s=float(np.mean(gaps)) if gaps else 0.0,
                log_durations=_quantiles(logs, _NUM_KNOTS),
                # Silverman's rule; few jobs borrow the spread that is usual for their size.
                smoothing_ratio=0.9 * spread[size_of(some[0][0])] * len(logs) ** -0.2 / 4.0,
            )
        )
    return tuple(kinds)


def _logs(batch: Sequence[Job]) -> Floats:
    return np.log1p(np.array([job.duration_s for job in batch]))


def _quantiles(values: Sequence[float] | Floats, most: int) -> tuple[float, ...]:
    """Return evenly spaced quantiles, no more than there are values."""
    at = np.linspace(0.0, 1.0, min(most, len(values))) if len(values) > 1 else np.array([0.5])
    return tuple(float(value) for value in np.quantile(np.asarray(values), at))
