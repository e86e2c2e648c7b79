"""The event kernel: time goes from event to event, and the scheduler that it drives is `sched`.

Events of the same second are taken in the order of `EventKind`, then in the order in which they
were planned; after them, one scheduling cycle for the queues that they touched. Each cause of
chance has a random stream of its own, so that one draw more of one kind moves no other.
"""

import heapq
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from clusterwright.model.cluster import Cluster
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job
from clusterwright.sched import POLICIES, State, cycle, placement_of, policy_of
from clusterwright.sched.cycle import Backfill
from clusterwright.twin.log import EventLog
from clusterwright.twin.usage import Usage
from clusterwright.units import SECONDS_PER_DAY, PerDay, Seconds

_TELL_EVERY = 2000  # events between two calls of the progress callback


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How nodes fail and come back."""

    per_gpu_day: PerDay
    """Failures of one accelerator in one day, which take its node down; 0 for none."""
    repair_s: Seconds
    """Time until a failed node is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a run is made."""

    policy: str = "fifo"
    """Order of waiting jobs."""
    placement: str = "consolidate"
    """Where jobs go."""
    backfill: Backfill = "none"
    """Whether later jobs may go before the first one that does not fit."""
    pooled: bool = False
    """True when all queues share all nodes."""
    failures: Failures | None = None
    """How nodes fail; absent, they do not."""
    horizon_s: Seconds | None = None
    """When the run stops; absent, when every job is through."""
    seed: int = 0
    """Seed of all random streams."""


@dataclass(slots=True)
class Record:
    """What became of one job."""

    submit_s: float
    """When it was submitted."""
    first_start_s: float = math.nan
    """When it first started; nan if it never did."""
    end_s: float = math.nan
    """When it was through; nan if it was not."""
    waited_s: float = 0.0
    """Time in the queue, all times it waited together."""
    held_s: float = 0.0
    """Time on its accelerators, all attempts together."""
    lost_s: float = 0.0
    """Time on its accelerators that moved nothing forward: lost work and restarts."""
    num_interruptions: int = 0
    """How often a lost node stopped it."""
    num_preemptions: int = 0
    """How often it was stopped for another."""
    queued_s: float = 0.0
    """Since when it waits."""
    started_s: float = 0.0
    """When it started this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that a run brought forth."""

    cluster: Cluster
    """The nodes."""
    jobs: Sequence[Job]
    """The jobs, by index."""
    records: Sequence[Record]
    """What became of each."""
    log: EventLog
    """All events."""
    usage: Usage
    """What was in use, hour by hour."""
    end_s: float
    """When the run ended."""


@dataclass(slots=True)
class _Run:
    state: State
    setting: Setting
    records: list[Record]
    log: EventLog
    usage: Usage
    planned: list[tuple[float, int, int, int, int]] = field(default_factory=list)
    attempt: dict[int, int] = field(default_factory=dict)
    sequence: int = 0
    told: int = 0


def run(
    cluster: Cluster,
    jobs: Sequence[Job],
    setting: Setting,
    *,
    progress: Callable[[float, int, int], None] | None = None,
) -> Outcome:
    """Run jobs on a cluster and return what became of them.

    Parameters
    ----------
    cluster
        The nodes.
    jobs
        The jobs, in any order; equal keys of a policy keep the order of submission, then this one.
    setting
        Policy, placement, failures, horizon, seed.
    progress
        Told time, events so far and jobs that wait, now and then.

    Raises
    ------
    UnknownName
        If policy or placement has no such name.
    """
    order = sorted(range(len(jobs)), key=lambda i: (jobs[i].submit_s, i))
    jobs = tuple(jobs[i] for i in order)
    placement = placement_of(setting.placement)
    state = State(cluster, jobs, policy_of(setting.policy), pooled=setting.pooled)
    here = _Run(
        state=state,
        setting=setting,
        records=[Record(submit_s=job.submit_s) for job in jobs],
        log=EventLog(),
        usage=Usage(tuple(state.partitions)),
    )
    for index, job in enumerate(jobs):
        _plan(here, job.submit_s, EventKind.SUBMIT, index)
    clock = _FailureClock(setting.failures, cluster, setting.seed)
    _plan_failure(here, 0.0, clock)
    horizon = math.inf if setting.horizon_s is None else setting.horizon_s
    now, unfinished = 0.0, len(jobs)
    while here.planned and unfinished:
        if here.planned[0][0] > horizon:
            break
        now = here.planned[0][0]
        touched: dict[str, None] = {}
        while here.planned and here.planned[0][0] == now:
            _, kind, _, subject, attempt = heapq.heappop(here.planned)
            unfinished -= _happen(here, now, EventKind(kind), subject, attempt, touched, clock)
        decided, _ = cycle(state, now, placement, queues=tuple(touched), backfill=setting.backfill)
        for event in decided:
            _carry_out(here, event)
        for name in touched:
            here.usage.waiting(name, now, len(state.waiting[name]))
        if progress is not None and len(here.log) // _TELL_EVERY > here.told:
            here.told = len(here.log) // _TELL_EVERY
            progress(now, len(here.log), sum(len(queue) for queue in state.waiting.values()))
    return _outcome(here, cluster, jobs, now if setting.horizon_s is None else horizon)


def describe_policies() -> list[dict[str, str]]:
    """Return every policy with its rule."""
    return [{"name": one.name, "rule": one.rule} for one in POLICIES.values()]


def _stream(seed: int, cause: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(cause.encode())])


def _plan(here: _Run, time_s: float, kind: EventKind, subject: int, attempt: int = 0) -> None:
    here.sequence += 1  # breaks ties in the order of planning
    heapq.heappush(here.planned, (time_s, int(kind), here.sequence, subject, attempt))


class _FailureClock:
    """The clocks of all accelerators as one: the next failure anywhere, and where it strikes."""

    def __init__(self, failures: Failures | None, cluster: Cluster, seed: int) -> None:
        self._rng = _stream(seed, "failures")
        counts = np.array([group.num_nodes for group in cluster.groups], dtype=np.int64)
        gpus = np.array([group.gpus_per_node for group in cluster.groups], dtype=np.float64)
        self._upto = np.cumsum(np.repeat(gpus, counts))
        total = float(self._upto[-1]) if self._upto.size else 0.0
        self.per_day = 0.0 if failures is None else failures.per_gpu_day * total

    def after(self, now: float) -> tuple[float, int]:
        """Return time and node of the next failure."""
        time_s = now + self._rng.exponential(SECONDS_PER_DAY / self.per_day)
        where = self._rng.uniform(0, self._upto[-1])
        return time_s, int(np.searchsorted(self._upto, where, side="right"))


def _plan_failure(here: _Run, now: float, clock: _FailureClock) -> None:
    if clock.per_day:
        time_s, node = clock.after(now)
        _plan(here, time_s, EventKind.NODE_FAIL, node)


def _happen(
    here: _Run,
    now: float,
    kind: EventKind,
    subject: int,
    attempt: int,
    touched: dict[str, None],
    clock: "_FailureClock",
) -> int:
    """Let one planned event happen; return 1 when it was the end of a job."""
    state = here.state
    if kind is EventKind.SUBMIT:
        _apply(here, Event(time_s=now, kind=kind, job=subject))
        here.records[subject].queued_s = now
        touched[state.partition(subject).queue] = None
        return 0
    if kind is EventKind.FINISH:
        if here.attempt.get(subject) != attempt or subject not in state.running:
            return 0  # that attempt was stopped before it came to its end
        touched[state.partition(subject).queue] = None
        _hand_back(here, subject, now)
        _apply(here, Event(time_s=now, kind=kind, job=subject))
        here.records[subject].end_s = now
        return 1
    part = state.partition_of_node[subject]
    touched[part.queue] = None
    if kind is EventKind.NODE_REPAIR:
        _apply(here, Event(time_s=now, kind=kind, node=subject))
        return 0
    _plan_failure(here, now, clock)
    if subject in part.down:
        return 0
    for job in sorted(state.on_node.get(subject, ())):
        _interrupt(here, job, now, EventKind.INTERRUPT)
    _apply(here, Event(time_s=now, kind=kind, node=subject))
    assert here.setting.failures is not None  # else no failure was planned
    _plan(here, now + here.setting.failures.repair_s, EventKind.NODE_REPAIR, subject)
    return 0


def _apply(here: _Run, event: Event) -> None:
    here.state.apply(event)
    here.log.add(event)


def _carry_out(here: _Run, event: Event) -> None:
    """Book what the cycle has decided and already applied."""
    here.log.add(event)
    job, record, now = here.state.jobs[event.job], here.records[event.job], event.time_s
    if event.kind is EventKind.PREEMPT:
        _book_stop(here, event.job, now)
        return
    again = not math.isnan(record.first_start_s)
    record.waited_s += now - record.queued_s
    record.started_s = now
    if not again:
        record.first_start_s = now
    here.attempt[event.job] = here.attempt.get(event.job, 0) + 1
    here.usage.start(here.state.partition(event.job).queue, now, job.quanta)
    _plan(
        here,
        now + _runs_for(here, event.job, again=again),
        EventKind.FINISH,
        event.job,
        here.attempt[event.job],
    )


def _runs_for(here: _Run, index: int, *, again: bool) -> float:
    """Return how long a job runs until its end when nothing stops it."""
    job = here.state.jobs[index]
    work = here.state.left_s(index)
    stalls = 0.0
    if job.checkpoint_interval_s:
        stalls = (math.ceil(work / job.checkpoint_interval_s) - 1) * job.checkpoint_stall_s
    return work + stalls + (job.restart_s if again else 0.0)


def _interrupt(here: _Run, index: int, now: float, kind: EventKind) -> None:
    state, job = here.state, here.state.jobs[index]
    ran = now - state.running[index].since_s
    again = here.attempt[index] > 1
    worked = max(0.0, ran - (job.restart_s if again else 0.0))
    kept = 0.0
    if job.checkpoint_interval_s:
        whole = worked // (job.checkpoint_interval_s + job.checkpoint_stall_s)
        kept = min(state.left_s(index), whole * job.checkpoint_interval_s)
    here.records[index].lost_s += ran - kept
    state.remaining[index] = state.left_s(index) - kept
    _hand_back(here, index, now)
    _apply(here, Event(time_s=now, kind=kind, job=index))
    here.records[index].queued_s = now
    here.records[index].num_interruptions += 1


def _book_stop(here: _Run, index: int, now: float) -> None:
    """Book a preemption that the scheduler has applied: its start is in the record."""
    _hand_back(here, index, now)
    record = here.records[index]
    record.queued_s = now
    record.num_preemptions += 1


def _hand_back(here: _Run, index: int, now: float) -> None:
    job, record = here.state.jobs[index], here.records[index]
    ran = now - record.started_s
    record.held_s += ran
    here.usage.stop(here.state.partition(index).queue, now, job.quanta)


def _outcome(here: _Run, cluster: Cluster, jobs: Sequence[Job], end: float) -> Outcome:
    for index in here.state.running:
        ran = end - here.records[index].started_s
        here.records[index].held_s += ran
    here.usage.close(end)
    return Outcome(
        cluster=cluster,
        jobs=jobs,
        records=here.records,
        log=here.log,
        usage=here.usage,
        end_s=end,
    )
