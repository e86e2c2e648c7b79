"""A workload model fitted to a trace: when jobs come, in which batches, how large and how long.

Batches (jobs of one user and queue, of one size, submitted within a minute of each other) arrive
at a rate for each hour of the week, times how calm or busy hours of the trace were against it: a
process that wanders from hour to hour and so makes bursts. A batch takes its kind (user, queue,
size, priority, and whether it is one job, some or many) as often as the trace has it. Durations
are drawn from the kind's own distribution, smoothed by what is usual for its size, and jobs of one
batch resemble each other as much as they do in the trace. Decision 0011 says why.

The model is plain data: it can be written as JSON and read back, and does not hold the trace.
"""

import itertools
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.special import ndtri
from scipy.stats import rankdata

from clusterwright.documents import API_VERSION
from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.job import Job
from clusterwright.traces.summary import size_of
from clusterwright.units import SECONDS_PER_HOUR, Fraction, PerSecond, Ratio, Seconds

HOURS_PER_WEEK = 168

_HEADER = {"apiVersion": API_VERSION, "kind": "Workload"}

_BATCH_GAP_S = 60.0
_EDGES = (
    *(n / 50 for n in range(48)),
    *(0.96 + n / 200 for n in range(6)),
    *(0.99 + n / 1000 for n in range(11)),
)  # probabilities between the cells of a kind's durations, closer in the tail that makes the load

_NUM_RATIOS = 201
_NUM_GAPS = 21
_MANY = (2, 8)  # jobs from which a batch counts as some, and as many
_LEAST_HOURS = 24  # hours of a trace from which bursts are told from chance
_PRIOR_BATCHES = 20.0  # batches that the usual day weighs against the hour's own count
_PRIOR_OF_DAY = 4.0  # batches that the mean weighs against an hour of the day, or a day

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Batches of one user, queue, size and priority, and of about as many jobs."""

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
    num_jobs_of_batch: Mapping[str, int]
    """How many of its batches have so many jobs, by the number of jobs."""
    gaps_s: tuple[Seconds, ...]
    """Times between jobs of one batch, each as usual as the others; empty for single jobs."""
    mean_durations_s: tuple[Seconds, ...]
    """Mean durations of the cells that its jobs fall into from short to long, or all of few."""
    smoothing_ratio: Ratio
    """Standard deviation by which the logarithm of a drawn duration is moved."""

    @property
    def edges(self) -> Floats:
        """Return the probabilities between the cells, 0 and 1 included."""
        number = len(self.mean_durations_s)
        return np.array(_EDGES) if number == len(_EDGES) - 1 else np.linspace(0.0, 1.0, number + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload model; `fit` makes one."""

    num_jobs: int
    """Jobs of the trace that it was fitted to."""
    span_s: Seconds
    """Time that the trace covers."""
    batches_per_s: tuple[PerSecond, ...]
    """Arrivals of batches by hour of the week; the first begins where submissions are 0."""
    burst_ratios: tuple[Ratio, ...]
    """Arrivals of an hour against its rate, from calm to busy, each as usual as the others; empty
    for a trace of less than a day, whose arrivals are left to chance."""
    burst_memory_ratio: Ratio
    """Correlation of an hour's place among them with that of the hour before, as normal scores."""
    likeness_fraction: Fraction
    """Share of the variance of log durations of a kind that lies between its batches."""
    kinds: tuple[Kind, ...]
    """What batches there are."""


def fit(jobs: Sequence[Job], *, file: str = "-") -> Workload:
    """Return the model of a trace; the file is for messages.

    Raises
    ------
    InvalidInput
        If the trace has fewer than two jobs, or all come at one moment.
    """
    ordered = sorted(jobs, key=lambda job: job.submit_s)
    span = ordered[-1].submit_s - ordered[0].submit_s if ordered else 0.0
    if not span:
        message = f"{len(jobs)} jobs over {span:g} s say nothing about when jobs come"
        remedy = "give a trace with jobs over time"
        raise InvalidInput([Fault(file=file, message=message, remedy=remedy)])
    # The last job is no boundary: on average one more gap passes before the next would come.
    span *= len(ordered) / (len(ordered) - 1)
    batches = _batches(ordered)
    starts = np.array([batch[0].submit_s for batch in batches])
    exposure = _exposure(ordered[0].submit_s, span)
    rates = _rates(starts, exposure)
    ratios, memory = _bursts(starts, exposure, rates)
    return Workload(
        num_jobs=len(ordered),
        span_s=span,
        batches_per_s=tuple(float(rate) for rate in rates),
        burst_ratios=ratios,
        burst_memory_ratio=memory,
        likeness_fraction=_likeness(batches),
        kinds=_kinds(batches),
    )


def to_json(workload: Workload) -> str:
    """Return a model as text."""
    return json.dumps({**_HEADER, **asdict(workload)}) + "\n"


def is_model(text: str) -> bool:
    """Return whether a text looks like a model, and not like a trace."""
    head = text[:200]
    return f'"{API_VERSION}"' in head and f'"{_HEADER["kind"]}"' in head


def from_json(text: str, *, file: str) -> Workload:
    """Return the model of a text.

    Raises
    ------
    InvalidInput
        If it is none.
    """
    try:
        given = json.loads(text)
        fields = {name: value for name, value in given.items() if name not in _HEADER}
        found: Workload = TypeAdapter(Workload).validate_python(
            fields, context={"written_by": "machine"}
        )
    except (ValueError, TypeError, AttributeError) as error:
        fault = Fault(
            file=file,
            message=f"is no workload model ({str(error).splitlines()[0]})",
            remedy="`clusterwright trace generate --like TRACE --model FILE` writes one",
        )
        raise InvalidInput([fault]) from error
    return found


# --- fitting --------------------------------------------------------------------------------------


_Key = tuple[str, str, float, int, int]


def _key(job: Job) -> _Key:
    return job.queue, job.user, job.num_gpus_ratio, job.num_cpus, job.priority


def _batches(ordered: Sequence[Job]) -> list[list[Job]]:
    """Return jobs in batches, in the order of their first jobs."""
    batches: list[list[Job]] = []
    last: dict[_Key, list[Job]] = {}
    for job in ordered:
        batch = last.get(_key(job))
        if batch is None or job.submit_s - batch[-1].submit_s > _BATCH_GAP_S:
            batch = last[_key(job)] = []
            batches.append(batch)
        batch.append(job)
    return batches


def _kind_of(batch: Sequence[Job]) -> tuple[_Key, int]:
    """Return what makes a batch like others; many jobs at once last otherwise than single ones."""
    return _key(batch[0]), sum(len(batch) >= least for least in _MANY)


def _exposure(first_s: float, span_s: float) -> Floats:
    """Return the seconds that a span covers of each hour since 0 of the trace."""
    edges = np.arange(math.ceil((first_s + span_s) / SECONDS_PER_HOUR) + 1) * SECONDS_PER_HOUR
    return np.asarray(np.diff(np.clip(edges, first_s, first_s + span_s)))


def _rates(starts: Floats, exposure: Floats) -> Floats:
    """Return arrivals by hour of the week: the hour's own count, weighed against the usual day."""
    hours = np.arange(len(exposure)) % HOURS_PER_WEEK
    held = np.bincount(hours, weights=exposure, minlength=HOURS_PER_WEEK).astype(float)
    counts = _weekly(starts).astype(float)
    overall = counts.sum() / held.sum()
    by_hour = _ratio(counts, held, overall, axis=0)
    by_day = _ratio(counts, held, overall, axis=1)
    usual = (overall * by_day[:, None] * by_hour[None, :]).ravel()
    usual *= counts.sum() / (usual * held).sum()
    prior_s = _PRIOR_BATCHES / usual
    rates = (counts + usual * prior_s) / (held + prior_s)
    return np.asarray(rates * counts.sum() / (rates * held).sum())


def _weekly(starts: Floats) -> Floats:
    hours = (starts // SECONDS_PER_HOUR).astype(int) % HOURS_PER_WEEK
    return np.bincount(hours, minlength=HOURS_PER_WEEK).astype(float)


def _ratio(counts: Floats, exposure: Floats, overall: float, *, axis: int) -> Floats:
    """Return rates of the hours of the day (axis 0) or days (axis 1) against the mean."""
    expected = (exposure * overall).reshape(7, 24).sum(axis=axis)
    # A few batches at the mean rate keep a day or an hour without data at the mean.
    seen = counts.reshape(7, 24).sum(axis=axis) + _PRIOR_OF_DAY
    return np.asarray(seen / (expected + _PRIOR_OF_DAY))


def _bursts(starts: Floats, exposure: Floats, rates: Floats) -> tuple[tuple[float, ...], float]:
    """Return the hours' arrivals against what was expected, and how much an hour is like the last.

    The memory is the correlation of normal scores, so that it holds for any distribution.
    """
    whole = exposure >= SECONDS_PER_HOUR
    if whole.sum() < _LEAST_HOURS:
        return (), 0.0
    hours = (starts // SECONDS_PER_HOUR).astype(int)
    counts = np.bincount(hours, minlength=len(exposure))[: len(exposure)][whole]
    usual = rates[np.arange(len(exposure)) % HOURS_PER_WEEK][whole] * SECONDS_PER_HOUR
    ratios = counts / usual
    at = np.linspace(0.0, 1.0, min(len(ratios), _NUM_RATIOS))
    told = np.quantile(ratios, at, method="inverted_cdf")
    scores = ndtri(rankdata(ratios) / (len(ratios) + 1.0))
    spread = float((scores**2).mean())
    memory = float((scores[1:] * scores[:-1]).mean()) / spread if spread else 0.0
    return tuple(float(ratio) for ratio in told), min(max(memory, 0.0), 0.99)


def _likeness(batches: Sequence[Sequence[Job]]) -> float:
    """Return the share of the variance of log durations, within kinds, that is between batches."""
    several = [batch for batch in batches if len(batch) > 1]
    if not several:
        return 0.0
    logs = {id(batch): _logs(batch) for batch in several}
    by_kind: dict[tuple[_Key, int], list[Floats]] = {}
    for batch in several:
        by_kind.setdefault(_kind_of(batch), []).append(logs[id(batch)])
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
    by_kind: dict[tuple[_Key, int], list[Sequence[Job]]] = {}
    by_size: dict[str, list[float]] = {}
    for batch in batches:
        by_kind.setdefault(_kind_of(batch), []).append(batch)
        by_size.setdefault(size_of(batch[0]), []).extend(_logs(batch))
    spread = {name: float(np.std(logs)) for name, logs in by_size.items()}
    kinds = []
    for (key, _), some in by_kind.items():
        queue, user, gpus, cpus, priority = key
        durations = np.sort([job.duration_s for batch in some for job in batch])
        gaps = [
            batch[n + 1].submit_s - batch[n].submit_s
            for batch in some
            for n in range(len(batch) - 1)
        ]
        kinds.append(
            Kind(
                queue=queue,
                user=user,
                num_gpus_ratio=gpus,
                num_cpus=cpus,
                priority=priority,
                num_batches=len(some),
                num_jobs_of_batch={str(n): c for n, c in sorted(Counter(map(len, some)).items())},
                gaps_s=_gaps(gaps),
                mean_durations_s=_cells(durations),
                # A third of Silverman's rule, so that tails stay; kinds with few jobs borrow a
                # little of the spread that is usual for their size.
                smoothing_ratio=0.3 * spread[size_of(some[0][0])] * len(durations) ** -0.2,
            )
        )
    return tuple(kinds)


def _logs(batch: Sequence[Job]) -> Floats:
    return np.asarray(np.log1p([job.duration_s for job in batch]))


def _cells(durations: Floats) -> tuple[float, ...]:
    """Return the mean duration of each cell, so that the mean of all is kept; few stay as they are.

    Between two quantiles of a heavy tail a line in logarithms would lose load.
    """
    if len(durations) < len(_EDGES) - 1:
        return tuple(float(one) for one in durations)
    bounds = np.round(np.array(_EDGES) * len(durations)).astype(int)
    return tuple(
        float(durations[min(low, high - 1) : high].mean()) if high else float(durations[0])
        for low, high in itertools.pairwise(bounds)
    )


def _gaps(gaps: Sequence[float]) -> tuple[float, ...]:
    """Return times between jobs, no more than some quantiles of them."""
    if not gaps:
        return ()
    at = np.linspace(0.0, 1.0, _NUM_GAPS)
    return tuple(float(gap) for gap in np.quantile(gaps, at, method="inverted_cdf"))
