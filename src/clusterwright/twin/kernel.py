"""The event kernel: time goes from event to event, and the scheduler that it drives is `sched`.

Events of the same second are taken in the order of `EventKind`, then in the order in which they
were planned; after them, one scheduling cycle for the pools that they touched. Each cause of
chance has a random stream of its own, so that one draw more of one kind moves no other.
"""

import gc
import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clusterwright.model.cluster import Cluster
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job
from clusterwright.model.policy import Policy
from clusterwright.model.quota import BROKEN_AFTER_S
from clusterwright.sched import POLICIES, State, checked, cycle
from clusterwright.sched.progress import kept_s, run_s
from clusterwright.sched.state import Rate
from clusterwright.twin.failures import FailureClock, Failures
from clusterwright.twin.log import EventLog
from clusterwright.twin.records import Records
from clusterwright.twin.usage import Usage
from clusterwright.units import Seconds

_TELL_EVERY = 2000  # events between two calls of the progress callback
_WAKE = 100  # no event of the log: only a moment at which to look again
_NEVER = math.inf
_ENDS = {int(kind): kind for kind in (EventKind.FINISH, EventKind.TIMEOUT)}

Progress = Callable[[float, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a run is made."""

    policy: Policy = POLICIES["fifo"]
    """How it is decided who runs where and when."""
    pooled: bool = False
    """True when all queues share all nodes, by the quotas of the cluster where it has any."""
    failures: Failures | None = None
    """How nodes fail; absent, they do not."""
    horizon_s: Seconds | None = None
    """When the run stops; absent, when every job is through."""
    seed: int = 0
    """Seed of all random streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that a run brought forth."""

    cluster: Cluster
    """The nodes."""
    jobs: Sequence[Job]
    """The jobs, by index."""
    records: Records
    """What became of each."""
    log: EventLog
    """All events."""
    usage: Usage
    """What was in use, hour by hour."""
    end_s: float
    """When the run ended."""
    broken: Sequence[tuple[str, float]] | None
    """Queue and time of each wait beyond what a guarantee allows; absent where none is given."""


@dataclass(slots=True)
class _Run:
    state: State
    setting: Setting
    log: EventLog
    clock: FailureClock
    planned: list[tuple[float, int, int, int, int]] = field(default_factory=list)
    attempt: list[int] = field(default_factory=list)
    sequence: int = 0
    told: int = 0
    unfinished: int = 0
    awaited: set[float] = field(default_factory=set)
    repairing: int = 0


def run(
    cluster: Cluster,
    jobs: Sequence[Job],
    setting: Setting,
    *,
    rate: Callable[[Sequence[Job]], Rate] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run jobs on a cluster and return what became of them.

    Parameters
    ----------
    cluster
        The nodes.
    jobs
        The jobs, in any order; equal keys of a policy keep the order of submission, then this one.
    setting
        Policy, failures, horizon, seed.
    rate
        From the jobs as the run numbers them to the speed of a job on its nodes, 1 where it stands
        best; absent, it is 1 everywhere.
    progress
        Told time, events so far and jobs that wait, now and then.

    Raises
    ------
    InvalidInput
        If the policy names what does not exist, or the quotas contradict each other.
    """
    order = sorted(range(len(jobs)), key=lambda i: (jobs[i].submit_s, i))
    jobs = tuple(jobs[i] for i in order)
    speed = rate(jobs) if rate is not None else None
    state = State(cluster, jobs, checked(setting.policy), pooled=setting.pooled, rate=speed)
    here = _Run(
        state=state,
        setting=setting,
        log=EventLog(),
        clock=FailureClock(setting.failures, cluster, setting.seed),
        attempt=[0] * len(jobs),
        unfinished=len(jobs),
    )
    gc.freeze()  # the jobs stay for the whole run: the collector need not walk them again and again
    try:
        end = _play(here, jobs, progress)
    finally:
        gc.unfreeze()
    return _outcome(here, cluster, jobs, end if setting.horizon_s is None else setting.horizon_s)


def describe_policies() -> list[dict[str, str]]:
    """Return every policy with its rule."""
    return [{"name": one.name, "rule": one.rule} for one in POLICIES.values()]


def _play(here: _Run, jobs: Sequence[Job], progress: Progress | None) -> float:
    """Let everything happen, and return when the last of it did."""
    state, planned, setting = here.state, here.planned, here.setting
    log, arrivals = here.log, [*(job.submit_s for job in jobs), _NEVER]
    horizon = _NEVER if setting.horizon_s is None else setting.horizon_s
    _plan_failure(here, 0.0)
    coming, now = 0, 0.0
    while here.unfinished:
        then = arrivals[coming]
        if planned and planned[0][0] < then:
            then = planned[0][0]
        if then > horizon or then == _NEVER:
            break
        if not state.running and _stuck(here, arrivals[coming]):
            break
        now = then
        while planned and planned[0][0] == now:
            _, kind, _, subject, attempt = heapq.heappop(planned)
            _happen(here, now, kind, subject, attempt)
        while arrivals[coming] == now:
            _apply(here, Event(now, EventKind.SUBMIT, coming))
            coming += 1
        decided = cycle(state, now)
        for event in decided.events:
            log.add(event)
            if event.kind is EventKind.START:
                _begin(here, event.job, now)
        if now < decided.wake_s < _NEVER and decided.wake_s not in here.awaited:
            here.awaited.add(decided.wake_s)
            _plan(here, decided.wake_s, _WAKE, -1)
        if progress is not None and len(log) // _TELL_EVERY > here.told:
            here.told = len(log) // _TELL_EVERY
            progress(now, len(log), state.num_waiting())
    return now


def _stuck(here: _Run, submit_s: float) -> bool:
    """Return whether nothing can ever change again but nodes failing."""
    if submit_s < _NEVER or here.repairing or here.awaited:
        return False
    return all(kind == EventKind.NODE_FAIL for _, kind, _, _, _ in here.planned)


def _plan(here: _Run, time_s: float, kind: int, subject: int, attempt: int = 0) -> None:
    here.sequence += 1  # breaks ties in the order of planning
    heapq.heappush(here.planned, (time_s, int(kind), here.sequence, subject, attempt))


def _plan_failure(here: _Run, now: float) -> None:
    if here.clock.per_day:
        time_s, node = here.clock.after(now)
        _plan(here, time_s, EventKind.NODE_FAIL, node)


def _happen(here: _Run, now: float, kind: int, subject: int, attempt: int) -> None:
    """Let one planned event happen."""
    state = here.state
    if kind in _ENDS:
        if here.attempt[subject] != attempt or subject not in state.running:
            return  # that attempt was stopped before it came to its end
        _apply(here, Event(now, _ENDS[kind], subject))
        here.unfinished -= 1
    elif kind == _WAKE:
        here.awaited.discard(now)
        state.touched.update(dict.fromkeys(state.pools))
    elif kind == EventKind.NODE_REPAIR:
        here.repairing -= 1
        _apply(here, Event(time_s=now, kind=EventKind.NODE_REPAIR, node=subject))
    else:
        _fail(here, now, subject)


def _fail(here: _Run, now: float, node: int) -> None:
    """Let a node fail, unless it is down already."""
    state = here.state
    _plan_failure(here, now)
    pool = state.pool_at[node]
    if pool.down >> (node - pool.first) & 1:
        return
    for job in sorted(state.on_node[node]):
        kept = kept_s(state, job, now)
        _apply(here, Event(time_s=now, kind=EventKind.INTERRUPT, job=job, kept_s=kept))
    _apply(here, Event(time_s=now, kind=EventKind.NODE_FAIL, node=node))
    here.repairing += 1
    _plan(here, now + here.clock.repair_s(), EventKind.NODE_REPAIR, node)


def _apply(here: _Run, event: Event) -> None:
    here.state.apply(event)
    here.log.add(event)


def _begin(here: _Run, index: int, now: float) -> None:
    """Plan the end of a job that the cycle has started."""
    state = here.state
    here.attempt[index] += 1
    if index not in state.running:
        return  # it was stopped again within the same cycle
    lasts, kind = run_s(state, index), EventKind.FINISH
    limit = state.jobs[index].time_limit_s
    if limit is not None and lasts > limit:
        lasts, kind = limit, EventKind.TIMEOUT
    _plan(here, now + lasts, kind, index, here.attempt[index])


def _outcome(here: _Run, cluster: Cluster, jobs: Sequence[Job], end_s: float) -> Outcome:
    state = here.state
    records = Records(jobs, here.log, end_s)
    broken = None
    if state.shared and any(account.guarantee for account in state.accounts.values()):
        waits = [(jobs[job].queue, end_s - since) for job, since in state.owed_since.items()]
        broken = (*state.broken, *(one for one in waits if one[1] > BROKEN_AFTER_S))
    return Outcome(
        cluster=cluster,
        jobs=jobs,
        records=records,
        log=here.log,
        usage=Usage(
            {queue: line.pool.name for queue, line in state.line_of_queue.items()},
            [pool.name for pool in state.pool_at],
            [job.queue for job in jobs],
            records,
            here.log,
            end_s,
        ),
        end_s=end_s,
        broken=broken,
    )
