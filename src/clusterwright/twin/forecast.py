"""When waiting jobs will start: the twin goes on from a picture again and again, under luck drawn.

In each sample every job that runs or waits gets a run time, drawn from what is expected of it given
how long it has run; later arrivals are days of the recent past drawn over again, where the policy
lets later jobs delay earlier ones; lost nodes come back, and others are lost, as the failures say.
What only the twin knows, true durations, is never read, unless the policy orders by it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clusterwright import compute
from clusterwright.learn import Outlook
from clusterwright.learn.outlook import EDGES_S, NUM_BINS
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Job, Reason
from clusterwright.model.policy import Policy
from clusterwright.sched import Picture
from clusterwright.sched.picture import RunningJob
from clusterwright.sched.state import Rate
from clusterwright.twin.failures import Failures, stream
from clusterwright.twin.kernel import Setting, starts_from
from clusterwright.units import SECONDS_PER_DAY, Fraction, Seconds

Column = npt.NDArray[np.float64]
_HELD = (Reason.HELD_BY_USER, Reason.HELD_BY_ADMIN)
_LONGEST_S = 60 * SECONDS_PER_DAY  # what has not started by then has no time
_ARRIVAL_DAYS = 14  # days that are drawn over again; after them nobody comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A job with what is expected of its run time."""

    job: Job
    """The job."""
    outlook: Outlook
    """How long it will run in all; its duration is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartForecast:
    """When a waiting job will start."""

    job: str
    """The job."""
    samples_s: tuple[Seconds, ...]
    """The start in each sample, ascending; infinity where it did not start."""

    def quantile_s(self, fraction: Fraction) -> Seconds:
        """Return the time by which the job has started with this chance; infinity for never.

        The k-th of n samples stands for k / (n + 1), so that a new draw falls below it with just
        that chance.
        """
        samples = self.samples_s
        place = fraction * (len(samples) + 1) - 1
        low = min(max(math.floor(place), 0), len(samples) - 1)
        high = min(low + 1, len(samples) - 1)
        if samples[high] == math.inf:
            return samples[low] if place <= low else math.inf
        part = min(max(place - low, 0.0), 1.0)
        return samples[low] + part * (samples[high] - samples[low])


class JobStart(NamedTuple):
    """One job of one future."""

    job: str
    """The job."""
    queue: str
    """Its queue."""
    coming: bool
    """True when it was submitted after the picture."""
    since_s: Seconds
    """Since when it waits, the picture at the earliest."""
    start_s: Seconds
    """When it starts; infinity when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Luck:
    """What is drawn."""

    num_samples: int = 40
    """How many futures."""
    seed: int = 0
    """Seed of all of them."""
    shared_fraction: Fraction = 0.8
    """Correlation, as normal scores, of run times within a batch: jobs of one queue, user, size and
    day. Near copies run alike, so what is expected of a batch is off for all of it at once."""


def forecast(
    seen: Picture,
    cluster: Cluster,
    known: Sequence[Expected],
    setting: Setting,
    *,
    recent: Sequence[Expected] = (),
    asked: Sequence[str] | None = None,
    luck: Luck | None = None,
    rate: Callable[[Sequence[Job]], Rate] | None = None,
) -> tuple[StartForecast, ...]:
    """Return when each waiting job will start.

    Parameters
    ----------
    seen
        The picture.
    cluster
        The nodes.
    known
        The jobs that wait and run in the picture, in the order in which its state numbered them,
        and any that are to be submitted later: a job that does not exist yet is asked about by
        putting it here, submitted just after the picture.
    setting
        Policy, sharing, failures; its horizon and seed are not looked at.
    recent
        Jobs submitted in the days before the picture, from which later arrivals are drawn; none
        are drawn where the policy lets no later job delay an earlier one.
    asked
        Names of the jobs to say it for; absent, all that wait and nobody holds.
    luck
        How many futures are drawn, and from what.
    rate
        As for `run`.

    Raises
    ------
    InvalidInput
        If the picture speaks of what there is not.
    """
    luck = luck or Luck()
    if asked is None:
        asked = _waiting(seen)
    if not asked:
        return ()
    if not _later_may_delay(setting, cluster, recent):
        recent = ()
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _, starts in _futures(
        seen, cluster, known, setting, recent=recent, luck=luck, rate=rate, asked=lambda _: asked
    ):
        for name, start_s in starts.items():
            found[name].append(start_s)
    return tuple(
        StartForecast(job=name, samples_s=tuple(sorted(samples))) for name, samples in found.items()
    )


def futures(
    seen: Picture,
    cluster: Cluster,
    known: Sequence[Expected],
    setting: Setting,
    *,
    recent: Sequence[Expected],
    until_s: Seconds,
    luck: Luck,
) -> Iterator[tuple[JobStart, ...]]:
    """Yield, future by future, when all start that wait or are submitted before a time.

    Run times and arrivals of the n-th future depend on the jobs given and on the luck alone, so two
    centres or two policies can be held against each other future by future, unless one of them
    `knows_run_times`.

    Parameters
    ----------
    seen, cluster, known, setting
        As for `forecast`.
    recent
        Jobs submitted in the days before the picture, from which arrivals are drawn.
    until_s
        Jobs submitted until then are told of, two weeks after the picture at most; others come
        after them.
    luck
        How many futures are drawn, and from what.

    Raises
    ------
    InvalidInput
        If the picture speaks of what there is not.
    """
    waiting = _waiting(seen)

    def asked(arrivals: Sequence[Job]) -> Sequence[str]:
        return [*waiting, *(job.job_id for job in arrivals if job.submit_s <= until_s)]

    for jobs, starts in _futures(
        seen, cluster, known, setting, recent=recent, luck=luck, rate=None, asked=asked
    ):
        yield tuple(
            JobStart(
                job.job_id,
                job.queue,
                job.submit_s > seen.at_s,
                max(job.submit_s, seen.at_s),
                starts[job.job_id],
            )
            for job in jobs
            if job.job_id in starts
        )


def _waiting(seen: Picture) -> list[str]:
    return [one.job for one in seen.waiting if one.gate not in _HELD]


def _futures(
    seen: Picture,
    cluster: Cluster,
    known: Sequence[Expected],
    setting: Setting,
    *,
    recent: Sequence[Expected],
    luck: Luck,
    rate: Callable[[Sequence[Job]], Rate] | None,
    asked: Callable[[Sequence[Job]], Sequence[str]],
) -> Iterator[tuple[list[Job], dict[str, float]]]:
    """Yield the jobs of each future, and when those start that are asked about."""
    drawn = _RunTimes(seen, known, setting.policy, luck)
    coming = _Arrivals(seen.at_s, recent, luck)
    for number in range(luck.num_samples):
        then, jobs = drawn.sample()
        arrivals = coming.sample()
        jobs = [*jobs, *arrivals]
        names = asked(arrivals)
        if not names:
            yield jobs, {}
            continue
        starts = starts_from(
            then,
            cluster,
            jobs,
            replace(setting, horizon_s=seen.at_s + _LONGEST_S, seed=luck.seed + number),
            names,
            repairs=_repairs(seen, setting.failures, luck.seed, number),
            rate=rate,
        )
        yield jobs, starts


class _RunTimes:
    """Run times of the jobs of a picture, drawn over again for each sample."""

    def __init__(
        self, seen: Picture, known: Sequence[Expected], policy: Policy, luck: Luck
    ) -> None:
        self._rng = stream(luck.seed, "forecast.run_times")
        self._shared = luck.shared_fraction
        self._seen = seen
        self._jobs = [one.job for one in known]
        self._certain = knows_run_times(policy)
        left_s = {one.job: one.left_s for one in seen.running}
        left_s |= {one.job: one.left_s for one in seen.waiting}
        running = {one.job: one for one in seen.running}
        done_s, least_s, outlooks = [], [], []
        for one in known:
            name = one.job.job_id
            left = left_s.get(name)
            # What it has saved is known, what is left of it is not.
            done_s.append(0.0 if left is None else one.job.duration_s - left)
            run = running.get(name)
            now_s = 0.0 if run is None else _worked_s(run, one.job, seen.at_s)
            least_s.append(done_s[-1] + now_s)
            outlooks.append(one.outlook.after(least_s[-1]) if least_s[-1] > 0.0 else one.outlook)
        self._done_s, self._least_s = np.array(done_s), np.array(least_s)
        self._draw = _Draw(outlooks)
        numbers: dict[tuple[object, ...], int] = {}
        self._batch = np.array(
            [numbers.setdefault(_batch(job), len(numbers)) for job in self._jobs], dtype=np.int64
        )
        self._num_batches = len(numbers)

    def sample(self) -> tuple[Picture, list[Job]]:
        """Return the picture and the jobs as they would be if their run times were these."""
        if self._certain:
            return self._seen, self._jobs
        times_s = self._times_s()
        jobs = [
            replace(job, duration_s=time_s)
            for job, time_s in zip(self._jobs, times_s.tolist(), strict=True)
        ]
        left = dict(
            zip((job.job_id for job in jobs), (times_s - self._done_s).tolist(), strict=True)
        )
        by_name = {job.job_id: job for job in jobs}
        running = tuple(
            _as_drawn(one, by_name[one.job], left[one.job]) for one in self._seen.running
        )
        waiting = tuple(
            one if one.left_s is None else replace(one, left_s=left[one.job])
            for one in self._seen.waiting
        )
        blind = any(job.estimate_s is None and job.time_limit_s is None for job in jobs)
        return replace(
            self._seen,
            running=running,
            waiting=waiting,
            # What was promised on true durations would give them away.
            promises=() if blind else self._seen.promises,
        ), jobs

    def _times_s(self) -> Column:
        rng, shared = self._rng, self._shared
        own = rng.standard_normal(len(self._jobs))
        together = rng.standard_normal(self._num_batches)[self._batch]
        score = math.sqrt(shared) * together + math.sqrt(1.0 - shared) * own
        found: Column = np.maximum(self._draw.times_s(_normal_cdf(score)), self._least_s + 1.0)
        return found


class _Draw:
    """Many outlooks, from each of which a run time is read off at a level of its own."""

    def __init__(self, outlooks: Sequence[Outlook]) -> None:
        shares = np.array([one.shares for one in outlooks]).reshape(len(outlooks), NUM_BINS)
        self._shares = shares
        self._upto = np.cumsum(shares, axis=1)
        self._log_edges = np.log(EDGES_S)

    def times_s(self, levels: Column) -> Column:
        """Return the run time of each outlook at its level, shape (num_outlooks,)."""
        if not levels.size:
            return levels
        step = (self._upto < levels[:, None]).sum(axis=1).clip(0, NUM_BINS - 1)
        rows = np.arange(levels.size)
        share = self._shares[rows, step]
        before = self._upto[rows, step] - share
        part = np.clip((levels - before) / np.where(share > 0, share, 1.0), 0.0, 1.0)
        low, high = self._log_edges[step], self._log_edges[step + 1]
        found: Column = np.exp(low + part * (high - low))
        return found


class _Arrivals:
    """Days of the recent past, drawn over again one after the other."""

    def __init__(self, at_s: float, recent: Sequence[Expected], luck: Luck) -> None:
        self._rng = stream(luck.seed, "forecast.arrivals")
        self._at_s = at_s
        self._days: list[list[Expected]] = []
        if recent:
            first = min(one.job.submit_s for one in recent)
            count = max(1, int((at_s - first) // SECONDS_PER_DAY))
            self._days = [[] for _ in range(count)]
            for one in recent:
                day = int((at_s - one.job.submit_s) // SECONDS_PER_DAY)
                if 0 <= day < count:
                    self._days[day].append(one)
        self._draws = [_Draw([one.outlook for one in day]) for day in self._days]

    def sample(self) -> list[Job]:
        """Return jobs to come."""
        found: list[Job] = []
        if not self._days:
            return found
        for ahead, day in enumerate(self._rng.integers(len(self._days), size=_ARRIVAL_DAYS)):
            # A day may have a time of its own, so whole days keep what is usual at each hour.
            shift_s = (int(day) + 1 + ahead) * SECONDS_PER_DAY
            levels = self._rng.random(len(self._days[day]))
            times_s = self._draws[day].times_s(levels).tolist()
            for one, time_s in zip(self._days[day], times_s, strict=True):
                submit_s = one.job.submit_s + shift_s
                begin_s, due_s = one.job.start_after_s, one.job.deadline_s
                job = replace(
                    one.job,
                    job_id=f"{one.job.job_id}+{ahead}",
                    submit_s=submit_s,
                    duration_s=time_s,
                    start_after_s=None if begin_s is None else begin_s + shift_s,
                    deadline_s=None if due_s is None else due_s + shift_s,
                    depends_on=(),
                    held=False,
                )
                if submit_s > self._at_s:
                    found.append(job)
        return found


def knows_run_times(policy: Policy) -> bool:
    """Return whether a policy orders by true durations: nothing is drawn of what it knows."""
    return bool({"duration", "remaining"} & set(policy.order))


def _later_may_delay(setting: Setting, cluster: Cluster, recent: Sequence[Expected]) -> bool:
    """Return whether a job may be delayed by one that is submitted after it."""
    policy = setting.policy
    alike = len({one.job.priority for one in recent}) <= 1
    in_turn = alike and policy.order in (("priority", "submitted"), ("submitted",))
    shares = (setting.pooled and bool(cluster.quotas)) or cluster.power_cap is not None
    return shares or not in_turn or policy.backfill != "none"


def _batch(job: Job) -> tuple[object, ...]:
    """Return what jobs have in common that are likely to be near copies."""
    size = job.num_gpus_ratio or -job.num_cpus
    return job.queue, job.user, size, job.submit_s // SECONDS_PER_DAY


def _worked_s(run: RunningJob, job: Job, now_s: float) -> float:
    """Return the work that a running job has done since it started."""
    before_s = run.lead_s + (job.restart_s if run.resumed else 0.0)
    return max(0.0, now_s - run.since_s - before_s) * run.rate_ratio


def _as_drawn(run: RunningJob, job: Job, left_s: float) -> RunningJob:
    """Return a running job as it would be if that much work had been left at its start."""
    end_s = run.end_s
    if job.estimate_s is None and job.time_limit_s is None:
        end_s = run.since_s + run.lead_s + left_s / run.rate_ratio
    return replace(run, end_s=end_s, left_s=None if run.left_s is None else left_s)


def _repairs(
    seen: Picture, failures: Failures | None, seed: int, number: int
) -> list[tuple[int, Seconds]]:
    """Return when each node that is down may be back; nobody knows which cause took it."""
    causes = [one for one in failures.causes if one.repair is not None] if failures else []
    if not causes or not seen.down:
        return []
    rng = stream(seed + number, "forecast.repairs")
    weights = np.array([one.per_gpu_day for one in causes])
    found = []
    for node in seen.down:
        repair = causes[int(rng.choice(len(causes), p=weights / weights.sum()))].repair
        assert repair is not None  # causes without one are left out above
        mu, sigma = compute.lognormal(repair)
        found.append((node, seen.at_s + math.exp(mu + sigma * float(rng.standard_normal()))))
    return found


def _normal_cdf(scores: Column) -> Column:
    return np.array([0.5 * (1.0 + math.erf(one / math.sqrt(2.0))) for one in scores.tolist()])
