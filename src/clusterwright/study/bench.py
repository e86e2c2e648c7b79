"""Where candidates are tried: periods of a trace, each run in the twin with what was known then.

A period ends when all of its jobs are through. Estimates of its jobs are learned from what had
ended before it began, in a run of the policy started from: a trace does not say how long its jobs
waited on these nodes. From that run a window also takes what waits and runs when it begins; whole
periods begin with empty nodes, as `simulate` does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from clusterwright import learn, sched, twin
from clusterwright.errors import UsageError
from clusterwright.learn import GUESSES, Guess, Past
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Job
from clusterwright.model.run import Run
from clusterwright.study.space import Candidate, Facts, aged_key
from clusterwright.study.wishes import Measured, measured_of
from clusterwright.twin import Outcome, Power, Setting
from clusterwright.units import SECONDS_PER_DAY, Seconds

_SETTLED_S: Seconds = 1.0  # after it what ran before has its place again


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """How jobs save their work where they may be stopped."""

    every_s: Seconds
    """Work between two checkpoints; 0 for none."""
    cost_s: Seconds
    """Time that one of them stops the work."""
    restart_s: Seconds
    """Time that a stopped job needs to go on."""

    def on(self, job: Job) -> Job:
        """Return a job that may be stopped."""
        return replace(
            job,
            preemptible=True,
            checkpoint_interval_s=self.every_s or None,
            checkpoint_stall_s=self.cost_s,
            restart_s=self.restart_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Jobs of a stretch of time, with what was known of them when it began."""

    from_s: Seconds
    """When it begins, on the clock of the trace."""
    to_s: Seconds
    """When it ends; its jobs may run on."""
    jobs: tuple[Job, ...]
    """Jobs submitted in it, on its own clock, by submission."""
    guesses: Mapping[Guess, tuple[float, ...]]
    """Estimates of its jobs by their kind, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobwise:
    """What became of each job of a run, as arrays of shape (num_jobs,)."""

    queues: tuple[str, ...]
    """Queue of each."""
    day: npt.NDArray[np.int64]
    """Day of its submission, from the first of the period."""
    wait_s: npt.NDArray[np.float64]
    """Its wait; nan where it was not through."""
    jct_s: npt.NDArray[np.float64]
    """Time from submission to end; nan where it was not through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run to be made."""

    candidate: Candidate
    """What decides."""
    period: int
    """On which period of the bench."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Nodes, rules and periods, the same for every candidate."""

    cluster: Cluster
    """The nodes."""
    lending: bool
    """True when queues lend each other nodes."""
    checkpoints: Checkpoints
    """How jobs save their work where they may be stopped."""
    power: Power | None
    """What the nodes draw; absent when nothing tells."""
    wake_s: Seconds
    """Time until a sleeping node takes work."""
    seed: int
    """Seed of the runs."""
    periods: tuple[Period, ...]
    """The periods."""

    @property
    def quotas(self) -> bool:
        """Whether queues take back what they are owed."""
        return self.lending and bool(self.cluster.quotas)

    def measure(self, task: Task) -> Measured:
        """Return the figures of a run."""
        return measured_of(self._summary(task)[0])

    def look(self, task: Task) -> tuple[Measured, Jobwise]:
        """Return the figures of a run, and what became of each job."""
        run, outcome = self._summary(task)
        records = outcome.records
        return measured_of(run), Jobwise(
            queues=tuple(job.queue for job in outcome.jobs),
            day=np.floor(records.submit_s / SECONDS_PER_DAY).astype(np.int64),
            wait_s=np.where(np.isnan(records.end_s), np.nan, records.waited_s),
            jct_s=records.end_s - records.submit_s,
        )

    def past(self, task: Task, jobs: Sequence[Job]) -> tuple[Past, ...]:
        """Return the jobs of a period, as the trace has them, with their ends in a run."""
        begin_s = self.periods[task.period].from_s
        ends_s = self.play(task).records.end_s.tolist()
        return tuple(
            Past(job=job, end_s=math.inf if math.isnan(end_s) else end_s + begin_s)
            for job, end_s in zip(_in_order(jobs), ends_s, strict=True)
        )

    def play(self, task: Task) -> Outcome:
        """Run a candidate on a period."""
        period, policy = self.periods[task.period], task.candidate.policy
        jobs = [
            replace(job, estimate_s=guess_s)
            for job, guess_s in zip(period.jobs, period.guesses[task.candidate.guess], strict=True)
        ]
        if sched.may_stop(policy, lending=self.quotas):
            jobs = [self.checkpoints.on(job) for job in jobs]
        return twin.run(self.cluster, jobs, self._setting(task.candidate))

    def facts(self) -> Facts:
        """Return what of a policy can matter here."""
        jobs = [job for period in self.periods for job in period.jobs]
        return Facts(
            lending=self.quotas,
            priorities=len({job.priority for job in jobs}) > 1,
            deadlines=any(job.deadline_s is not None for job in jobs),
            topology=any(g.nodes_per_leaf or g.nodes_per_domain > 1 for g in self.cluster.groups),
            power=self.power is not None,
        )

    def spread(self, order: tuple[str, ...], guess: Guess) -> float:
        """Return the standard deviation over all jobs of the key of an order that ages."""
        name = aged_key(order)
        if name is None:
            return 0.0
        keys = [
            sched.ORDERS[name].key(replace(job, estimate_s=guess_s), guess_s)
            for period in self.periods
            for job, guess_s in zip(period.jobs, period.guesses[guess], strict=True)
        ]
        known = np.array([key for key in keys if math.isfinite(key)])
        return float(known.std()) if known.size else 0.0

    def _setting(self, candidate: Candidate) -> Setting:
        return Setting(
            policy=candidate.policy, pooled=self.lending, wake_s=self.wake_s, seed=self.seed
        )

    def _summary(self, task: Task) -> tuple[Run, Outcome]:
        outcome = self.play(task)
        run = twin.summarise("", outcome, self._setting(task.candidate), power=self.power)
        return run, outcome


def prepare(
    bench: Bench,
    before: Sequence[Job],
    later: Sequence[Job],
    *,
    from_s: Seconds,
    start: Candidate,
    windows: int,
) -> tuple[Bench, Bench]:
    """Return the bench to search on, and the one to judge on: all of the search, and what is later.

    The first holds nothing of the later period, so that no search can see it.

    Parameters
    ----------
    bench
        Nodes and rules, without periods.
    before, later
        Jobs of the time searched, and of the later one.
    from_s
        When the later period begins.
    start
        Whose run tells when the jobs of the time searched ended.
    windows
        In how many windows to search.

    Raises
    ------
    UsageError
        If there is too little to search on.
    """
    if not before:
        msg = "nothing to search on: part the trace with --from, or give --history FILE"
        raise UsageError(msg)
    begin_s = min(job.submit_s for job in before)
    whole = period_of(before, (), from_s=begin_s, to_s=from_s)
    past = replace(bench, periods=(whole,)).past(Task(candidate=start, period=0), before)
    first, *others = cut(past, to_s=from_s, count=windows)
    searched = tuple(with_backlog(one, past) for one in others if one.jobs)
    if not searched:
        msg = (
            f"{len(before):,} jobs before the later period are too few for {windows} windows and "
            "a first part that is only learned from"
        )
        raise UsageError(msg)
    last_s = max(job.submit_s for job in later)
    judged = (
        joined(before, (first, *others)),
        period_of(later, past, from_s=from_s, to_s=last_s),
    )
    return replace(bench, periods=searched), replace(bench, periods=judged)


def period_of(
    jobs: Sequence[Job], past: Sequence[Past], *, from_s: Seconds, to_s: Seconds
) -> Period:
    """Return a period with the estimates that could be made when it began."""
    jobs = _in_order(jobs)
    history = learn.known_at(past, from_s)
    outlooks = [history.outlook(job, from_s) for job in jobs]
    here = {job.job_id for job in jobs}
    return Period(
        from_s=from_s,
        to_s=to_s,
        jobs=tuple(_moved(job, from_s, here) for job in jobs),
        guesses={kind: tuple(tell(one) for one in outlooks) for kind, tell in GUESSES.items()},
    )


def cut(past: Sequence[Past], *, to_s: Seconds, count: int) -> tuple[Period, ...]:
    """Return the time of jobs in parts with equally many jobs, one more than windows asked for.

    The first part is there to be learned from: without any history an order by run times has
    nothing to show. Parts of equal length would leave some without jobs where a trace is sparse.

    Parameters
    ----------
    past
        The jobs with their ends.
    to_s
        End of the time.
    count
        Windows wanted.
    """
    jobs = _in_order([one.job for one in past])
    edges = [jobs[len(jobs) * part // (count + 1)].submit_s for part in range(count + 1)]
    parts = []
    for from_s, until_s in pairwise([*edges, to_s]):
        inside = [job for job in jobs if from_s <= job.submit_s < until_s]
        parts.append(period_of(inside, past, from_s=from_s, to_s=until_s))
    return tuple(parts)


def with_backlog(period: Period, past: Sequence[Past]) -> Period:
    """Return a period that begins with what ran and what waited then, in the run of the past.

    What ran has its place before anything else comes: it is submitted a second before. Without a
    backlog a window of two days would know nothing of queues that last a week.
    """
    from_s = period.from_s
    history = learn.known_at(past, from_s)
    carried: list[Job] = []
    told: dict[Guess, list[float]] = {kind: [] for kind in GUESSES}
    here = {job.job_id for job in period.jobs}
    for one in sorted(past, key=lambda one: one.job.submit_s):
        if not one.job.submit_s < from_s < one.end_s:
            continue
        here.add(one.job.job_id)
        outlook = history.outlook(one.job, from_s)
        ran_s = from_s - (one.end_s - one.job.duration_s)
        job = _moved(one.job, from_s, here)
        if ran_s > 0:
            outlook = outlook.after(ran_s)
            job = replace(job, submit_s=0.0, duration_s=one.end_s - from_s)
        else:
            job = replace(job, submit_s=_SETTLED_S)
        carried.append(job)
        for kind, tell in GUESSES.items():
            told[kind].append(max(0.0, tell(outlook) - max(0.0, ran_s)))
    coming = [replace(job, submit_s=job.submit_s + _SETTLED_S) for job in period.jobs]
    order = sorted(range(len(carried)), key=lambda i: carried[i].submit_s)
    return replace(
        period,
        jobs=(*(carried[i] for i in order), *coming),
        guesses={
            kind: (*(told[kind][i] for i in order), *period.guesses[kind]) for kind in GUESSES
        },
    )


def joined(jobs: Sequence[Job], parts: Sequence[Period]) -> Period:
    """Return the parts of a time as one period, each job with the estimate of its part."""
    from_s = parts[0].from_s
    here = {job.job_id for job in jobs}
    return Period(
        from_s=from_s,
        to_s=parts[-1].to_s,
        jobs=tuple(_moved(job, from_s, here) for job in _in_order(jobs)),
        guesses={kind: tuple(s for part in parts for s in part.guesses[kind]) for kind in GUESSES},
    )


def _in_order(jobs: Sequence[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: job.submit_s)


def _moved(job: Job, from_s: float, here: set[str]) -> Job:
    """Return a job on the clock of a period, waiting for none that is not in it."""
    return replace(
        job,
        submit_s=job.submit_s - from_s,
        start_after_s=None if job.start_after_s is None else job.start_after_s - from_s,
        deadline_s=None if job.deadline_s is None else job.deadline_s - from_s,
        depends_on=tuple(one for one in job.depends_on if one in here),
    )
