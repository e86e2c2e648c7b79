"""The event kernel: time goes from event to event, and the scheduler that it drives is `sched`.

Events of the same second are taken in the order of `EventKind`, then in the order in which they
were planned; after them, one scheduling cycle for the pools that they touched. Each cause of
chance has a random stream of its own, so that one draw more of one kind moves no other.
"""

import gc
import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from clusterwright.model.cluster import Cluster
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job, Reason
from clusterwright.model.policy import Policy
from clusterwright.model.quota import BROKEN_AFTER_S
from clusterwright.model.run import CauseFigures, StagingFigures
from clusterwright.sched import POLICIES, Picture, State, checked, cycle, restored
from clusterwright.sched.deferrals import Deferrals
from clusterwright.sched.nodes import Placed
from clusterwright.sched.progress import kept_s, run_s
from clusterwright.sched.state import Lead, Rate
from clusterwright.twin.breakage import Breakage
from clusterwright.twin.deferral import Deferral
from clusterwright.twin.failures import Failures
from clusterwright.twin.log import EventLog
from clusterwright.twin.records import Records
from clusterwright.twin.sleep import Sleepers
from clusterwright.twin.staging import Stager, Staging
from clusterwright.twin.usage import Usage
from clusterwright.units import Seconds

_TELL_EVERY = 2000  # events between two calls of the progress callback
_WAKE = 100  # no event of the log: only a moment at which to look again
_ARRIVAL = 101  # a transfer is through, unless another one began and changed their speed
_NEVER = math.inf
_ENDS = {int(kind): kind for kind in (EventKind.FINISH, EventKind.TIMEOUT)}

Progress = Callable[[float, int, int], None]
Look = Callable[[State, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a run is made."""

    policy: Policy = POLICIES["fifo"]
    """How it is decided who runs where and when."""
    pooled: bool = False
    """True when all queues share all nodes, by the quotas of the cluster where it has any."""
    failures: Failures | None = None
    """How nodes fail; absent, they do not."""
    staging: Staging | None = None
    """How data come near; absent, they are everywhere."""
    deferral: Deferral | None = None
    """How jobs with a deadline wait for better hours; absent, they do not."""
    wake_s: Seconds = 0.0
    """Time until a sleeping node takes work, where the policy puts idle nodes to sleep."""
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
    causes: Sequence[CauseFigures]
    """What each cause of failures did."""
    staging: StagingFigures | None
    """What was staged; absent where data are everywhere."""


@dataclass(slots=True)
class _Run:
    state: State
    setting: Setting
    log: EventLog
    breakage: Breakage
    stager: Stager | None
    sleepers: Sleepers | None
    planned: list[tuple[float, int, int, int, int]] = field(default_factory=list)
    attempt: list[int] = field(default_factory=list)
    sequence: int = 0
    told: int = 0
    unfinished: int = 0
    awaited: set[float] = field(default_factory=set)
    repairing: int = 0
    transfers: int = 0
    looks: list[float] = field(default_factory=list)  # the last one first
    look: Look | None = None
    asked: dict[int, float] = field(default_factory=dict)  # when each first started, or never
    num_asked: int = 0
    coming: int = 0


def run(
    cluster: Cluster,
    jobs: Sequence[Job],
    setting: Setting,
    *,
    rate: Callable[[Sequence[Job]], Rate] | None = None,
    progress: Progress | None = None,
    looks_s: Sequence[Seconds] = (),
    look: Look | None = None,
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
    looks_s, look
        Times at which the state is shown, and to whom; it must be left as it is.

    Raises
    ------
    InvalidInput
        If the policy names what does not exist, or the quotas contradict each other.
    """
    order = sorted(range(len(jobs)), key=lambda i: (jobs[i].submit_s, i))
    jobs = tuple(jobs[i] for i in order)
    stager = None if setting.staging is None else Stager(setting.staging, jobs)
    state = State(
        cluster,
        jobs,
        checked(setting.policy),
        pooled=setting.pooled,
        rate=rate(jobs) if rate is not None else None,
        staged=setting.staging is not None and setting.staging.prefetch,
    )
    sleepers = Sleepers.of(state, setting.wake_s)
    state.lead = _lead(stager, sleepers)
    state.deferrals = _deferrals(state, cluster, setting)
    here = _Run(
        state=state,
        setting=setting,
        log=EventLog(),
        breakage=Breakage(setting.failures, cluster, setting.seed),
        stager=stager,
        sleepers=sleepers,
        attempt=[0] * len(jobs),
        unfinished=len(jobs),
        looks=sorted(looks_s, reverse=True),
        look=look,
    )
    for number in range(len(here.breakage.causes)):
        _plan_strike(here, 0.0, number)
    end = _play(here, jobs, progress)
    return _outcome(here, cluster, jobs, end if setting.horizon_s is None else setting.horizon_s)


def starts_from(
    seen: Picture,
    cluster: Cluster,
    jobs: Sequence[Job],
    setting: Setting,
    asked: Collection[str],
    *,
    repairs: Sequence[tuple[int, Seconds]] = (),
    rate: Callable[[Sequence[Job]], Rate] | None = None,
) -> dict[str, float]:
    """Go on from a picture until the jobs asked about have started, and return when each did.

    Parameters
    ----------
    seen
        The picture. All nodes are taken to be awake, and all data to be near.
    cluster
        The nodes.
    jobs
        The jobs of the picture, and those still to come.
    setting
        Policy, failures, horizon, seed.
    asked
        Names of the jobs asked about.
    repairs
        Nodes that are down, with when each is back.
    rate
        As for `run`.

    Returns
    -------
    dict
        Time of the first start by job; infinity for one that has not started by the horizon, or
        when nothing could happen any more.

    Raises
    ------
    InvalidInput
        If the picture speaks of what there is not.
    """
    jobs = tuple(sorted(jobs, key=lambda job: job.submit_s))  # stable: equal ones keep their order
    number_of = {job.job_id: number for number, job in enumerate(jobs)}
    how = checked(setting.policy)
    speed = rate(jobs) if rate is not None else None
    state = restored(cluster, jobs, how, seen, pooled=setting.pooled, rate=speed)
    state.deferrals = _deferrals(state, cluster, setting)
    if state.deferrals is not None:
        for name in (*(one.job for one in seen.running), *(one.job for one in seen.waiting)):
            state.deferrals.note(number_of[name])
    state.freed += [job for job, gate in state.gates.items() if gate is Reason.STAGING_DATA]
    coming = bisect_right(jobs, seen.at_s, key=lambda job: job.submit_s)
    here = _Run(
        state=state,
        setting=setting,
        log=EventLog(),
        breakage=Breakage(setting.failures, cluster, setting.seed),
        stager=None,
        sleepers=None,
        attempt=[0] * len(jobs),
        unfinished=len(jobs) - coming + len(seen.running) + len(seen.waiting),
        asked={number_of[name]: _NEVER for name in asked},
        num_asked=len(asked),
        coming=coming,
    )
    for number in range(len(here.breakage.causes)):
        _plan_strike(here, seen.at_s, number)
    for node, back_s in repairs:
        here.repairing += 1
        _plan(here, back_s, EventKind.NODE_REPAIR, node)
    for index, one in state.running.items():
        _plan_end(here, index, one.since_s, not_before_s=seen.at_s)
    _plan(here, seen.at_s, _WAKE, -1)
    _play(here, jobs, None)
    return {jobs[index].job_id: start_s for index, start_s in here.asked.items()}


def describe_policies() -> list[dict[str, str]]:
    """Return every policy with its rule."""
    return [{"name": one.name, "rule": one.rule} for one in POLICIES.values()]


def _play(here: _Run, jobs: Sequence[Job], progress: Progress | None) -> float:
    """Let everything happen, and return when the last of it did."""
    gc.freeze()  # the jobs stay for the whole run: the collector need not walk them again and again
    try:
        return _all_moments(here, jobs, progress)
    finally:
        gc.unfreeze()


def _all_moments(here: _Run, jobs: Sequence[Job], progress: Progress | None) -> float:
    state, planned, setting = here.state, here.planned, here.setting
    log, arrivals = here.log, [*(job.submit_s for job in jobs), _NEVER]
    horizon = _NEVER if setting.horizon_s is None else setting.horizon_s
    coming, now = here.coming, 0.0
    while here.unfinished and (here.num_asked or not here.asked):  # until all asked about started
        then = arrivals[coming]
        if planned and planned[0][0] < then:
            then = planned[0][0]
        if here.looks and here.looks[-1] < then:
            _show(here, then)
        if then > horizon or then == _NEVER:
            break
        if not state.running and _stuck(here, arrivals[coming]):
            break
        now = then
        while planned and planned[0][0] == now:
            _, kind, _, subject, attempt = heapq.heappop(planned)
            _happen(here, now, kind, subject, attempt)
        while arrivals[coming] == now:
            _submit(here, now, coming)
            coming += 1
        decided = cycle(state, now)
        for event in decided.events:
            log.add(event)
            if event.kind is EventKind.START or event.kind is EventKind.RESIZE:
                _begin(here, event.job, now)
            elif event.kind is EventKind.PREEMPT and here.sleepers is not None:
                _leave(here, here.sleepers, event.job, now)
        if now < decided.wake_s < _NEVER and decided.wake_s not in here.awaited:
            here.awaited.add(decided.wake_s)
            _plan(here, decided.wake_s, _WAKE, -1)
        if progress is not None and len(log) // _TELL_EVERY > here.told:
            here.told = len(log) // _TELL_EVERY
            progress(now, len(log), state.num_waiting())
    return now


def _show(here: _Run, then: float) -> None:
    """Show the state as it is up to the next event."""
    while here.looks and here.looks[-1] < then and here.look is not None:
        here.look(here.state, here.looks.pop())


def _stuck(here: _Run, submit_s: float) -> bool:
    """Return whether nothing can ever change again but nodes failing."""
    if submit_s < _NEVER or here.repairing or here.awaited:
        return False
    return all(kind == EventKind.NODE_FAIL for _, kind, _, _, _ in here.planned)


def _plan(here: _Run, time_s: float, kind: int, subject: int, attempt: int = 0) -> None:
    here.sequence += 1  # breaks ties in the order of planning
    heapq.heappush(here.planned, (time_s, int(kind), here.sequence, subject, attempt))


def _plan_strike(here: _Run, now: float, number: int) -> None:
    time_s = here.breakage.next_s(number, now)
    if time_s < _NEVER:
        _plan(here, time_s, EventKind.NODE_FAIL, number)


def _deferrals(state: State, cluster: Cluster, setting: Setting) -> Deferrals | None:
    """Return who decides which jobs wait for a better hour; None where none does."""
    if setting.deferral is None:
        return None
    spared = {group.queue for group in cluster.groups if group.num_spares}
    return Deferrals(state, setting.deferral.on(state.jobs, setting.failures, spared))


def _lead(stager: Stager | None, sleepers: Sleepers | None) -> Lead | None:
    """Return the time from a start until work begins; None where it always begins at once."""
    if stager is None and sleepers is None:
        return None

    def lead_s(job: int, placed: Placed, now_s: float) -> float:
        data_s = 0.0 if stager is None else stager.fetch_s(job, now_s)
        return max(data_s, 0.0 if sleepers is None else sleepers.wake_s(job, placed, now_s))

    return lead_s


def _follow_transfers(here: _Run, now: float) -> None:
    """Log what had to make room, and plan the arrival of the next transfer anew."""
    assert here.stager is not None
    for job in here.stager.gone():
        _apply(here, Event(time_s=now, kind=EventKind.EVICTED, job=job))
    time_s = here.stager.next_s()
    here.transfers += 1
    if time_s < _NEVER:
        _plan(here, max(now, time_s), _ARRIVAL, here.transfers)


def _submit(here: _Run, now: float, job: int) -> None:
    _apply(here, Event(now, EventKind.SUBMIT, job))
    if here.stager is not None:
        here.stager.submit(job, now)
        _follow_transfers(here, now)


def _happen(here: _Run, now: float, kind: int, subject: int, attempt: int) -> None:
    """Let one planned event happen."""
    state = here.state
    if kind in _ENDS:
        if here.attempt[subject] != attempt or subject not in state.running:
            return  # that attempt was stopped before it came to its end
        _apply(here, Event(now, _ENDS[kind], subject))
        here.unfinished -= 1
        if here.sleepers is not None:
            here.sleepers.stopped(subject, now)
        if here.stager is not None:
            here.stager.leave(subject, now)
            _follow_transfers(here, now)
    elif kind == _WAKE:
        here.awaited.discard(now)
        state.touched.update(dict.fromkeys(state.pools))
    elif kind == _ARRIVAL:
        if subject == here.transfers and here.stager is not None:
            job = here.stager.finish(now)
            _apply(here, Event(time_s=now, kind=EventKind.STAGED, job=job))
            _follow_transfers(here, now)
    elif kind == EventKind.NODE_REPAIR:
        here.repairing -= 1
        if here.sleepers is not None:
            here.sleepers.repaired(subject, now)
        _apply(here, Event(time_s=now, kind=EventKind.NODE_REPAIR, node=subject))
    else:
        _strike(here, now, subject)


def _strike(here: _Run, now: float, number: int) -> None:
    """Let a cause strike: what it hits stops as of the failure, which is noticed now."""
    state, breakage = here.state, here.breakage
    _plan_strike(here, now, number)
    hit = breakage.strike(number, state)
    for job in hit.jobs:
        kept = kept_s(state, job, now - breakage.causes[number].detect_s)
        breakage.book(number, state.running[job], now, kept)
        _apply(here, Event(time_s=now, kind=EventKind.INTERRUPT, job=job, kept_s=kept))
        if here.sleepers is not None:
            here.sleepers.stopped(job, now)
    for node in hit.nodes:
        _apply(here, Event(time_s=now, kind=EventKind.NODE_FAIL, node=node))
        here.repairing += 1
        away_s = breakage.away_s(node, number, hit.repair_s, now)
        _plan(here, now + away_s, EventKind.NODE_REPAIR, node)


def _apply(here: _Run, event: Event) -> None:
    here.state.apply(event)
    here.log.add(event)


def _begin(here: _Run, index: int, now: float) -> None:
    """Plan the end of a job that the cycle has started."""
    state = here.state
    if here.num_asked and here.asked.get(index) == _NEVER:
        here.asked[index] = now
        here.num_asked -= 1
    if here.stager is not None and not here.attempt[index]:
        here.stager.begin(index, now)
    here.attempt[index] += 1
    if index in state.running:  # else it was stopped again within the same cycle
        _plan_end(here, index, now)


def _plan_end(here: _Run, index: int, start_s: float, *, not_before_s: float = 0.0) -> None:
    state = here.state
    lasts, kind = run_s(state, index), EventKind.FINISH
    limit = state.jobs[index].time_limit_s
    if limit is not None and lasts > limit:
        lasts, kind = limit, EventKind.TIMEOUT
    _plan(here, max(start_s + lasts, not_before_s), kind, index, here.attempt[index])


def _leave(here: _Run, sleepers: Sleepers, job: int, now: float) -> None:
    """Let the nodes of a job idle, unless it has started anew in the same cycle."""
    if job not in here.state.running:
        sleepers.stopped(job, now)


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
        causes=here.breakage.figures(),
        staging=None if here.stager is None else here.stager.figures(),
    )
